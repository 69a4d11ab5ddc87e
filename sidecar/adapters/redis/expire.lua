-- Lets finished jobs go that the history has: each only if it is still what the caller read. Nobody is told.
--
-- KEYS  rev, changed, outbox, counts, gone, created, updated, active, idle, due, stalled, finished,
--       then one document for each job
-- ARGV  for each job: id, expected tag, count field
-- Returns for each job 1 if it has left, 0 if it has changed meanwhile.
--
-- `cut` in the hash of the rev is the highest rev that is no longer in the order of changes: who resumes from before
-- may have missed something.

local rev, counts = KEYS[1], KEYS[4]
local leaving = {KEYS[2], KEYS[6], KEYS[7], KEYS[12]}
local cut = tonumber(redis.call('HGET', rev, 'cut') or 0)
local answers = {}
for number = 1, #ARGV / 3 do
  local id, tag, field = ARGV[3 * number - 2], ARGV[3 * number - 1], ARGV[3 * number]
  local document = KEYS[12 + number]
  local stored = redis.call('HMGET', document, 'tag', 'rev')
  if stored[1] == tag then
    cut = math.max(cut, tonumber(stored[2]))
    redis.call('DEL', document)
    for _, key in ipairs(leaving) do
      redis.call('ZREM', key, id)
    end
    if redis.call('HINCRBY', counts, field, -1) <= 0 then
      redis.call('HDEL', counts, field)
    end
    answers[number] = 1
  else
    answers[number] = 0
  end
end
redis.call('HSET', rev, 'cut', cut)
return answers
