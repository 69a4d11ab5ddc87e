-- Looks at jobs of one project at another time, each only if it is still due when it was read to be.
--
-- KEYS  due
-- ARGV  for each job: id, when it was due, when it is to be
-- Returns how many it was.
--
-- What a worker says between the reading and this makes a job due at another time, which counts.

local count = 0
for at = 1, #ARGV, 3 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if score and tonumber(score) == tonumber(ARGV[at + 1]) then
    redis.call('ZADD', KEYS[1], ARGV[at + 2], ARGV[at])
    count = count + 1
  end
end
return count
