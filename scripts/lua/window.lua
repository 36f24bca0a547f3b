-- The window, the streak, the labels, and whose outcomes they are.
local REPORTERS, LABELS = 16, 32

local function empty_window(b)
  b.calls, b.failures, b.slow, b.streak, b.first = 0, 0, 0, 0, 0
  b.w, b.cut, b.buckets, b.arrivals = '', 0, {}, 0
  b.by, b.mine = { by_failure = '', by_slow = '', by_streak = '' }, {}
  b.window_changed = true
end

-- The bucket that machine time t lies in, of a window of time.
local function bucket_of(b, t) return math.floor(t * 10 / b.p.window_time) end

-- Reads a window of time, without the buckets that have ended.
local function load_buckets(b, s)
  local oldest, at = bucket_of(b, b.m) - 9, 1
  b.buckets = {}
  for from, i, calls, failures, slow, to in string.gmatch(s, '() (%-?%d+) (%d+) (%d+) (%d+)()') do
    local t = { tonumber(calls), tonumber(failures), tonumber(slow) }
    i = tonumber(i)
    if from ~= at or t[2] > t[1] or t[3] > t[1] then return spoil(b, 'tally') end
    at = to
    if i >= oldest and i <= oldest + 9 then
      b.buckets[i] = t
      b.calls, b.failures, b.slow = b.calls + t[1], b.failures + t[2], b.slow + t[3]
    end
  end
  if at ~= #s + 1 then spoil(b, 'tally') end
end

-- Reads the policy in force, window and streak into b, once.
local function load_window(b)
  choose_policy(b)
  if b.by then return end
  local f = b.f
  local labels, count = '', 0
  if not b.blank and f.labels ~= '' then
    count, labels = string.match(f.labels, '^(%d%d?)\n(.*)$')
    if not count then
      spoil(b, 'labels')
      count, labels = 0, ''
    end
  end
  b.labels, b.label_count = labels, tonumber(count)
  if b.blank then
    return empty_window(b)
  end
  local kind, streak, first, arrivals, rest = string.match(f.tally, '^([ct]) (%d+) (%d+) (%d+)(.*)$')
  if not kind or (kind == 'c') ~= (b.p.window_calls > 0) then
    empty_window(b)
    return spoil(b, 'tally')
  end
  b.by, b.mine, b.w, b.cut, b.buckets = {}, {}, '', 0, {}
  b.streak, b.first, b.arrivals, b.calls, b.failures, b.slow = tonumber(streak), tonumber(first), tonumber(arrivals), 0, 0, 0
  if kind == 't' then return load_buckets(b, rest) end
  local calls, failures, slow = string.match(rest, '^ (%d+) (%d+) (%d+)$')
  if not calls then return spoil(b, 'tally') end
  b.calls, b.failures, b.slow = tonumber(calls), tonumber(failures), tonumber(slow)
  b.w = field(b, 'window')
  if b.calls ~= #b.w or b.calls > b.p.window_calls or b.failures > b.calls or b.slow > b.calls then
    empty_window(b)
    return spoil(b, 'window')
  end
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
-- newest, another kind or time empties window and streak.
local function refit(b)
  local old = b.p
  choose_policy(b)
  if old.window_time ~= b.p.window_time or (old.window_calls > 0) ~= (b.p.window_calls > 0) then
    empty_window(b)
  elseif b.p.window_calls > 0 and b.calls > b.p.window_calls then
    cut_window(b, b.calls - b.p.window_calls)
    b.window_changed = true
  end
end

-- Moves name to its newest place among the replicas behind one kind of adverse outcomes: a line each, lowest place first,
-- of equal places the earlier arrival first. A place never moves back, and of more than 16 the lowest goes.
local function touch(b, kind, name, place)
  local list = b.by[kind] or field(b, kind)
  local mine = string.find('\n' .. list, '\n' .. name .. '\t', 1, true)
  if mine then
    local stop = string.find(list, '\n', mine, true) or #list
    local old = tonumber(string.sub(list, mine + #name + 1, stop - 1))
    if old and old > place then return end
    list = string.sub(list, 1, mine - 1) .. string.sub(list, stop + 1)
  end
  local line = name .. '\t' .. text(place) .. '\n'
  local behind = #list + 1
  if b.p.window_time > 0 and kind ~= 'by_streak' then -- places are buckets: an old outcome's may be a low one
    for from, other in string.gmatch(list, '()[^\n\t]+\t(%-?%d+)\n') do
      if tonumber(other) > place then
        behind = from
        break
      end
    end
  end
  list = string.sub(list, 1, behind - 1) .. line .. string.sub(list, behind)
  if not mine then
    local _, lines = string.gsub(list, '\n', '\n')
    if lines > REPORTERS then list = string.sub(list, string.find(list, '\n', 1, true) + 1) end
  end
  b.by[kind] = list
end

-- The lowest place that a rule of rates still counts.
local function lowest_place(b)
  if b.p.window_calls > 0 then return b.arrivals - b.calls + 1 end
  return bucket_of(b, b.m) - 9
end

-- Adds the labels of n failures and keeps the newest 32.
local function add_labels(b, label, n)
  n = math.min(n, LABELS)
  local labels, from = b.labels .. string.rep(label .. '\n', n), 1
  for _ = 1, b.label_count + n - LABELS do
    from = (string.find(labels, '\n', from, true) or #labels) + 1
  end
  b.labels = from > 1 and string.sub(labels, from) or labels
  b.label_count = math.min(b.label_count + n, LABELS)
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
  if b.p.window_calls > 0 then
    return string.format('c %.0f %.0f %.0f %.0f %.0f %.0f', b.streak, b.first, b.arrivals, b.calls, b.failures, b.slow)
  end
  local parts = { string.format('t %.0f %.0f %.0f', b.streak, b.first, b.arrivals) }
  local oldest = bucket_of(b, b.m) - 9
  for i = oldest, oldest + 9 do
    local t = b.buckets[i]
    if t then parts[#parts + 1] = string.format(' %.0f %.0f %.0f %.0f', i, t[1], t[2], t[3]) end
  end
  return table.concat(parts)
end
