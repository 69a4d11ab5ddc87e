-- Forgets one job if it is still what the caller read, and tells the listeners.
--
-- KEYS  rev, changed, outbox, created, updated, active, idle, counts, gone, the document
-- ARGV  id, expected tag, count field, event, most entries of the outbox, published row, now, when its tombstone may go
-- Returns 1 if it is gone, 0 if it has changed meanwhile.
--
-- The tombstone is the id's rev in `changed` without a document: whoever resumes from before hears that it is gone.

local rev, changed, outbox, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[9]
local id = ARGV[1]
if redis.call('HGET', KEYS[10], 'tag') ~= ARGV[2] then
  return 0
end
for _, buried in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', ARGV[7], 'LIMIT', 0, 100)) do
  redis.call('ZREM', gone, buried)
  redis.call('ZREM', changed, buried)
end
redis.call('DEL', KEYS[10])
for key = 4, 7 do
  redis.call('ZREM', KEYS[key], id)
end
if redis.call('HINCRBY', KEYS[8], ARGV[3], -1) <= 0 then
  redis.call('HDEL', KEYS[8], ARGV[3])
end
local number = redis.call('HINCRBY', rev, 'rev', 1)
redis.call('ZADD', changed, number, id)
redis.call('ZADD', gone, ARGV[8], id)
redis.call('XADD', outbox, 'MAXLEN', '~', ARGV[5], '*', 'job', id, 'event', ARGV[4])
redis.call('PUBLISH', string.sub(rev, 1, -5), redis.call('HGET', rev, 'epoch') .. ' ' .. number .. ' ' .. id .. ' ' .. ARGV[6])
return 1
