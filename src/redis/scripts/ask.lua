-- KEYS: the lease, and, if the asker follows one: its result, and where it is if it was detached.
-- ARGV: the asker, the channel and the number that it is told by, the lease's time in ms, the least token.
if KEYS[2] then
  local result = redis.call('GET', KEYS[2])
  if result then return {2, result} end
  -- Detached, it goes on, and its end is told to those that follow it.
  local detached = redis.call('HGET', KEYS[3], 'id')
  if detached then
    redis.call('HSET', KEYS[3], ARGV[2], '')
    return {0, detached, redis.call('PTTL', KEYS[3])}
  end
end
local lease = redis.call('HGET', KEYS[1], 'id')
if lease then
  redis.call('HSET', KEYS[1], ARGV[2], '')
  return {0, lease, redis.call('PTTL', KEYS[1])}
end
local time = redis.call('TIME')
local token = time[1] * 1000000 + time[2]
local least = tonumber(ARGV[4])
if token < least then token = least end
-- Not by tostring, which would give 1.7e+15.
lease = string.format('%.0f', token) .. ':' .. ARGV[1]
redis.call('HSET', KEYS[1], 'id', lease)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, lease}
