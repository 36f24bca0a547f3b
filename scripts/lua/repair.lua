-- What a replica knows of a breaker, against what the store holds of it.

-- known: generation, rev, and details as Go writes them. Says which number a refusal is about: above the store's own and
-- more than a day above its clock.
local function too_high(b, known)
  if known.gen > b.gen and known.gen > b.m + DAY then return 'Known.Generation' end
  if known.rev > b.rev and known.rev > b.m + DAY then return 'Known.Rev' end
end

local function above(b, known) return known.gen > b.gen or known.rev > b.rev end

-- Takes over each part that is above the store's own.
local function repair(b, known, who)
  if not above(b, known) then return end

  -- The details: numbers (state retry openings mode at end, 1 where retuned, at end), then a line each: reason, cause, the
  -- mode's by and why, the policy's by and why, policy. An end is what is left, -1 where untimed. nil where they are none.
  local function parse_details(s)
    local numbers, reason, cause, mode_note, policy_note, policy = string.match(s,
      '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*\n[^\n]*)\n([^\n]*\n[^\n]*)\n([^\n]*)$')
    local t = numbers and { string.match(numbers, '^([012]) (%d+) (%d+) ([012]) (%d+) (%-?%d+) ([01]) (%d+) (%-?%d+)$') }
    if not t or #t ~= 9 then return nil end
    for i = 1, #t do t[i] = tonumber(t[i]) end
    return {
      state = t[1], retry = t[2], openings = math.min(t[3], MAX_OPENINGS), mode = t[4], mode_at = t[5], mode_left = t[6],
      retuned = t[7] == 1, policy_at = t[8], policy_left = t[9],
      reason = reason, cause = cause, mode_note = mode_note, policy_note = policy_note, policy = policy,
    }
  end

  -- The end, in machine time, of what is left of a command; 0 for one without.
  local function end_of(b, left)
    if left < 0 then return 0 end
    return math.max(b.m + left, 1)
  end

  -- A time of day in machine time.
  local function at_of(b, at) return math.max(at + b.m - b.now, 0) end

  -- Takes over mode and policy.
  local function adopt_rev(b, known, k)
    b.commanded, b.rev = true, known.rev
    b.mode, b.mode_at, b.mode_end, b.mode_note, b.retuned = AUTO, 0, 0, '', false
    if k.mode ~= AUTO then
      b.mode, b.mode_at, b.mode_end, b.mode_note = k.mode, at_of(b, k.mode_at), end_of(b, k.mode_left), k.mode_note
    end
    if k.retuned then
      b.retuned = { at = at_of(b, k.policy_at), finish = end_of(b, k.policy_left), note = k.policy_note, policy = k.policy }
    end
    change().refit(b)
  end

  -- Takes over the state, as who brought it. A half-open one becomes open for ProbeLease, in which the lost leases end.
  local function adopt_generation(b, known, k, who)
    local happen = change()
    local was = happen.before(b)
    was.from = k.state
    b.gen = known.gen
    happen.begin_generation(b, k.state, k.reason, k.cause)
    b.leases, b.openings = {}, k.openings
    if k.state == OPEN then b.until_ = b.m + math.min(k.retry, b.p.open_for_max) end
    happen.enter(b, was, { reason = 'repair', cause = who, adoption = true })
    if k.state == HALF_OPEN then
      happen.transition(b, OPEN, { until_ = b.m + b.p.probe_lease }, { reason = 'repair', cause = who })
    end
  end

  local k = parse_details(known.details)
  if not k then return spoil(b, 'ARGV') end
  load_window(b)
  if known.rev > b.rev then adopt_rev(b, known, k) end
  if known.gen > b.gen then adopt_generation(b, known, k, who) end
end
