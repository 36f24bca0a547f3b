-- What happens to a breaker: totals, transitions, the ends of what has ended, and the history of both.
--
-- A function costs a script a tenth of a microsecond where it is made, though nobody calls it. Those for what happens
-- seldom are made within change, where it does.
local HISTORY = 50
local CALLS, FAILURES, SLOW, IGNORED, LATE, REJECTED = 1, 2, 3, 4, 5, 6

-- Adds n to one of the totals.
local function count(b, i, n)
  local t = b.totals
  if not t then
    t = { '0', '0', '0', '0', '0', '0' }
    if not b.blank then
      t = { string.match(b.f.totals, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$') }
      if #t ~= 6 then return spoil(b, 'totals') end
    end
    b.totals = t
  end
  if n > 0 then t[i] = text(math.min(tonumber(t[i]) + n, MAX)) end
end

-- Reads how many entries and leases there ever were.
local function load_count(b)
  if b.history then return end
  local s = field(b, 'count')
  b.history, b.granted = 0, 0
  if s ~= '' then
    local history, granted = string.match(s, '^(%d+) (%d+)$')
    if not history then return spoil(b, 'count') end
    b.history, b.granted = tonumber(history), tonumber(granted)
  end
end

-- What a script needs that changes more than counts: change().open(b, e).
local function change()
  -- How often each label came up, "count label" each, tabs between.
  local function count_labels(labels)
    local counts, order = {}, {}
    for label in string.gmatch(labels, '([^\n]*)\n') do
      if label ~= '' then
        if not counts[label] then
          counts[label] = 0
          order[#order + 1] = label
        end
        counts[label] = counts[label] + 1
      end
    end
    for i = 1, #order do order[i] = text(counts[order[i]]) .. ' ' .. order[i] end
    return table.concat(order, '\t')
  end

  -- Takes the policy in force anew after a change of the fleet's or an operator's: another number of calls keeps the
  -- newest, another kind or time empties window and streak.
  local function refit(b)
    local old = b.p
    choose_policy(b)
    if old.window_time ~= b.p.window_time or (old.window_calls > 0) ~= (b.p.window_calls > 0) then
      empty_window(b)
    elseif b.p.window_calls > 0 and b.calls > b.p.window_calls then
      cut_window(b, b.calls - b.p.window_calls)
      b.window_changed = true
    end
  end

  -- The consecutive openings as they read at m: forgotten once the breaker has been closed for OpenFor.
  local function openings(b)
    if b.state == CLOSED and b.m - b.since >= b.p.open_for then return 0 end
    return b.openings
  end

  -- How long an opening after n others lasts.
  local function open_time(b, n)
    return math.min(b.p.open_for * 2 ^ math.min(n, 20), b.p.open_for_max)
  end

  -- What an entry of the history tells of the time just before it.
  local function before(b)
    load_window(b)
    join_labels(b)
    return { from = b.state, prev = b.gen, tally = string.format('%d %d %d %d', b.calls, b.failures, b.slow, b.streak),
      labels = count_labels(b.labels) }
  end

  -- Writes an entry: numbers; then reason, cause, why, labels, witnesses in a line each. e: reason, cause, why, action,
  -- witnesses (a list); adoption: told to all, but made by nobody.
  local function enter(b, was, e)
    local entry = string.format('%d %d %d %d %d %d %d %d %s\n', was.from, b.state, b.mode, was.prev, b.gen,
      b.rev, e.action or 0, b.m, was.tally) .. table.concat({ e.reason, e.cause, e.why or '', was.labels,
      table.concat(e.witnesses or {}, '\t') }, '\n')
    load_count(b)
    b.writes[#b.writes + 1] = 'h' .. text(b.history % HISTORY)
    b.writes[#b.writes + 1] = entry
    b.history = b.history + 1
    b.entries[#b.entries + 1] = entry
    if not e.adoption then b.made = entry end
  end

  -- Everything that belongs to one generation, anew.
  local function begin_generation(b, state, reason, cause)
    b.moved = true
    b.state, b.since, b.until_, b.successes = state, b.m, 0, 0
    b.cause = reason .. '\n' .. cause
    b.labels, b.label_count, b.fresh, b.probes = '', 0, {}, {}
    empty_window(b)
  end

  -- Moves b into state as a new generation. to: until_ and openings where they change; e as in enter; was: from before()
  -- where mode or rev have changed since.
  local function transition(b, state, to, e, was)
    was = was or before(b)
    local n = to.openings or openings(b)
    b.gen = after(b, b.gen)
    begin_generation(b, state, e.reason, e.cause)
    b.openings, b.until_ = n, to.until_ or 0
    enter(b, was, e)
  end

  -- Opens b for as long as its backoff says, or for ms.
  local function open(b, e, ms)
    local n = openings(b)
    transition(b, OPEN, { until_ = b.m + (ms or open_time(b, n)), openings = math.min(n + 1, MAX_OPENINGS) }, e)
  end

  -- Ends the forced mode that stands: forced open gives half-open, forced closed gives closed.
  local function end_mode(b, e)
    local was = before(b)
    local state = b.mode == FORCED_OPEN and HALF_OPEN or CLOSED
    b.mode, b.mode_at, b.mode_end, b.mode_note = AUTO, 0, 0, ''
    b.commanded, b.rev = true, after(b, b.rev)
    transition(b, state, {}, e, was)
  end

  -- Ends an operator's policy.
  local function end_policy(b, e)
    local was = before(b)
    b.retuned = false
    refit(b)
    b.commanded, b.rev = true, after(b, b.rev)
    enter(b, was, e)
  end

  return {
    refit = refit, openings = openings, open_time = open_time, before = before, enter = enter, open = open,
    begin_generation = begin_generation, transition = transition, end_mode = end_mode, end_policy = end_policy,
  }
end

-- Ends what has ended at m: leases, then a timed mode, then a timed policy. who found it is their cause. Bans and buckets
-- are looked at where they matter.
local function expire(b, who)
  if not b.leases then
    local s, at = b.f.leases or '', 1
    b.leases = {}
    if s ~= '' then
      for from, number, generation, finish, id, replica, to in
          string.gmatch(s, '()(%d+) (%d+) (%d+) ([^\n\t]+)\t([^\n\t]+)\n()') do
        if from == at then at = to end
        finish = tonumber(finish)
        if b.m < finish then
          b.leases[#b.leases + 1] = { number = tonumber(number), generation = tonumber(generation), finish = finish,
            id = id, replica = replica }
        end
      end
      if at ~= #s + 1 then spoil(b, 'leases') end
    end
  end
  if b.mode ~= AUTO and b.mode_end > 0 and b.m >= b.mode_end then
    change().end_mode(b, { reason = 'time', cause = who })
  end
  if b.retuned and b.retuned.finish > 0 and b.m >= b.retuned.finish then
    change().end_policy(b, { reason = 'time', cause = who })
  end
end
