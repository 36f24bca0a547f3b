-- The policy in force.

-- Whether a replica's policy is another one than the fleet's. What a newer release put behind the integers that the replica
-- knows is not a difference.
local function policy_differs(fleet, policy)
  return fleet ~= policy and string.sub(fleet, 1, #policy + 1) ~= policy .. ' '
end

-- Makes a table of a policy: its 16 integers as Go writes them, durations in ms, rates in RATE_UNIT. A newer release may
-- have put more behind them. Gives nil if s is not a policy. The bounds are those on which a script's time and memory depend.
local function compile_policy(s)
  local window_calls, window_time, consecutive, consecutive_for, failure_rate, slow_rate, min_calls, reporters, open_for,
    open_for_max, probes, probe_successes, probe_lease = string.match(s,
      '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) %d+ (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) %d+ [01][ %d]*$')
  if not window_calls then return nil end
  local p = {
    window_calls = tonumber(window_calls), window_time = tonumber(window_time), consecutive = tonumber(consecutive),
    consecutive_for = tonumber(consecutive_for), failure_rate = tonumber(failure_rate), slow_rate = tonumber(slow_rate),
    min_calls = tonumber(min_calls), reporters = tonumber(reporters), open_for = tonumber(open_for),
    open_for_max = tonumber(open_for_max), probes = tonumber(probes), probe_successes = tonumber(probe_successes),
    probe_lease = tonumber(probe_lease), bucket = window_time / BUCKETS,
  }
  if p.window_calls > MAX_WINDOW_CALLS or p.window_time > DAY or (p.window_calls == 0) == (p.window_time == 0)
      or p.window_time % BUCKETS ~= 0 or p.reporters < 1 or p.reporters > MAX_REPORTERS or p.open_for < 1
      or p.open_for > p.open_for_max or p.open_for_max > DAY or p.probes < 1 or p.probes > MAX_PROBES
      or p.probe_lease < 1 or p.probe_lease > DAY then
    return nil
  end
  return p
end

-- Sets b.p to the policy in force, an operator's or else the fleet's.
local function policy_in_force(b)
  local source = b.retuned and b.retuned.policy or b.fleet
  if b.p_source == source then return end
  local p = compile_policy(source)
  if not p then
    mark_corrupt(b, b.retuned and 'retuned' or 'policy')
    p = b.p or compile_policy('1 0 1 0 0 0 0 1 1 1 1 1 1 1 0 0')
  end
  b.p, b.p_source = p, source
end
