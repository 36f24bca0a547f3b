-- sync: one report of one replica about one breaker.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   channel            for the push
-- ARGV[3]   policy             the replica's, 16 integers (policy.lua)
-- ARGV[4]   replica            name
-- ARGV[5]   known generation
-- ARGV[6]   known rev
-- ARGV[7]   known details      (repair.lua); read only where one of the two is above the store's
-- ARGV[8]   announce           0 or 1
-- ARGV[9]   seq
-- ARGV[10]  generation         in which the outcomes were admitted
-- ARGV[11]  max age            ms
-- ARGV[12]  rejected           calls
-- ARGV[13]  own open           0 or 1
-- ARGV[14]  runs               a line each: kind (0 good, 1 failed, 2 slow, 3 failed and slow, 4 ignored), count, blank,
--                              age in ms, blank, label; '' for a sign of life
--
-- Returns   'ok', fresh, pushed, made, face: 18 elements (save.lua)
-- Returns   'invalid', field, number: a known number that is too high; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local b, refused = load(KEYS[1], ARGV[1], 'r:' .. ARGV[4])
if not b then return refused end
local policy, replica = ARGV[3], ARGV[4]
local known = { gen = int(ARGV[5]), rev = int(ARGV[6]), details = ARGV[7] }
local report = {
  announce = ARGV[8] == '1', seq = int(ARGV[9]), gen = int(ARGV[10]), max_age = int(ARGV[11]),
  rejected = int(ARGV[12]), own = ARGV[13] == '1' and 1 or 0, runs = ARGV[14],
}
if not (known.gen and known.rev and report.seq and report.gen and report.max_age and report.rejected) then
  return corrupt('ARGV')
end
local high = too_high(b, known)
if high then return { 'invalid', high, text(high == 'Known.Rev' and known.rev or known.gen) } end

local ends = report.runs ~= '' and report.seq > 0
if b.tomb then
  b.tomb.finish = b.m + DAY
  if b.tomb.bare and not ends and not above(b, known) then return save(b, ARGV[2]) end
  b.tomb.bare = false
end
if b.fleet == '' then b.fleet = policy end
local raw = b.f['r:' .. replica] or ''
local bad = choose_policy(b) or load_window(b) or load_roster(b)
if bad then return corrupt(bad) end
local adverse = string.find(report.runs, '^[123]') or string.find(report.runs, '\n[123]')
if adverse and not (reporters(b, 'by_failure') and reporters(b, 'by_slow') and reporters(b, 'by_streak')) then
  return corrupt('by_failure, by_slow or by_streak')
end
if raw ~= '' and not ints(raw, '^(%d+) (%d+) (%d+) (%d+) ([01]) ([01]) (%-?%d+)$') then return corrupt('r:' .. replica) end

local entry, again = meet(b, replica, raw, report)
bad = repair(b, known, replica) or expire(b, replica)
if bad then return corrupt(bad) end

if policy ~= b.fleet then
  if report.announce and not again then
    b.fleet, b.rev, b.roster[11] = policy, after(b, b.rev), 0
    bad = refit(b)
    if bad then return corrupt(bad) end
  else
    conflict(b, entry)
  end
end
if b.tomb and ends and not again then
  if b.gen == b.tomb.gen then b.gen, b.since = after(b, b.gen), b.m end
  if b.rev == b.tomb.rev then b.rev = after(b, b.rev) end
  b.tomb, b.fresh = nil, true
end
if not again then
  count(b, REJECTED, report.rejected)
  take_runs(b, entry, report.runs, report.gen, report.max_age, replica)
end

put(b, 'r:' .. replica, string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f', entry.seen, entry.seq, entry.calls,
  entry.failures, entry.own, entry.conflict, entry.slice))
sweep(b, replica)
return save(b, ARGV[2])
