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
local policy, replica, runs = ARGV[3], ARGV[4], ARGV[14]
local raw = 'r:' .. replica
local b, refused = load(KEYS[1], now or ARGV[1], read, raw, 'window')
if not b then return refused end
local known = { gen = number(ARGV[5]), rev = number(ARGV[6]), details = ARGV[7] }
local report = { seq = number(ARGV[9]), own = ARGV[13] == '1' and 1 or 0, runs = runs }
local gen, max_age, rejected = number(ARGV[10]), number(ARGV[11]), number(ARGV[12])
if not (known.gen and known.rev and report.seq and gen and max_age and rejected) then return corrupt('ARGV') end
local high = too_high(b, known)
if high then return { 'invalid', high, text(high == 'Known.Rev' and known.rev or known.gen) } end

local ends = runs ~= '' and report.seq > 0
if b.tomb then
  b.tomb.finish = b.m + DAY
  if b.tomb.bare then
    if not ends and not above(b, known) then return save(b, ARGV[2]) end
    b.tomb.bare, b.blank, b.moved, b.commanded = false, true, true, true
  end
end
if b.fleet == '' then b.fleet = policy end
local entry, again = meet(b, replica, b.f[raw] or '', report)
repair(b, known, replica)
expire(b, replica)

if policy ~= b.fleet then
  if ARGV[8] == '1' and not again then
    load_window(b)
    b.fleet, b.rev, roster(b).conflict = policy, after(b, b.rev), 0
    change().refit(b)
    b.window_changed = true
  else
    entry.conflict, roster(b).conflict = 1, b.m + 1
  end
end
if b.tomb and ends and not again then
  if b.gen == b.tomb.gen then b.gen, b.since = after(b, b.gen), b.m end
  if b.rev == b.tomb.rev then b.rev = after(b, b.rev) end
  b.tomb, b.appeared, b.moved = nil, true, true
end
if not again then
  if rejected > 0 then count(b, REJECTED, rejected) end
  if runs ~= '' then
    load_window(b)
    take_runs(b, entry, runs, gen, max_age, replica)
  end
end

put(b, raw, string.format('%d %d %d %d %d %d %d', entry.seen, entry.seq, entry.calls, entry.failures,
  entry.own, entry.conflict, entry.slice))
sweep(b, replica)
if b.roster then put(b, 'roster', format_roster(b.roster)) end
return save(b, ARGV[2])
