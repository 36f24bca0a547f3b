-- The policy in force, and what a change of it does to the window.

-- The 16 integers of a policy, as Go writes them: durations in ms, rates in 1/10000. nil where s is none. The bounds are
-- those that a script's time and memory hang on.
local function parse_policy(s)
  local window_calls, window_time, consecutive, consecutive_for, failure_rate, slow_rate, min_calls, reporters, open_for,
    open_for_max, probes, probe_successes, probe_lease = string.match(s,
      '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) %d+ (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) %d+ [01]$')
  if not window_calls then return nil end
  local p = {
    window_calls = tonumber(window_calls), window_time = tonumber(window_time), consecutive = tonumber(consecutive),
    consecutive_for = tonumber(consecutive_for), failure_rate = tonumber(failure_rate), slow_rate = tonumber(slow_rate),
    min_calls = tonumber(min_calls), reporters = tonumber(reporters), open_for = tonumber(open_for),
    open_for_max = tonumber(open_for_max), probes = tonumber(probes), probe_successes = tonumber(probe_successes),
    probe_lease = tonumber(probe_lease),
  }
  if p.window_calls > 10000 or p.window_time > DAY or (p.window_calls == 0) == (p.window_time == 0)
      or p.window_time % 10 ~= 0 or p.reporters < 1 or p.reporters > 16 or p.open_for < 1 or p.open_for > p.open_for_max
      or p.open_for_max > DAY or p.probes < 1 or p.probes > 1000 or p.probe_lease < 1 or p.probe_lease > DAY then
    return nil
  end
  return p
end

-- Sets b.p to the policy in force: an operator's, or else the fleet's.
local function choose_policy(b)
  local source = b.retuned and b.retuned.policy or b.fleet
  if b.p_source == source then return end
  local p = parse_policy(source)
  if not p then
    spoil(b, b.retuned and 'retuned' or 'policy')
    p = b.p or parse_policy('1 0 1 0 0 0 0 1 1 1 1 1 1 1 0 0')
  end
  b.p, b.p_source = p, source
end

-- The number after n: one more, or machine time where that is greater, so that a store which forgot n does not use it
-- again.
local function after(b, n) return math.max(n + 1, b.m) end
