-- The rules, and whether one of them trips.

-- From how many replicas the outcomes that a rule counts must come, or from all that reported outcomes lately if they are
-- fewer.
local function quorum(b)
  local active = roll_roster(b).active
  -- mutant: quorum
  return math.min(b.p.reporters, active[1] + active[2] - active[3])
end

-- The replicas behind one kind of adverse outcomes, of those that the rules see now.
local function witnesses(b, kind)
  local p, names, list, at = b.p, {}, b.by[kind] or field(b, kind), 1
  local lowest = p.window_time > 0 and bucket_of(b, b.m - p.window_time) + 1
    or kind ~= 'by_streak' and b.arrivals - b.calls + 1
  for from, name, place, to in string.gmatch(list, '()([^\n\t]+)\t(%-?%d+)\n()') do
    if from == at then at = to end
    if not lowest or tonumber(place) >= lowest then names[#names + 1] = name end
  end
  if at ~= #list + 1 then mark_corrupt(b, kind) end
  return names
end

-- The rule that trips now, and the replicas whose outcomes it counted. nil if none does. The rules are looked at in this
-- order: streak, failure rate, rate of slow calls.
local function judge(b)
  local p, needed = b.p, quorum(b)
  -- mutant: streak
  if p.consecutive > 0 and counted_streak(b) >= p.consecutive and b.m - b.first >= p.consecutive_for then
    local names = witnesses(b, 'by_streak')
    if #names >= needed then return 'consecutive-failures', names end
  end
  if b.calls < p.min_calls then return end
  -- mutant: rate
  if p.failure_rate > 0 and b.failures * RATE_UNIT >= p.failure_rate * b.calls then
    local names = witnesses(b, 'by_failure')
    if #names >= needed then return 'failure-rate', names end
  end
  if p.slow_rate > 0 and b.slow * RATE_UNIT >= p.slow_rate * b.calls then
    local names = witnesses(b, 'by_slow')
    if #names >= needed then return 'slow-call-rate', names end
  end
end
