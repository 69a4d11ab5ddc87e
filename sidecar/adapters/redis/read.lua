-- Reads jobs of one project as they stand at one moment.
--
-- KEYS  rev, then one document for each job
-- Returns epoch (nil before the first write), then for each job {tag, document, rev}, nils if there is none.
--
-- A script, because the client library takes 10 us for each command of a pipeline and as much for its answer.

local answers = {redis.call('HGET', KEYS[1], 'epoch')}
for key = 2, #KEYS do
  answers[key] = redis.call('HMGET', KEYS[key], 'tag', 'document', 'rev')
end
return answers
