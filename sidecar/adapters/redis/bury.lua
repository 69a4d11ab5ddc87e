-- Removes tombstones that are old enough and whose deletion is recorded; see expire.lua about `cut`.
--
-- KEYS  rev, changed, gone
-- ARGV  now, the rev up to which the project is recorded
-- Returns how many went.

local rev, changed, gone = KEYS[1], KEYS[2], KEYS[3]
local cut, count = tonumber(redis.call('HGET', rev, 'cut') or 0), 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', ARGV[1], 'LIMIT', 0, 100)) do
  local place = tonumber(redis.call('ZSCORE', changed, id) or 0)
  if place <= tonumber(ARGV[2]) then
    redis.call('ZREM', gone, id)
    redis.call('ZREM', changed, id)
    cut = math.max(cut, place)
    count = count + 1
  end
end
if count > 0 then
  redis.call('HSET', rev, 'cut', cut)
end
return count
