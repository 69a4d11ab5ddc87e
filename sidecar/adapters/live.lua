-- Stores changed jobs of one project, each only if it is still what the caller read.
--
-- KEYS  rev, changed, outbox, created, updated, active, idle, counts, gone, then one document for each job
-- ARGV  epoch to use if a new one is due, run id of the server, most entries of the outbox,
--       then for each job 13 values and its events:
--       id, expected tag ("" if there must be none), new tag, document, published row, old and new count field,
--       created_at, updated_at, last_progress_at, is active (1/0), is told (1/0), number of events, events...
-- Returns epoch, then for each job {1, rev} if stored, or {0, tag, document, rev} as it is now.
--
-- The tag changes with every write, the rev only with what listeners are told. A server with another run id may have
-- lost its last writes, so that cursors of before mean nothing any more: the epoch changes.

local rev, changed, outbox, created, updated = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local active, idle, counts, gone = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local channel = string.sub(rev, 1, -5)

local function epoch_now()
  local known = redis.call('HMGET', rev, 'epoch', 'run')
  if known[1] and known[2] == ARGV[2] then
    return known[1]
  end
  redis.call('HSET', rev, 'epoch', ARGV[1], 'run', ARGV[2])
  return ARGV[1]
end

local function count(old, new)
  if old == new then
    return
  end
  redis.call('HINCRBY', counts, new, 1)
  if old ~= '' and redis.call('HINCRBY', counts, old, -1) <= 0 then
    redis.call('HDEL', counts, old)
  end
end

local function index(id, at, is_active)
  redis.call('ZREM', gone, id)
  redis.call('ZADD', created, ARGV[at + 7], id)
  redis.call('ZADD', updated, ARGV[at + 8], id)
  if is_active then
    redis.call('ZADD', active, ARGV[at + 7], id)
    redis.call('ZADD', idle, ARGV[at + 9], id)
  else
    redis.call('ZREM', active, id)
    redis.call('ZREM', idle, id)
  end
  count(ARGV[at + 5], ARGV[at + 6])
end

local epoch = epoch_now()
local answers = {epoch}
local at = 4
for key = 10, #KEYS do
  local id, is_told, events = ARGV[at], ARGV[at + 11] == '1', tonumber(ARGV[at + 12])
  local known = redis.call('HMGET', KEYS[key], 'tag', 'rev')
  if (known[1] or '') == ARGV[at + 1] then
    local number = known[2]
    if is_told then
      number = redis.call('HINCRBY', rev, 'rev', 1)
      redis.call('ZADD', changed, number, id)
      index(id, at, ARGV[at + 10] == '1')
    end
    redis.call('HSET', KEYS[key], 'tag', ARGV[at + 2], 'rev', number, 'document', ARGV[at + 3])
    for event = 1, events do
      redis.call('XADD', outbox, 'MAXLEN', '~', ARGV[3], '*', 'job', id, 'event', ARGV[at + 12 + event])
    end
    if is_told then
      redis.call('PUBLISH', channel, epoch .. ' ' .. number .. ' ' .. id .. ' ' .. ARGV[at + 4])
    end
    answers[#answers + 1] = {1, tonumber(number)}
  else
    answers[#answers + 1] = {0, known[1], redis.call('HGET', KEYS[key], 'document'), known[2]}
  end
  at = at + 13 + events
end
return answers
