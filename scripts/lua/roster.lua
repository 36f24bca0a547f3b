-- The replicas that report. A replica's entry counts while its last report lies in this slice of machine time or the one before. What
-- lies longer ago is swept away, two entries a script, once a slice. The names are numbered q0, q1, ... without a gap, so
-- that a script need never read the whole roster.
--
-- The field roster: slice; how many names are still to be looked at in it; replicas that reported in it, in the one
-- before, in both; the same three of replicas that reported outcomes; how many names are numbered; the next to look at;
-- when a report last brought another policy than the fleet's, plus 1, or 0.
--
-- An entry: seen seq calls failures own_open conflict slice, the last in which it reported outcomes, or -1.

-- The slice of time in which the roster counts replicas.
local function slice_of(t) return math.floor(t / SLICE_FOR) end

-- The counters, moved on to the slice of b.m. Most reports need none of them.
local function roll_roster(b)
  if b.roster then return b.roster end
  local slice, s = slice_of(b.m), b.f.roster or ''
  local t = { slice = slice, left = 0, seen = { 0, 0, 0 }, active = { 0, 0, 0 }, size = 0, next = 0, conflict = 0 }
  b.roster = t
  if s == '' then return t end
  local old, left, s1, s2, s3, a1, a2, a3, size, following, conflict = string.match(s,
    '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not old then
    mark_corrupt(b, 'roster')
    return t
  end
  t.size, t.next, t.conflict, old = tonumber(size), tonumber(following), tonumber(conflict), tonumber(old)
  if old == slice then
    t.left = tonumber(left)
    t.seen, t.active = { tonumber(s1), tonumber(s2), tonumber(s3) }, { tonumber(a1), tonumber(a2), tonumber(a3) }
  else
    t.left = t.size
    if old == slice - 1 then t.seen[2], t.active[2] = tonumber(s1), tonumber(a1) end
  end
  return t
end

-- The entry in s; nil if it no longer counts, or if there is none.
local function parse_replica(b, s)
  local seen, seq, calls, failures, slice = string.match(s, '^(%d+) (%d+) (%d+) (%d+) [01] [01] (%-?%d+)$')
  if not seen then return nil end
  seen = tonumber(seen)
  if slice_of(seen) < slice_of(b.m) - 1 then return nil end
  return { seen = seen, seq = tonumber(seq), calls = tonumber(calls), failures = tonumber(failures),
    slice = tonumber(slice) }
end

-- Counts a replica's first report in a slice. last is the slice of the report before it, -1 if there was none.
local function arrive(counters, slice, last)
  counters[1] = counters[1] + 1
  if last == slice - 1 then counters[3] = counters[3] + 1 end
end

-- Enters a report of a replica into the roster and gives the replica's entry. raw is the field that held it, entry what
-- parse_replica made of that. active: the report has outcomes. A repeat keeps seq.
local function touch_replica(b, name, raw, entry, report, again, active)
  local slice = slice_of(b.m)
  if not entry then
    if raw == '' then
      local t = roll_roster(b)
      b.inserted = t.size
      b.writes[#b.writes + 1] = 'q' .. text(t.size)
      b.writes[#b.writes + 1] = name
      t.size = t.size + 1
    elseif not string.find(raw, '^%d+ %d+ %d+ %d+ [01] [01] %-?%d+$') then
      mark_corrupt(b, 'r:' .. name)
    end
    entry = { seen = -SLICE_FOR, seq = 0, calls = 0, failures = 0, slice = -1 }
  end
  local last = slice_of(entry.seen)
  if last ~= slice then arrive(roll_roster(b).seen, slice, last) end
  entry.seen, entry.own, entry.conflict = b.m, report.own, policy_differs(b.fleet, report.policy) and 1 or 0
  if entry.conflict == 1 then
    roll_roster(b).conflict = b.m + 1
    b.writes[#b.writes + 1] = 'p:' .. name
    b.writes[#b.writes + 1] = report.policy
  elseif string.find(raw, '^%d+ %d+ %d+ %d+ [01] 1 ') then
    b.drops[#b.drops + 1] = 'p:' .. name
  end
  if not again then entry.seq = report.seq end
  if active and entry.slice ~= slice then
    arrive(roll_roster(b).active, slice, entry.slice)
    entry.slice = slice
  end
  return entry
end

-- Looks at two more names of this slice's sweep, and gives the last number to the place of one that is gone. mine has
-- just reported and need not be read.
local function sweep(b, mine)
  local swept = text(slice_of(b.m)) .. ' 0 '
  if not b.roster and string.sub(b.f.roster, 1, #swept) == swept then return end
  local t = roll_roster(b)
  for _ = 1, 2 do
    if t.left <= 0 or t.size <= 0 then return end
    t.left = t.left - 1
    if t.next >= t.size then t.next = 0 end
    local here, last = 'q' .. text(t.next), 'q' .. text(t.size - 1)
    local names = redis.call('HMGET', b.key, here, last)
    local name = b.moved_to == here and b.moved_name or names[1]
    local raw = name and name ~= mine and redis.call('HMGET', b.key, 'r:' .. name)[1]
    if name == mine or b.inserted == t.size - 1 or raw and parse_replica(b, raw) then
      t.next = t.next + 1
    elseif not names[2] then
      t.size = t.size - 1
    else
      if last ~= here then
        b.writes[#b.writes + 1] = here
        b.writes[#b.writes + 1] = names[2]
        b.moved_to, b.moved_name = here, names[2]
      end
      b.drops[#b.drops + 1] = last
      if name then
        b.drops[#b.drops + 1] = 'r:' .. name
        b.drops[#b.drops + 1] = 'p:' .. name
      end
      t.size = t.size - 1
    end
  end
end
