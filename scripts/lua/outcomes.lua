-- Outcomes: into the totals and the window, and judged.
-- The replicas of one kind of adverse outcomes that lie at lowest or above; nil where they are fewer than the policy
-- wants.
local function witnesses(b, kind, lowest)
  local names, list = {}, reporters(b, kind)
  for i = 1, #list do
    if not lowest or list[i].place >= lowest then names[#names + 1] = list[i].name end
  end
  if #names >= math.min(b.p.reporters, reporting(b)) then return names end
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
  if b.streak > 0 then b.streak, b.first, b.by.by_streak = 0, 0, {} end
end

-- n plain successes at once.
local function take_successes(b, n, age)
  end_streak(b)
  b.arrivals = b.arrivals + n
  if b.p.window_calls == 0 then
    local i, oldest = bucket_of(b, b.m - age), bucket_of(b, b.m) - 9
    if i < oldest then return end
    local t = b.buckets[i] or { 0, 0, 0 }
    b.buckets[i], t[1], b.calls = t, t[1] + n, b.calls + n
    return
  end
  local size = b.p.window_calls
  if n >= size then
    b.w, b.cut, b.calls, b.failures, b.slow = string.rep('0', size), 0, size, 0, 0
    return
  end
  b.w, b.calls = b.w .. string.rep('0', n), b.calls + n
  cut_window(b, b.calls - size)
end

-- n adverse outcomes, each judged while b is closed. Returns how many were taken: those after one that trips belong to
-- an older generation.
local function take_adverse(b, failed, slow, n, age, label, who)
  local size = b.p.window_calls
  local place, bucket
  if size > 0 then
    b.w = b.w .. string.rep(failed and (slow and '3' or '1') or '2', n)
  else
    place = bucket_of(b, b.m - age)
    if place >= bucket_of(b, b.m) - 9 then
      bucket = b.buckets[place] or { 0, 0, 0 }
      b.buckets[place] = bucket
    end
  end
  for i = 1, n do
    b.arrivals = b.arrivals + 1
    if failed then
      b.streak = b.streak + 1
      if b.streak == 1 then b.first = b.m end
      touch(b.by.by_streak, who, b.arrivals, b.arrivals)
    else
      end_streak(b)
    end
    if size > 0 or bucket then
      b.calls = b.calls + 1
      if failed then
        b.failures = b.failures + 1
        touch(b.by.by_failure, who, place or b.arrivals, b.arrivals)
      end
      if slow then
        b.slow = b.slow + 1
        touch(b.by.by_slow, who, place or b.arrivals, b.arrivals)
      end
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
    if b.state == CLOSED then
      local reason, names = judge(b)
      if reason then
        if failed then add_labels(b, label, i) end
        open(b, { reason = reason, cause = who, witnesses = names })
        return i
      end
    end
  end
  if failed then add_labels(b, label, n) end
  return n
end

-- One run of a report of generation, by who. kind: 0 good, 1 failed, 2 slow, 3 failed and slow, 4 ignored. Counts what
-- enters the totals in entry, too.
local function take(b, entry, kind, n, age, label, who)
  if kind == 4 then return count(b, IGNORED, n) end
  local failed, slow = kind == 1 or kind == 3, kind >= 2
  local taken = n
  if b.mode == AUTO then
    if failed or slow then
      taken = take_adverse(b, failed, slow, n, age, label, who)
    else
      take_successes(b, n, age)
    end
  end
  count(b, CALLS, taken)
  entry.calls = math.min(entry.calls + taken, MAX)
  if failed then
    count(b, FAILURES, taken)
    entry.failures = math.min(entry.failures + taken, MAX)
  end
  if slow then count(b, SLOW, taken) end
  if taken < n then count(b, LATE, n - taken) end
end

-- All runs of a report of generation gen: lines of kind, count, age, label.
local function take_runs(b, entry, runs, gen, max_age, who)
  for kind, n, age, label in string.gmatch(runs, '(%d)(%d+) (%d+) ([^\n]*)\n') do
    n, age = tonumber(n), tonumber(age)
    if gen ~= b.gen or age > max_age then
      count(b, LATE, n)
    else
      take(b, entry, tonumber(kind), n, age, label, who)
    end
  end
end
