-- Reads what has changed of one project, each job as it stands at this one moment.
--
-- KEYS  rev, changed
-- ARGV  the rev after which to read, how many at most, what the keys of documents begin with (all of one slot)
-- Returns {epoch, rev, base, cut} of the project, then for each job {id, rev, tag, document}, the last two nil if it is
-- gone.
--
-- Index and documents together: read one after the other, a document could be newer than its place in the order.

local answers = {redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'base', 'cut')}
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for at = 1, #found, 2 do
  local stored = redis.call('HMGET', ARGV[3] .. found[at], 'tag', 'document')
  answers[#answers + 1] = {found[at], found[at + 1], stored[1], stored[2]}
end
return answers
