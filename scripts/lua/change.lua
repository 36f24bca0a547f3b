-- What happens to a breaker: totals, transitions, the ends of what has ended, and the history of both.
local HISTORY = 50
local CALLS, FAILURES, SLOW, IGNORED, LATE, REJECTED = 1, 2, 3, 4, 5, 6

local function count(b, i, n) b.totals[i] = math.min(b.totals[i] + n, MAX) end

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
  return { from = b.state, prev = b.gen, tally = string.format('%.0f %.0f %.0f %.0f', b.calls, b.failures, b.slow, b.streak),
    labels = count_labels(b.labels) }
end

-- Writes an entry: numbers; then reason, cause, why, labels, witnesses in a line each. e: reason, cause, why, action,
-- witnesses (a list); adoption: told to all, but made by nobody.
local function enter(b, was, e)
  local entry = string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %s\n', was.from, b.state, b.mode, was.prev, b.gen,
    b.rev, e.action or 0, b.m, was.tally) .. table.concat({ e.reason, e.cause, e.why or '', was.labels,
    table.concat(e.witnesses or {}, '\t') }, '\n')
  b.writes[#b.writes + 1] = 'h' .. text(b.history % HISTORY)
  b.writes[#b.writes + 1] = entry
  b.history = b.history + 1
  b.entries[#b.entries + 1] = entry
  if not e.adoption then b.made = entry end
end

-- Everything that belongs to one generation, anew.
local function begin_generation(b, state, reason, cause)
  b.state, b.since, b.until_, b.successes = state, b.m, 0, 0
  b.cause = reason .. '\n' .. cause
  b.labels, b.probes = '', {}
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
  b.rev = after(b, b.rev)
  transition(b, state, {}, e, was)
end

-- Ends an operator's policy. Gives the name of a bad field.
local function end_policy(b, e)
  local was = before(b)
  b.retuned = false
  local bad = refit(b)
  b.rev = after(b, b.rev)
  enter(b, was, e)
  return bad
end

-- Ends what has ended at m: leases, bans are looked at where they matter; then a timed mode, then a timed policy. who
-- found it is their cause. Gives the name of a bad field.
local function expire(b, who)
  local live = {}
  for i = 1, #b.leases do
    if b.m < b.leases[i].finish then live[#live + 1] = b.leases[i] end
  end
  b.leases = live
  if b.mode ~= AUTO and b.mode_end > 0 and b.m >= b.mode_end then
    end_mode(b, { reason = 'time', cause = who })
  end
  if b.retuned and b.retuned.finish > 0 and b.m >= b.retuned.finish then
    return end_policy(b, { reason = 'time', cause = who })
  end
end
