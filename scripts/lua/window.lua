-- The window, the streak, the labels, and whose outcomes they are.
local REPORTERS, LABELS = 16, 32

local function empty_window(b)
  b.calls, b.failures, b.slow, b.streak, b.first = 0, 0, 0, 0, 0
  b.w, b.cut, b.buckets, b.arrivals = '', 0, {}, 0
  b.by = { by_failure = {}, by_slow = {}, by_streak = {} }
  b.window_changed = true
end

-- The bucket that machine time t lies in, of a window of time.
local function bucket_of(b, t) return math.floor(t * 10 / b.p.window_time) end

-- Reads window and streak into b, without the buckets that have ended. Gives the name of a bad field.
local function load_window(b)
  local f = b.f
  b.by, b.labels = {}, f.labels or ''
  if not f.tally or f.tally == '' then
    empty_window(b)
    if b.fresh or b.tomb then return end
    return 'tally'
  end
  local kind, streak, first, rest = string.match(f.tally, '^([ct]) (%d+) (%d+)(.*)$')
  if not kind or (kind == 'c') ~= (b.p.window_calls > 0) then return 'tally' end
  b.streak, b.first, b.calls, b.failures, b.slow = int(streak), int(first), 0, 0, 0
  if not b.streak or not b.first then return 'tally' end
  if kind == 'c' then
    local t = ints(rest, '^ (%d+) (%d+) (%d+)$')
    if not t or t[1] ~= #f.window or t[1] > b.p.window_calls or t[2] > t[1] or t[3] > t[1] then return 'tally' end
    if string.find(f.window, '[^0123]') then return 'window' end
    b.calls, b.failures, b.slow, b.w, b.cut = t[1], t[2], t[3], f.window, 0
    return
  end
  local oldest, at = bucket_of(b, b.m) - 9, 1
  b.buckets = {}
  for from, i, calls, failures, slow, to in string.gmatch(rest, '() (%-?%d+) (%d+) (%d+) (%d+)()') do
    local t = { tonumber(calls), tonumber(failures), tonumber(slow) }
    i = tonumber(i)
    if from ~= at or i > MAX or t[1] > MAX or t[2] > t[1] or t[3] > t[1] then return 'tally' end
    at = to
    if i >= oldest and i <= oldest + 9 then
      b.buckets[i] = t
      b.calls, b.failures, b.slow = b.calls + t[1], b.failures + t[2], b.slow + t[3]
    end
  end
  if at ~= #rest + 1 then return 'tally' end
end

-- Cuts n outcomes off the front of a window of calls.
local function cut_window(b, n)
  if n <= 0 then return end
  if b.failures > 0 or b.slow > 0 then
    local gone = string.sub(b.w, b.cut + 1, b.cut + n)
    local _, failures = string.gsub(gone, '[13]', '')
    local _, slow = string.gsub(gone, '[23]', '')
    b.failures, b.slow = b.failures - failures, b.slow - slow
  end
  b.cut, b.calls = b.cut + n, b.calls - n
end

-- Takes the policy in force anew after a change of the fleet's or an operator's: another number of calls keeps the
-- newest, another kind or time empties window and streak. Gives the name of a bad field.
local function refit(b)
  local old = b.p
  local bad = choose_policy(b)
  if bad then return bad end
  if old.window_time ~= b.p.window_time or (old.window_calls > 0) ~= (b.p.window_calls > 0) then
    empty_window(b)
  elseif b.p.window_calls > 0 and b.calls > b.p.window_calls then
    cut_window(b, b.calls - b.p.window_calls)
    b.window_changed = true
  end
end

-- The list of replicas behind one kind of adverse outcomes; nil where the field is no such list.
local function reporters(b, kind)
  local list = b.by[kind]
  if list then return list end
  local s, at = b.f[kind] or '', 1
  list = {}
  for from, place, arrival, name, to in string.gmatch(s, '()(%-?%d+) (%d+) ([^\n]+)\n()') do
    if from ~= at then return nil end
    at = to
    list[#list + 1] = { name = name, place = tonumber(place), arrival = tonumber(arrival) }
  end
  if at ~= #s + 1 or #list > REPORTERS then return nil end
  b.by[kind] = list
  return list
end

-- Moves name to its newest place in list; a place never moves back. Of more than 16 the lowest goes: by place, and where
-- they tie, the earlier arrival.
local function touch(list, name, place, arrival)
  local mine = list.mine
  if not mine or mine.name ~= name then
    mine = nil
    for i = 1, #list do
      if list[i].name == name then mine = list[i] end
    end
  end
  if mine then
    if place >= mine.place then mine.place, mine.arrival = place, arrival end
    list.mine = mine
    return
  end
  local entry = { name = name, place = place, arrival = arrival }
  if #list < REPORTERS then
    list[#list + 1] = entry
    list.mine = entry
    return
  end
  local low = 1
  for i = 2, #list do
    local e = list[i]
    if e.place < list[low].place or e.place == list[low].place and e.arrival < list[low].arrival then low = i end
  end
  if place >= list[low].place then
    list[low] = entry
    list.mine = entry
  end
end

-- The lowest place that a rule of rates still counts.
local function lowest_place(b)
  if b.p.window_calls > 0 then return b.arrivals - b.calls + 1 end
  return bucket_of(b, b.m) - 9
end

-- Adds the labels of n failures.
local function add_labels(b, label, n)
  local labels = b.labels .. string.rep(label .. '\n', math.min(n, LABELS))
  local _, lines = string.gsub(labels, '\n', '\n')
  if lines > LABELS then labels = string.gsub(labels, '[^\n]*\n', '', lines - LABELS) end
  b.labels = labels
end

-- How often each label came up, "count label" each, tabs between.
local function count_labels(labels)
  local counts, order = {}, {}
  for label in string.gmatch(labels, '([^\n]*)\n') do
    if label ~= '' then
      if not counts[label] then
        counts[label] = 0
        order[#order + 1] = label
      end
      counts[label] = counts[label] + 1
    end
  end
  for i = 1, #order do order[i] = text(counts[order[i]]) .. ' ' .. order[i] end
  return table.concat(order, '\t')
end

-- The field tally.
local function format_tally(b)
  local head = string.format(' %.0f %.0f', b.streak, b.first)
  if b.p.window_calls > 0 then
    return string.format('c%s %.0f %.0f %.0f', head, b.calls, b.failures, b.slow)
  end
  local parts, oldest = { 't', head }, bucket_of(b, b.m) - 9
  for i = oldest, oldest + 9 do
    local t = b.buckets[i]
    if t then parts[#parts + 1] = string.format(' %.0f %.0f %.0f %.0f', i, t[1], t[2], t[3]) end
  end
  return table.concat(parts)
end

local function format_reporters(list)
  local lines = {}
  for i = 1, #list do
    lines[i] = string.format('%.0f %.0f %s\n', list[i].place, list[i].arrival, list[i].name)
  end
  return table.concat(lines)
end
