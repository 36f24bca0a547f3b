-- What changes more of a breaker than counts: another policy, transitions, and the ends of what has ended. All but the
-- first are written to the history.
--
-- A function costs a script a tenth of a microsecond and more where it is made, even if nobody calls it. The functions of
-- this file are seldom needed, and are made when changes is called.

-- Gives the functions for what happens seldom, such as changes().open(b, e).
local function changes()
  -- Lets the window follow a change of the policy in force: another number of calls keeps the newest; another kind of
  -- window or another time empties window and streak.
  local function refit(b)
    local old = b.p
    policy_in_force(b)
    if old.window_time ~= b.p.window_time or (old.window_calls > 0) ~= (b.p.window_calls > 0) then
      empty_window(b)
    elseif b.p.window_calls > 0 and b.calls > b.p.window_calls then
      cut_window(b, b.calls - b.p.window_calls)
      b.window_changed = true
    end
  end

  -- The consecutive openings as they read at b.m. They are forgotten once the breaker has been closed for OpenFor.
  local function counted_openings(b)
    if b.state == CLOSED and b.m - b.since >= b.p.open_for then return 0 end
    return b.openings
  end

  -- How long an opening lasts after n others.
  local function open_period(b, n)
    -- mutant: doubling
    return math.min(b.p.open_for * 2 ^ math.min(n, MAX_DOUBLINGS), b.p.open_for_max)
  end

  -- Begins an entry of the history with what it tells of the time just before it.
  local function begin_entry(b)
    load_window(b)
    return { from = b.state, prev = b.gen, tally = string.format('%d %d %d %d', b.calls, b.failures, b.slow,
      counted_streak(b)),
      labels = count_labels(b) }
  end

  -- Keeps what began an outage as long as the outage lasts: before the next entry is written over the oldest one. An older
  -- release does not keep it, so that the field may be of another time.
  local function keep_outage(b, slot)
    local oldest, gone = b.history - HISTORY_KEPT, field(b, slot)
    local to, mode = string.match(gone, '^%d+ (%d+) (%d+) ')
    local number, kept = string.match(field(b, 'outage'), '^(%d+)\n(.*)$')
    to, mode = tonumber(to), tonumber(mode)
    if mode == FORCED_CLOSED or to == CLOSED and mode ~= FORCED_OPEN then
      kept = nil
    -- mutant: outage
    elseif tonumber(number) ~= oldest then
      kept = gone
    end
    local value = kept and text(oldest + 1) .. '\n' .. kept or ''
    if value ~= b.f.outage then
      b.f.outage = value
      b.writes[#b.writes + 1] = 'outage'
      b.writes[#b.writes + 1] = value
    end
  end

  -- Completes an entry and writes it: numbers; then reason, cause, why, labels, witnesses in a line each. e says why it
  -- happens: reason, cause, why, action, witnesses (a list). An adoption is told to all, but was made by nobody.
  local function append_entry(b, entry, e, adoption)
    local line = string.format('%d %d %d %d %d %d %d %d %s\n', entry.from, b.state, b.mode, entry.prev, b.gen,
      b.rev, e.action or 0, b.m, entry.tally) .. table.concat({ e.reason, e.cause, e.why or '', entry.labels,
      table.concat(e.witnesses or {}, '\t') }, '\n')
    load_count(b)
    local slot = 'h' .. text(b.history % HISTORY_KEPT)
    if b.history >= HISTORY_KEPT then keep_outage(b, slot) end
    b.writes[#b.writes + 1] = slot
    b.writes[#b.writes + 1] = line
    b.history = b.history + 1
    b.entries[#b.entries + 1] = line
    if not adoption then b.made = line end
  end

  -- Sets b.state, and forgets what belongs to one generation. Live leases stay, since their calls still run.
  local function begin_generation(b, state, reason, cause)
    b.moved = true
    b.state, b.since, b.until_, b.successes = state, b.m, 0, 0
    b.cause = reason .. '\n' .. cause
    b.labels, b.label_count, b.fresh, b.probes = '', 0, {}, {}
    -- mutant: window
    empty_window(b)
  end

  -- Moves b into state as a new generation.
  local function transition(b, state, e)
    local entry = begin_entry(b)
    b.openings = counted_openings(b)
    b.gen = next_number(b.gen, b.m)
    begin_generation(b, state, e.reason, e.cause)
    append_entry(b, entry, e)
  end

  -- Opens b for as long as its backoff says, and makes the next opening longer.
  local function open(b, e)
    local period = open_period(b, counted_openings(b))
    transition(b, OPEN, e)
    b.until_ = b.m + period
    b.openings = math.min(b.openings + 1, MAX_OPENINGS)
  end

  -- Ends the forced mode that stands. What is open below it with time left stays open until that is over. Else forced open
  -- gives half-open, so that the calls do not all come back at once, unless a reset came after it. Forced closed gives
  -- closed.
  local function lift(b, e)
    local state, until_ = CLOSED, 0
    if b.state == OPEN and b.m < b.until_ then
      state, until_ = OPEN, b.until_
    -- mutant: lift
    elseif b.mode == FORCED_OPEN and (b.state ~= CLOSED or b.until_ ~= RESET_BELOW) then
      state = HALF_OPEN
    end
    b.mode, b.mode_at, b.mode_end, b.mode_note = AUTO, 0, 0, ''
    b.commanded, b.rev = true, next_number(b.rev, b.m)
    transition(b, state, e)
    b.until_ = until_
  end

  -- Ends an operator's policy.
  local function restore(b, e)
    local entry = begin_entry(b)
    b.retuned = false
    refit(b)
    b.commanded, b.rev = true, next_number(b.rev, b.m)
    append_entry(b, entry, e)
  end

  return {
    refit = refit, open_period = open_period, begin_entry = begin_entry, append_entry = append_entry,
    begin_generation = begin_generation, transition = transition, open = open, lift = lift, restore = restore,
  }
end

-- Ends what has ended at b.m: leases, then a timed mode, then a timed policy. Their cause is the replica or operator
-- whose script found it. Bans and buckets are looked at by the functions that use them.
local function expire(b, cause)
  if not b.leases then
    local s, at = b.f.leases or '', 1
    b.leases = {}
    if s ~= '' then
      for from, number, generation, finish, id, replica, to in
          string.gmatch(s, '()(%d+) (%d+) (%d+) ([^\n\t]+)\t([^\n\t]+)\n()') do
        if from == at then at = to end
        finish = tonumber(finish)
        -- mutant: lease-end
        if b.m < finish then
          b.leases[#b.leases + 1] = { number = tonumber(number), generation = tonumber(generation), finish = finish,
            id = id, replica = replica }
        end
      end
      if at ~= #s + 1 then mark_corrupt(b, 'leases') end
    end
  end
  -- mutant: timed
  if b.mode ~= AUTO and b.mode_end > 0 and b.m >= b.mode_end then
    changes().lift(b, { reason = 'time', cause = cause })
  end
  if b.retuned and b.retuned.finish > 0 and b.m >= b.retuned.finish then
    changes().restore(b, { reason = 'time', cause = cause })
  end
end
