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
  if b.streak > 0 then b.streak, b.first, b.by.by_streak, b.mine.by_streak = 0, 0, '', nil end
end

-- Notes a place of the replica that reports. Its lists are brought up to date by sign, where a rule asks and at the end.
local function note(b, kind, place)
  local noted = b.mine[kind]
  if not noted or place > noted then b.mine[kind] = place end
end

local function sign(b, who)
  local mine = b.mine
  if mine.by_failure then touch(b, 'by_failure', who, mine.by_failure) end
  if mine.by_slow then touch(b, 'by_slow', who, mine.by_slow) end
  if mine.by_streak then touch(b, 'by_streak', who, mine.by_streak) end
  b.mine = {}
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

-- Notes n adverse outcomes of one run. bucket: of a window of time, nil where they are older than it.
local function note_run(b, failed, slow, n, bucket, label)
  if failed then
    note(b, 'by_streak', b.arrivals)
    add_labels(b, label, n)
  end
  local place = b.p.window_calls > 0 and b.arrivals or bucket
  if not place then return end
  if failed then note(b, 'by_failure', place) end
  if slow then note(b, 'by_slow', place) end
end

-- Adds n adverse outcomes to the bucket of a window of time.
local function add_to_bucket(b, failed, slow, n, i)
  local t = b.buckets[i] or { 0, 0, 0 }
  b.buckets[i] = t
  t[1], b.calls = t[1] + n, b.calls + n
  if failed then t[2], b.failures = t[2] + n, b.failures + n end
  if slow then t[3], b.slow = t[3] + n, b.slow + n end
end

-- n adverse outcomes, each judged while b is closed. Returns how many were taken: those after one that trips belong to
-- an older generation.
local function take_adverse(b, failed, slow, n, age, label, who)
  local p, closed, size = b.p, b.state == CLOSED, b.p.window_calls
  local consecutive, min_calls, failure_rate, slow_rate = p.consecutive, p.min_calls, p.failure_rate, p.slow_rate
  local bucket
  local noted = 0
  b.window_changed = true
  if not failed then
    end_streak(b)
  elseif b.streak == 0 then
    b.first = b.m
  end
  if size > 0 then
    b.w = b.w .. string.rep(failed and (slow and '3' or '1') or '2', n)
  else
    bucket = bucket_of(b, b.m - age)
    if bucket < bucket_of(b, b.m) - 9 then bucket = nil end
  end
  local ripe = failed and consecutive > 0 and b.m - b.first >= p.consecutive_for
  for i = 1, n do
    b.arrivals = b.arrivals + 1
    local streak, calls, failures, slow_calls = b.streak, b.calls, b.failures, b.slow
    if failed then
      streak = streak + 1
      b.streak = streak
    end
    if size > 0 then
      if failed then failures = failures + 1 end
      if slow then slow_calls = slow_calls + 1 end
      if calls < size then
        calls = calls + 1
      else
        local gone = string.byte(b.w, b.cut + 1)
        b.cut = b.cut + 1
        if gone == 49 or gone == 51 then failures = failures - 1 end
        if gone == 50 or gone == 51 then slow_calls = slow_calls - 1 end
      end
      b.calls, b.failures, b.slow = calls, failures, slow_calls
    elseif bucket then
      add_to_bucket(b, failed, slow, 1, bucket)
      calls, failures, slow_calls = b.calls, b.failures, b.slow
    end
    if closed and (ripe and streak >= consecutive or calls >= min_calls and
        (failure_rate > 0 and failures * 10000 >= failure_rate * calls
          or slow_rate > 0 and slow_calls * 10000 >= slow_rate * calls)) then
      note_run(b, failed, slow, i - noted, bucket, label)
      noted = i
      sign(b, who)
      local reason, names = judge(b)
      if reason then
        open(b, { reason = reason, cause = who, witnesses = names })
        return i
      end
    end
  end
  if noted < n then note_run(b, failed, slow, n - noted, bucket, label) end
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
  sign(b, who)
  count(b, CALLS, calls)
  count(b, FAILURES, failures)
  count(b, SLOW, slow_calls)
  count(b, IGNORED, ignored)
  count(b, LATE, late)
  entry.calls = math.min(entry.calls + calls, MAX)
  entry.failures = math.min(entry.failures + failures, MAX)
end
