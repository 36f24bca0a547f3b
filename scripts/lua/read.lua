-- read: fields of a hash, and the clock of the server that holds it. Only a Cluster needs it: elsewhere TIME and HMGET go
-- in one pipeline. It writes nothing.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1..] fields             at least one
--
-- Returns   seconds, microseconds, fields: 2 + number of fields elements, absent fields nil
local t = redis.call('TIME')
local r = redis.call('HMGET', KEYS[1], unpack(ARGV))
table.insert(r, 1, t[2])
table.insert(r, 1, t[1])
return r
