-- What a replica knows of a breaker, against what the store holds of it.

-- Names the field of known (gen, rev, and details as Go writes them) that no store can have given out: above the store's
-- own number and more than a day above its clock.
local function check_known(b, known)
  if known.gen > b.gen and known.gen > b.m + DAY then return 'Known.Generation' end
  if known.rev > b.rev and known.rev > b.m + DAY then return 'Known.Rev' end
end

-- Whether the store is behind what the replica knows: it has lost what it had acknowledged.
local function behind(b, known) return known.gen > b.gen or known.rev > b.rev end

-- Takes over each part whose number is above the store's own.
local function repair(b, known, replica)
  if not behind(b, known) then return end

  -- Reads the details: numbers (state retry openings mode at, what is left, 1 if retuned, at, what is left), then a line
  -- each: reason, cause, the mode's by and why, the policy's by and why, policy. What is left is -1 without an end. Gives
  -- nil if s is something else.
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

  -- Gives the begin and the end of a command in machine time, from a time of day and what is left. The end is 0 for a
  -- command without one.
  local function known_note(at, left)
    return math.max(at + b.m - b.now, 0), left < 0 and 0 or math.max(b.m + left, 1)
  end

  -- Takes over mode and policy.
  local function adopt_rev(k)
    b.commanded, b.rev = true, known.rev
    b.mode, b.mode_at, b.mode_end, b.mode_note, b.newer_mode, b.retuned = AUTO, 0, 0, '', '', false
    if k.mode ~= AUTO then
      b.mode, b.mode_note = k.mode, k.mode_note
      b.mode_at, b.mode_end = known_note(k.mode_at, k.mode_left)
    end
    if k.retuned then
      b.retuned = { note = k.policy_note, policy = k.policy }
      b.retuned.at, b.retuned.finish = known_note(k.policy_at, k.policy_left)
    end
    changes().refit(b)
  end

  -- Takes over the state, as the replica brought it. A half-open state becomes open for ProbeLease: by then the leases
  -- that were lost have ended.
  local function adopt_generation(k)
    local change = changes()
    local entry = change.begin_entry(b)
    entry.from = k.state
    b.gen = known.gen
    change.begin_generation(b, k.state, k.reason, k.cause)
    b.leases, b.openings = {}, k.openings
    if k.state == OPEN then b.until_ = b.m + math.min(k.retry, MAX_FOR) end
    change.append_entry(b, entry, { reason = 'repair', cause = replica }, true)
    -- mutant: half-open
    if k.state == HALF_OPEN then
      change.transition(b, OPEN, { reason = 'repair', cause = replica })
      b.until_ = b.m + b.p.probe_lease
    end
  end

  local k = parse_details(known.details)
  if not k then return mark_corrupt(b, 'ARGV') end
  load_window(b)
  if known.rev > b.rev then adopt_rev(k) end
  -- mutant: older
  if known.gen > b.gen then adopt_generation(k) end
end
