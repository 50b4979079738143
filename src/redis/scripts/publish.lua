-- KEYS: the lease, where it is if it was detached, the result.
-- ARGV: the lease's id, the message to push, the message to store ('' for none, '=' for the same), its time in ms.
local at = KEYS[1]
if redis.call('HGET', at, 'id') ~= ARGV[1] then
  at = KEYS[2]
  if redis.call('EXISTS', at) == 0 then return -1 end
end
local fields = redis.call('HKEYS', at)
redis.call('DEL', at)
if #fields == 1 then return 0 end
if ARGV[3] == '=' then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[4])
elseif ARGV[3] ~= '' then
  redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
end
for _, field in ipairs(fields) do
  local channel, number = string.match(field, '^(%S+) (%d+)$')
  if channel then redis.call('PUBLISH', channel, number .. ' ' .. ARGV[2]) end
end
return #fields - 1
