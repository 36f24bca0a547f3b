-- The rules, and whether one of them trips.

-- The rule that trips now, and the replicas whose outcomes it counted. nil if none does. The rules are looked at in this
-- order: streak, failure rate, rate of slow calls.
local function judge(b)
  local p, active = b.p, roll_roster(b).active

  -- The replicas behind one kind of adverse outcomes whose place is lowest or above. nil if they are fewer than the
  -- policy wants, or than have reported outcomes lately.
  local function witnesses(kind, lowest)
    local names, list, at = {}, b.by[kind] or field(b, kind), 1
    for from, name, place, to in string.gmatch(list, '()([^\n\t]+)\t(%-?%d+)\n()') do
      if from == at then at = to end
      if not lowest or tonumber(place) >= lowest then names[#names + 1] = name end
    end
    if at ~= #list + 1 then mark_corrupt(b, kind) end
    if #names >= math.min(p.reporters, active[1] + active[2] - active[3]) then return names end
  end

  local lowest = p.window_time > 0 and bucket_of(b, b.m - p.window_time) + 1
  if p.consecutive > 0 and counted_streak(b) >= p.consecutive and b.m - b.first >= p.consecutive_for then
    local names = witnesses('by_streak', lowest)
    if names then return 'consecutive-failures', names end
  end
  if b.calls < p.min_calls then return end
  lowest = lowest or b.arrivals - b.calls + 1
  if p.failure_rate > 0 and b.failures * RATE_UNIT >= p.failure_rate * b.calls then
    local names = witnesses('by_failure', lowest)
    if names then return 'failure-rate', names end
  end
  if p.slow_rate > 0 and b.slow * RATE_UNIT >= p.slow_rate * b.calls then
    local names = witnesses('by_slow', lowest)
    if names then return 'slow-call-rate', names end
  end
end
