-- Reads what has changed of one project, each job as it stands at this one moment.
--
-- KEYS  rev, changed, gone
-- ARGV  the rev after which to read, about how many at most, what the keys of documents begin with (all of one slot)
-- Returns {epoch, rev, base, cut, up to which rev it was read ("" if to the end)} of the project, then for each job
-- {id, rev, tag, document}; instead of the last two {id, rev, 'gone'} if it was deleted, {id, rev, 'lost'} if it was not
-- and is not there. The lost ones count for nothing, up to a bound.
--
-- Index and documents together: read one after the other, a document could be newer than its place in the order. And
-- the tombstones: what is missing without one was not deleted, but evicted.

local answers = {redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'base', 'cut')}
local after, limit, kept, looked = ARGV[1], tonumber(ARGV[2]), 0, 0
while after ~= '' and kept < limit and looked < 1000 do
  local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  after = #found == 2 * limit and found[#found] or ''
  looked = looked + limit
  for at = 1, #found, 2 do
    local stored = redis.call('HMGET', ARGV[3] .. found[at], 'tag', 'document')
    if stored[1] then
      answers[#answers + 1] = {found[at], found[at + 1], stored[1], stored[2]}
      kept = kept + 1
    elseif redis.call('ZSCORE', KEYS[3], found[at]) then
      answers[#answers + 1] = {found[at], found[at + 1], 'gone'}
      kept = kept + 1
    else
      answers[#answers + 1] = {found[at], found[at + 1], 'lost'}
    end
  end
end
answers[1][5] = after
return answers
