-- Forgets one job if it is still what the caller read, and tells the listeners.
--
-- KEYS  rev, changed, outbox, counts, gone, created, updated, active, idle, due, stalled, finished, the document
-- ARGV  id, expected tag, count field, event, published row, when its tombstone may go
-- Returns 1 if it is gone, 0 if it has changed meanwhile.
--
-- The tombstone is the id's rev in `changed` without a document: whoever resumes from before hears that it is gone.

local rev, changed, outbox, counts, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id = ARGV[1]
if redis.call('HGET', KEYS[13], 'tag') ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[13])
for key = 6, 12 do
  redis.call('ZREM', KEYS[key], id)
end
if redis.call('HINCRBY', counts, ARGV[3], -1) <= 0 then
  redis.call('HDEL', counts, ARGV[3])
end
local number = redis.call('HINCRBY', rev, 'rev', 1)
redis.call('ZADD', changed, number, id)
redis.call('ZADD', gone, ARGV[6], id)
redis.call('XADD', outbox, '*', 'job', id, 'event', ARGV[4])
redis.call('PUBLISH', string.sub(rev, 1, -5), redis.call('HGET', rev, 'epoch') .. ' ' .. number .. ' ' .. id .. ' ' .. ARGV[5])
return 1
