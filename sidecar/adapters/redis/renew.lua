-- Notes that a project is up to date on this server, and begins a new epoch if cursors of before mean nothing any more.
--
-- KEYS  rev
-- ARGV  the new epoch, run id of the server, the rev up to which everybody has seen everything, whether a new epoch is
--       due in any case (1/0), whether the project is whole (1/0)
-- `restored` is the run id of the server on which the project was last brought up to date: in an epoch that began on
-- another one nothing is recorded. A project that is not here yet gets that mark alone; one that is not whole none.
--
-- Several sidecars bring it up to date at about the same time, and those who follow one have not seen what another one
-- has just told: of epochs that begin within a minute the first knows best where everybody stood.

local run, base, begun = unpack(redis.call('HMGET', KEYS[1], 'run', 'base', 'begun'))
if run and (run ~= ARGV[2] or ARGV[4] == '1') then
  local now, known = tonumber(redis.call('TIME')[1]), tonumber(ARGV[3])
  if run == ARGV[2] and base and begun and now - tonumber(begun) < 60 then
    known = math.min(known, tonumber(base))
  end
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'run', ARGV[2], 'base', known, 'begun', now)
end
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[1], 'restored', ARGV[2])
end
return 1
