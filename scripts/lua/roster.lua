-- Who reports. A replica's entry counts while its last report lies in this slice of machine time or the one before;
-- what lies longer ago is swept away, two entries a script, once a slice. The names are numbered q0, q1, ... without a
-- gap, so that a script need never read the whole roster.
--
-- The field roster: slice; replicas that reported in it, in the one before, in both; the same three of replicas that
-- reported outcomes; how many names are numbered, the next to look at, how many are still to be looked at in this slice;
-- when a report last brought another policy than the fleet's, plus 1, or 0.
--
-- An entry: seen seq calls failures own_open conflict slice, the last in which it reported outcomes, or -1.
local SLICE, CONFLICT_FOR, SWEEP = 30000, 60000, 2

-- Reads the counters and moves them on to the slice of m.
local function load_roster(b)
  local slice = math.floor(b.m / SLICE)
  local t = { slice, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
  local s = b.f.roster or ''
  if s ~= '' then
    t = { string.match(s, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$') }
    if #t ~= 11 then
      spoil(b, 'roster')
      t = { slice, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
    end
    for i = 1, 11 do t[i] = tonumber(t[i]) end
  end
  if t[1] < slice then
    if t[1] == slice - 1 then
      t[3], t[6] = t[2], t[5]
    else
      t[3], t[6] = 0, 0
    end
    t[1], t[2], t[4], t[5], t[7], t[10] = slice, 0, 0, 0, 0, t[8]
    b.met = true
  end
  b.roster = t
end

-- The entry in s; nil where it no longer counts, or where there is none.
local function parse_replica(b, s)
  local seen, seq, calls, failures, slice = string.match(s, '^(%d+) (%d+) (%d+) (%d+) [01] [01] (%-?%d+)$')
  if not seen then return nil end
  seen = tonumber(seen)
  if math.floor(seen / SLICE) < b.roster[1] - 1 then return nil end
  return { seen = seen, seq = tonumber(seq), calls = tonumber(calls), failures = tonumber(failures),
    slice = tonumber(slice) }
end

-- Counts a report of a replica in the three counters from i on; last is the slice of its last such report, -1 for none.
local function count_replica(b, i, last)
  local t = b.roster
  if last == t[1] then return end
  b.met = true
  t[i] = t[i] + 1
  if last == t[1] - 1 then t[i + 2] = t[i + 2] + 1 end
end

-- Notes a report of name: its entry is raw, the field's string. Returns the entry, and whether this report was seen
-- before.
local function meet(b, name, raw, report)
  local t = b.roster
  local entry = parse_replica(b, raw)
  if not entry and raw ~= '' and not string.find(raw, '^%d+ %d+ %d+ %d+ [01] [01] %-?%d+$') then spoil(b, 'r:' .. name) end
  count_replica(b, 2, entry and math.floor(entry.seen / SLICE) or -1)
  if not entry then
    entry = { seq = 0, calls = 0, failures = 0, slice = -1 }
    if raw == '' then
      b.inserted = t[8]
      b.writes[#b.writes + 1] = 'q' .. text(t[8])
      b.writes[#b.writes + 1] = name
      t[8] = t[8] + 1
    end
  end
  entry.seen, entry.own, entry.conflict = b.m, report.own, 0
  local again = report.seq <= entry.seq
  if not again then
    entry.seq = report.seq
    if report.runs ~= '' then
      count_replica(b, 5, entry.slice)
      entry.slice = t[1]
    end
  end
  return entry, again
end

-- How many replicas reported outcomes lately.
local function reporting(b) return b.roster[5] + b.roster[6] - b.roster[7] end

-- Notes that a report's policy is not the fleet's.
local function conflict(b, entry)
  entry.conflict = 1
  b.roster[11], b.met = b.m + 1, true
end

-- Looks at two more names of this slice's sweep, and gives the last number to the place of one that is gone. mine has
-- just reported and need not be read.
local function sweep(b, mine)
  local t = b.roster
  for _ = 1, SWEEP do
    if t[10] <= 0 or t[8] <= 0 then return end
    t[10], b.met = t[10] - 1, true
    if t[9] >= t[8] then t[9] = 0 end
    local here, last = 'q' .. text(t[9]), 'q' .. text(t[8] - 1)
    local names = redis.call('HMGET', b.key, here, last)
    local name = b.moved == here and b.moved_name or names[1]
    local raw = name and name ~= mine and redis.call('HMGET', b.key, 'r:' .. name)[1]
    if name == mine or b.inserted == t[8] - 1 or raw and parse_replica(b, raw) then
      t[9] = t[9] + 1
    elseif not names[2] then
      t[8] = t[8] - 1
    else
      if last ~= here then
        b.writes[#b.writes + 1] = here
        b.writes[#b.writes + 1] = names[2]
        b.moved, b.moved_name = here, names[2]
      end
      b.drops[#b.drops + 1] = last
      if name then b.drops[#b.drops + 1] = 'r:' .. name end
      t[8] = t[8] - 1
    end
  end
end
