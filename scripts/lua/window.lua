-- The window, the streak, and the replicas whose outcomes they are.

-- Forgets window and streak.
local function empty_window(b)
  b.calls, b.failures, b.slow, b.streak, b.first = 0, 0, 0, 0, 0
  b.w, b.tail, b.cut, b.buckets, b.arrivals = '', {}, 0, {}, 0
  b.by, b.mine = { by_failure = '', by_slow = '', by_streak = '' }, {}
  b.window_changed = true
end

-- The bucket of a window of time in which machine time t lies. A window is the bucket of b.m and the nine before it.
local function bucket_of(b, t) return math.floor(t / b.p.bucket) end

-- The streak that the rules see. A window of time lets go of failures that are older.
local function counted_streak(b)
  -- mutant: ages
  if b.p.window_time > 0 then return math.min(b.streak, b.failures) end
  return b.streak
end

-- Reads the policy in force, window and streak into b, once.
local function load_window(b)
  policy_in_force(b)
  if b.by then return end
  local f = b.f
  local labels, count = '', 0
  if not b.blank and f.labels ~= '' then
    count, labels = string.match(f.labels, '^(%d%d?)\n(.*)$')
    if not count then
      mark_corrupt(b, 'labels')
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
    return mark_corrupt(b, 'tally')
  end
  b.by, b.mine, b.tail, b.buckets = {}, {}, {}, {}
  b.streak, b.first, b.arrivals = tonumber(streak), tonumber(first), tonumber(arrivals)
  b.calls, b.failures, b.slow = 0, 0, 0
  if kind == 't' then -- the buckets that have not ended
    local newest, at = bucket_of(b, b.m), 1
    local oldest = bucket_of(b, b.m - b.p.window_time) + 1
    for from, i, calls, failures, slow, to in string.gmatch(rest, '() (%-?%d+) (%d+) (%d+) (%d+)()') do
      local t = { tonumber(calls), tonumber(failures), tonumber(slow) }
      i = tonumber(i)
      if from ~= at or t[2] > t[1] or t[3] > t[1] then return mark_corrupt(b, 'tally') end
      at = to
      if i >= oldest and i <= newest then
        b.buckets[i] = t
        b.calls, b.failures, b.slow = b.calls + t[1], b.failures + t[2], b.slow + t[3]
      end
    end
    if at ~= #rest + 1 then mark_corrupt(b, 'tally') end
    return
  end
  local calls, failures, slow = string.match(rest, '^ (%d+) (%d+) (%d+)$')
  if not calls then return mark_corrupt(b, 'tally') end
  b.calls, b.failures, b.slow = tonumber(calls), tonumber(failures), tonumber(slow)
  b.w = field(b, 'window')
  if b.calls ~= #b.w or b.calls > b.p.window_calls or b.failures > b.calls or b.slow > b.calls then
    empty_window(b)
    return mark_corrupt(b, 'window')
  end
end

-- Joins the pieces of a window of calls: w without its first cut characters, and what came since.
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
  for kind = 1, 3 do -- 1 failed, 2 slow, 3 both; mostly there is none, which a plain search finds fastest
    local first = string.find(b.w, kind, from, true)
    if first and first <= to then
      local _, gone = string.gsub(string.sub(b.w, first, to), kind, '')
      if kind ~= 2 then b.failures = b.failures - gone end
      if kind ~= 1 then b.slow = b.slow - gone end
    end
  end
end
