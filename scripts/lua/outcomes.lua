-- Outcomes: into the totals and the window, and judged.
-- The replicas behind one kind of adverse outcomes whose place is lowest or above; nil where they are fewer than the
-- policy wants.
local function witnesses(b, kind, lowest)
  local names, list, at = {}, b.by[kind] or field(b, kind), 1
  for from, name, place, to in string.gmatch(list, '()([^\n\t]+)\t(%-?%d+)\n()') do
    if from == at then at = to end
    if not lowest or tonumber(place) >= lowest then names[#names + 1] = name end
  end
  if at ~= #list + 1 then spoil(b, kind) end
  if #names >= math.min(b.p.reporters, reporting(b)) then return names end
end

-- Whether some rule may trip now, reporters aside.
local function suspect(b, p)
  return p.consecutive > 0 and b.streak >= p.consecutive
    or b.calls >= p.min_calls and (p.failure_rate > 0 and b.failures * 10000 >= p.failure_rate * b.calls
      or p.slow_rate > 0 and b.slow * 10000 >= p.slow_rate * b.calls)
end

-- The rule that trips now, and whose outcomes counted; nil where none does.
local function judge(b)
  local p = b.p
  if p.consecutive > 0 and b.streak >= p.consecutive and b.m - b.first >= p.consecutive_for then
    local names = witnesses(b, 'by_streak')
    if names then return 'consecutive-failures', names end
  end
  if b.calls < p.min_calls then return end
  if p.failure_rate > 0 and b.failures * 10000 >= p.failure_rate * b.calls then
    local names = witnesses(b, 'by_failure', lowest_place(b))
    if names then return 'failure-rate', names end
  end
  if p.slow_rate > 0 and b.slow * 10000 >= p.slow_rate * b.calls then
    local names = witnesses(b, 'by_slow', lowest_place(b))
    if names then return 'slow-call-rate', names end
  end
end

local function end_streak(b)
  if b.streak > 0 then b.streak, b.first, b.by.by_streak = 0, 0, '' end
end

-- n plain successes at once.
local function take_successes(b, n, age)
  end_streak(b)
  b.window_changed = true
  b.arrivals = b.arrivals + n
  local size = b.p.window_calls
  if size == 0 then
    local i = bucket_of(b, b.m - age)
    if i < bucket_of(b, b.m) - 9 then return end
    local t = b.buckets[i] or { 0, 0, 0 }
    b.buckets[i], t[1], b.calls = t, t[1] + n, b.calls + n
  elseif n >= size then
    b.w, b.cut, b.calls, b.failures, b.slow = string.rep('0', size), 0, size, 0, 0
  else
    b.w, b.calls = b.w .. string.rep('0', n), b.calls + n
    cut_window(b, b.calls - size)
  end
end

-- n adverse outcomes, each judged while b is closed. Returns how many were taken: those after one that trips belong to
-- an older generation.
local function take_adverse(b, failed, slow, n, age, label, who)
  local p, size, closed = b.p, b.p.window_calls, b.state == CLOSED
  local place, bucket
  b.window_changed = true
  if size > 0 then
    b.w = b.w .. string.rep(failed and (slow and '3' or '1') or '2', n)
  else
    place = bucket_of(b, b.m - age)
    if place >= bucket_of(b, b.m) - 9 then
      bucket = b.buckets[place] or { 0, 0, 0 }
      b.buckets[place] = bucket
    end
  end
  if not failed then end_streak(b) end

  -- Whose they are is brought up to date where a rule asks, and at the end.
  local function settle_places()
    if failed then touch(b, 'by_streak', who, b.arrivals) end
    if size == 0 and not bucket then return end
    if failed then touch(b, 'by_failure', who, place or b.arrivals) end
    if slow then touch(b, 'by_slow', who, place or b.arrivals) end
  end

  for i = 1, n do
    b.arrivals = b.arrivals + 1
    if failed then
      b.streak = b.streak + 1
      if b.streak == 1 then b.first = b.m end
    end
    if size > 0 or bucket then
      b.calls = b.calls + 1
      if failed then b.failures = b.failures + 1 end
      if slow then b.slow = b.slow + 1 end
      if bucket then
        bucket[1] = bucket[1] + 1
        if failed then bucket[2] = bucket[2] + 1 end
        if slow then bucket[3] = bucket[3] + 1 end
      elseif b.calls > size then
        local gone = string.byte(b.w, b.cut + 1)
        b.cut, b.calls = b.cut + 1, size
        if gone == 49 or gone == 51 then b.failures = b.failures - 1 end
        if gone == 50 or gone == 51 then b.slow = b.slow - 1 end
      end
    end
    if closed and suspect(b, p) then
      settle_places()
      local reason, names = judge(b)
      if reason then
        if failed then add_labels(b, label, i) end
        open(b, { reason = reason, cause = who, witnesses = names })
        return i
      end
    end
  end
  settle_places()
  if failed then add_labels(b, label, n) end
  return n
end

-- One run of a report of the present generation, by who. Returns how many outcomes were taken.
local function take(b, failed, slow, n, age, label, who)
  if b.mode ~= AUTO then return n end
  if failed or slow then return take_adverse(b, failed, slow, n, age, label, who) end
  take_successes(b, n, age)
  return n
end

-- All runs of a report of generation gen: lines of kind (0 good, 1 failed, 2 slow, 3 failed and slow, 4 ignored), count,
-- age, label. What enters the totals is counted in the replica's entry, too.
local function take_runs(b, entry, runs, gen, max_age, who)
  local calls, failures, slow_calls, ignored, late = 0, 0, 0, 0, 0
  for kind, n, age, label in string.gmatch(runs, '(%d)(%d+) (%d+) ([^\n]*)\n') do
    n, age = tonumber(n), age == '0' and 0 or tonumber(age)
    if gen ~= b.gen or age > max_age then
      late = late + n
    elseif kind == '4' then
      ignored = ignored + n
    else
      local failed, slow = kind == '1' or kind == '3', kind == '2' or kind == '3'
      local taken = take(b, failed, slow, n, age, label, who)
      calls, late = calls + taken, late + n - taken
      if failed then failures = failures + taken end
      if slow then slow_calls = slow_calls + taken end
    end
  end
  count(b, CALLS, calls)
  count(b, FAILURES, failures)
  count(b, SLOW, slow_calls)
  count(b, IGNORED, ignored)
  count(b, LATE, late)
  entry.calls = math.min(entry.calls + calls, MAX)
  entry.failures = math.min(entry.failures + failures, MAX)
end
