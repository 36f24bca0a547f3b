-- The policy in force, and what a change of it does to the window.

-- The 16 integers of a policy, as Go writes them: durations in ms, rates in 1/10000. nil where s is none. The bounds are
-- those that a script's time and memory hang on.
local function parse_policy(s)
  local t = ints(s, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ([01])$')
  if not t or t[1] > 10000 or t[2] > DAY or (t[1] == 0) == (t[2] == 0) or t[2] % 10 ~= 0 or t[9] < 1 or t[9] > 16
      or t[10] < 1 or t[10] > t[11] or t[11] > DAY or t[12] < 1 or t[12] > 1000 or t[14] < 1 or t[14] > DAY then
    return nil
  end
  return {
    window_calls = t[1], window_time = t[2], consecutive = t[3], consecutive_for = t[4], failure_rate = t[5],
    slow_rate = t[6], min_calls = t[8], reporters = t[9], open_for = t[10], open_for_max = t[11], probes = t[12],
    probe_successes = t[13], probe_lease = t[14],
  }
end

-- Sets b.p to the policy in force: an operator's, or else the fleet's. Gives the name of a bad field.
local function choose_policy(b)
  local source = b.retuned and b.retuned.policy or b.fleet
  if b.p and b.p_source == source then return end
  local p = parse_policy(source)
  if not p then return b.retuned and 'retuned' or 'policy' end
  b.p, b.p_source = p, source
end

-- The number after n: one more, or machine time where that is greater, so that a store which forgot n does not use it
-- again.
local function after(b, n) return math.max(n + 1, b.m) end
