-- KEYS: the lease, where it is if it was detached. ARGV: its id, its time in ms.
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
