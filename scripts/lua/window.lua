-- The window, the streak, the labels, and whose outcomes they are.
local REPORTERS, LABELS = 16, 32
local KINDS = { '1', '2', '3' }

local function empty_window(b)
  b.calls, b.failures, b.slow, b.streak, b.first = 0, 0, 0, 0, 0
  b.w, b.tail, b.cut, b.buckets, b.arrivals = '', {}, 0, {}, 0
  b.by, b.mine = { by_failure = '', by_slow = '', by_streak = '' }, {}
  b.window_changed = true
end

-- The bucket that machine time t lies in, of a window of time.
local function bucket_of(b, t) return math.floor(t * 10 / b.p.window_time) end

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
  b.labels, b.label_count, b.fresh = labels, tonumber(count), {}
  if b.blank then
    return empty_window(b)
  end
  local kind, streak, first, arrivals, rest = string.match(f.tally, '^([ct]) (%d+) (%d+) (%d+)(.*)$')
  if not kind or (kind == 'c') ~= (b.p.window_calls > 0) then
    empty_window(b)
    return spoil(b, 'tally')
  end
  b.by, b.mine, b.tail, b.buckets = {}, {}, {}, {}
  b.streak, b.first, b.arrivals, b.calls, b.failures, b.slow = tonumber(streak), tonumber(first), tonumber(arrivals), 0, 0, 0
  if kind == 't' then -- the buckets that have not ended
    local oldest, at = bucket_of(b, b.m) - 9, 1
    for from, i, calls, failures, slow, to in string.gmatch(rest, '() (%-?%d+) (%d+) (%d+) (%d+)()') do
      local t = { tonumber(calls), tonumber(failures), tonumber(slow) }
      i = tonumber(i)
      if from ~= at or t[2] > t[1] or t[3] > t[1] then return spoil(b, 'tally') end
      at = to
      if i >= oldest and i <= oldest + 9 then
        b.buckets[i] = t
        b.calls, b.failures, b.slow = b.calls + t[1], b.failures + t[2], b.slow + t[3]
      end
    end
    if at ~= #rest + 1 then spoil(b, 'tally') end
    return
  end
  local calls, failures, slow = string.match(rest, '^ (%d+) (%d+) (%d+)$')
  if not calls then return spoil(b, 'tally') end
  b.calls, b.failures, b.slow = tonumber(calls), tonumber(failures), tonumber(slow)
  b.w = field(b, 'window')
  if b.calls ~= #b.w or b.calls > b.p.window_calls or b.failures > b.calls or b.slow > b.calls then
    empty_window(b)
    return spoil(b, 'window')
  end
end

-- A window of calls is w without its first cut characters, and what came since, in pieces.
local function join_window(b)
  if #b.tail > 0 then b.w, b.tail = b.w .. table.concat(b.tail), {} end
end

-- Cuts n outcomes off the front of a window of calls.
local function cut_window(b, n)
  if n <= 0 then return end
  local from, to = b.cut + 1, b.cut + n
  b.cut, b.calls = to, b.calls - n
  if b.failures == 0 and b.slow == 0 then return end
  if to > #b.w then join_window(b) end
  for kind = 1, 3 do -- 1 failed, 2 slow, 3 both; a plain search for each is faster than a pattern
    local gone = string.find(b.w, KINDS[kind], from, true)
    while gone and gone <= to do
      if kind ~= 2 then b.failures = b.failures - 1 end
      if kind ~= 1 then b.slow = b.slow - 1 end
      gone = string.find(b.w, KINDS[kind], gone + 1, true)
    end
  end
end

-- Notes the labels of n failures, for join_labels.
local function add_labels(b, label, n)
  n = math.min(n, LABELS)
  b.fresh[#b.fresh + 1] = string.rep(label .. '\n', n)
  b.label_count = b.label_count + n
end

-- Puts the labels that were noted behind the others, and keeps the newest 32.
local function join_labels(b)
  if #b.fresh == 0 then return end
  local labels, from = b.labels .. table.concat(b.fresh), 1
  for _ = 1, b.label_count - LABELS do from = (string.find(labels, '\n', from, true) or #labels) + 1 end
  b.labels, b.fresh = string.sub(labels, from), {}
  b.label_count = math.min(b.label_count, LABELS)
end

-- The field tally.
local function format_tally(b)
  if b.p.window_calls > 0 then
    return string.format('c %d %d %d %d %d %d', b.streak, b.first, b.arrivals, b.calls, b.failures, b.slow)
  end
  local parts = { string.format('t %d %d %d', b.streak, b.first, b.arrivals) }
  local oldest = bucket_of(b, b.m) - 9
  for i = oldest, oldest + 9 do
    local t = b.buckets[i]
    if t then parts[#parts + 1] = string.format(' %d %d %d %d', i, t[1], t[2], t[3]) end
  end
  return table.concat(parts)
end
