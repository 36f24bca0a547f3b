-- sync: one report of one replica about one breaker.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   channel            for the push
-- ARGV[3]   policy             the replica's, 16 integers (policy.lua)
-- ARGV[4]   replica            name
-- ARGV[5]   known generation
-- ARGV[6]   known rev
-- ARGV[7]   known details      (repair.lua); read only if one of the two is above the store's
-- ARGV[8]   announce           0 or 1
-- ARGV[9]   seq
-- ARGV[10]  generation         in which the outcomes were admitted
-- ARGV[11]  max age            ms
-- ARGV[12]  rejected           calls
-- ARGV[13]  own open           0 or 1
-- ARGV[14]  runs               a line each: kind (0 good, 1 failed, 2 slow, 3 failed and slow, 4 ignored, 5 slow and given
--                              up by its caller), count, blank, age in ms, blank, label; '' for a sign of life
-- ARGV[15]  sent at            the store's clock when it was sent, as the replica reckons it, in ms since 1970; 0: not known
-- ARGV[16]  token              of this request; the reply brings it back, so that a misplaced one is known
--
-- Returns   'ok', token, fresh, pushed, made, snapshot: 19 elements (save.lua)
-- Returns   'invalid', token, field, number: a known number that is too high, or for how many ms the report was under way
--           if that is too long; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local policy, replica, runs = ARGV[3], ARGV[4], ARGV[14]
local field_name = 'r:' .. replica
local b, refused = load(KEYS[1], now or ARGV[1], read, field_name, 'window')
if not b then return refused end
local known = { gen = number(ARGV[5]), rev = number(ARGV[6]), details = ARGV[7] }
local report = { seq = number(ARGV[9]), own = ARGV[13] == '1' and 1 or 0, policy = policy }
local gen, max_age, rejected, sent_at = number(ARGV[10]), number(ARGV[11]), number(ARGV[12]), number(ARGV[15])
if not (known.gen and known.rev and report.seq and gen and max_age and rejected and sent_at) then
  return corrupt('ARGV')
end
local late = lateness(b, sent_at)
if late > math.min(max_age, TOO_LATE) then return { 'invalid', ARGV[16], 'Report.SentAt', text(late) } end
max_age = max_age - late
local bad_field = check_known(b, known)
if bad_field then
  return { 'invalid', ARGV[16], bad_field, text(bad_field == 'Known.Rev' and known.rev or known.gen) }
end

local raw = b.f[field_name] or ''
local entry = parse_replica(b, raw)
-- mutant: again
local again = report.seq <= (entry and entry.seq or 0)
local active = runs ~= '' and not again
if b.tombstone then
  b.tombstone.finish = b.m + DAY
  if not b.tombstone.hidden and not active and not behind(b, known) then return save(b, ARGV[2]) end
end
begin(b, policy)
repair(b, known, replica)
expire(b, replica)
if ARGV[8] == '1' and not again and policy_differs(b.fleet, policy) then -- the last deploy wins
  load_window(b)
  b.fleet, b.rev, roll_roster(b).conflict = policy, next_number(b.rev, b.m), 0
  changes().refit(b)
  b.window_changed = true
end
entry = touch_replica(b, replica, raw, entry, report, again, active)
if b.tombstone and active then unhide(b) end
if not again then
  if rejected > 0 then count(b, 0, 0, 0, 0, 0, rejected) end
  if runs ~= '' then
    load_window(b)
    take_runs(b, entry, runs, gen, max_age, replica)
  end
end

put(b, field_name, string.format('%d %d %d %d %d %d %d', entry.seen, entry.seq, entry.calls, entry.failures, entry.own,
  entry.conflict, entry.slice))
sweep(b, replica)
local t = b.roster
if t then
  put(b, 'roster', string.format('%d %d %d %d %d %d %d %d %d %d %d', t.slice, t.left, t.seen[1], t.seen[2], t.seen[3],
    t.active[1], t.active[2], t.active[3], t.size, t.next, t.conflict))
end
return save(b, ARGV[2])
