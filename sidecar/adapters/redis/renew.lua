-- Notes that a project is up to date on this server, and begins a new epoch if cursors of before mean nothing any more.
--
-- KEYS  rev
-- ARGV  the new epoch, run id of the server, the rev up to which everybody has seen everything, whether a new epoch is
--       due in any case (1/0)
-- `restored` is the run id of the server on which the project was last brought up to date: in an epoch that began on
-- another one nothing is recorded. A project that is not here yet gets that mark alone.

local run = redis.call('HGET', KEYS[1], 'run')
if run and (run ~= ARGV[2] or ARGV[4] == '1') then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'run', ARGV[2], 'base', ARGV[3])
end
redis.call('HSET', KEYS[1], 'restored', ARGV[2])
return 1
