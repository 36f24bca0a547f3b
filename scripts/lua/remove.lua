-- remove: forgets a breaker, but leaves a tombstone for a day, so that its numbers do not come back.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   token              of this request; the reply brings it back, so that a misplaced one is known
--
-- Returns   'removed', token
-- Returns   'absent', token: there is no such breaker, or none to be seen; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local b, refused = load(KEYS[1], ARGV[1])
if not b then return refused end
if b.blank or b.tombstone then return { 'absent', ARGV[2] } end
local gen, rev = next_number(b.gen, b.m), next_number(b.rev, b.m)
b.f, b.wipe, b.blank, b.moved, b.gen, b.rev = {}, true, true, true, gen, rev
b.state, b.since, b.until_, b.openings, b.successes, b.cause = CLOSED, b.m, 0, 0, 0, ''
b.tombstone = { hidden = false, gen = gen, rev = rev, finish = b.m + DAY }
put_numbers(b)
write(b)
return { 'removed', ARGV[2] }
