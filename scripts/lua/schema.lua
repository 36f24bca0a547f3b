-- How a breaker lies in its hash, and how it is read and checked.
--
-- Every field is a short string of integers, one blank between them; texts follow in lines of their own. No name, note
-- or label holds a control character, so that line feeds and tabs can part them. An empty field is as an absent one.
-- All times are ms of machine time (m, below).
--
--   v           schema version
--   name        as the key has it: a read that brings another breaker's fields is known by it; absent in a hash of 0.1
--   generation  number of the stretch of one state
--   rev         number of what operators leave standing
--   clock       at off kept: machine time of the last script, what it is ahead of the store's clock, and when the time to
--               live was last set
--   state       state since until openings successes: 0 closed, 1 open, 2 half-open; end of the open time (closed: 1 if
--               a reset below a forced mode made it so, else 0); openings in a row; good probes of this half-open
--   cause       reason, cause of the last transition
--   mode        mode at end, by, why: 1 forced open, 2 forced closed; end 0 = until lifted; empty = none stands; one of a
--               newer release stands, and is as none here
--   policy      the fleet's policy, 16 integers (policy.lua)
--   retuned     at end, by, why, policy: an operator's policy; empty = none stands
--   totals      calls failures slow ignored late rejected
--   tally       c streak first arrivals calls failures slow, or t streak first arrivals {bucket calls failures slow}: a
--               window of calls or of time; when the streak began; outcomes since the window was empty
--   window      window of calls, a character an outcome, oldest first: 0 good, 1 failed, 2 slow, 3 failed and slow
--   labels      number of the labels; then those of the newest 32 failures of the generation, a line each
--   by_failure, by_slow, by_streak
--               name TAB place, a line for each of at most 16 replicas whose outcomes these were, lowest place first
--   leases      number generation end id TAB replica, a line each
--   probes      number ban name, a line for each replica with a failed probe in this half-open: the lease counter when
--               it first failed, the end of its ban
--   count       entries leases: ever written to the history, ever granted
--   h0..h49     the history, entry n in field n mod 50 (transition.lua)
--   outage      number and entry: what began the time in which the breaker is not closed, if h0..h49 begin with entry
--               number in the middle of that time
--   roster      the roster's counters (roster.lua)
--   q0..        the roster's names, numbered
--   r:<name>    one entry of the roster
--   p:<name>    the policy that this replica reports, if it is not the fleet's
--   tomb        phase generation rev end, of a tombstone: phase 1 removed, 2 removed but brought back by a replica and
--               still hidden; then the numbers that the removal made

-- Makes a number of the digits s. Gives nil if s is something else, or too large to be exact.
local function int(s)
  local n = string.match(s, '^%d+$') and tonumber(s)
  if n and n <= MAX_NUMBER then return n end
end

-- Does the same with what a replica sent.
local function number(s)
  local n = tonumber(s)
  if n and n >= 0 and n <= MAX_NUMBER then return n end
end

-- Writes a number in digits.
-- mutant: digits
local function text(n) return string.format('%d', n) end

-- The error reply for a hash that no script has written.
local function corrupt(field)
  return redis.error_reply('COMMONTRIP corrupt field ' .. field)
end

-- Notes that a field of b is bad. The script goes on with harmless values and ends in the error, since nothing is written
-- before save.
local function mark_corrupt(b, field) b.bad = b.bad or field end

-- Gives a field that load did not read.
local function field(b, name)
  local value = b.f[name]
  if not value then
    value = not b.blank and redis.call('HGET', b.key, name) or ''
    b.f[name] = value
  end
  return value
end

-- Reads what every script needs from the fields b.f into b.
local function parse(b)
  local f = b.f
  b.gen, b.rev = int(f.generation), int(f.rev)
  b.old_gen, b.old_rev = b.gen, b.rev
  if not b.gen then return mark_corrupt(b, 'generation') end
  if not b.rev then return mark_corrupt(b, 'rev') end

  local state, since, until_, openings, successes = string.match(f.state, '^([012]) (%d+) (%d+) (%d+) (%d+)$')
  if not state then return mark_corrupt(b, 'state') end
  b.state, b.since, b.until_ = tonumber(state), tonumber(since), tonumber(until_)
  b.openings, b.successes = math.min(tonumber(openings), MAX_OPENINGS), tonumber(successes)
  if b.since > MAX_NUMBER or b.until_ > MAX_NUMBER then return mark_corrupt(b, 'state') end

  if f.tomb ~= '' then
    local phase, gen, rev, finish = string.match(f.tomb, '^([12]) (%d+) (%d+) (%d+)$')
    if not phase then return mark_corrupt(b, 'tomb') end
    b.tombstone = { hidden = phase == '2', gen = tonumber(gen), rev = tonumber(rev), finish = tonumber(finish) }
    if not b.tombstone.hidden then return end
  end

  if f.policy == '' then return mark_corrupt(b, 'policy') end
  b.cause, b.fleet = f.cause, f.policy
  if f.mode ~= '' then
    local mode, at, finish, note = string.match(f.mode, '^([1-9]%d?%d?) (%d+) (%d+)\n([^\n]*\n[^\n]*)$')
    if not mode then return mark_corrupt(b, 'mode') end
    if tonumber(mode) > FORCED_CLOSED then
      b.newer_mode = f.mode
    else
      b.mode, b.mode_at, b.mode_end, b.mode_note = tonumber(mode), tonumber(at), tonumber(finish), note
    end
  end
  if f.retuned ~= '' then
    local at, finish, note, policy = string.match(f.retuned, '^(%d+) (%d+)\n([^\n]*\n[^\n]*)\n([%d ]+)$')
    if not at then return mark_corrupt(b, 'retuned') end
    b.retuned = { at = tonumber(at), finish = tonumber(finish), note = note, policy = policy }
  end
end

-- Makes a breaker that nobody has made yet, at now. All that scripts set is named here, so that the table need not grow.
local function absent(key, now)
  return {
    key = key, f = {}, writes = {}, drops = {}, entries = {}, now = now, m = now, kept = 0, blank = true, wipe = false,
    appeared = true, moved = true, commanded = true, gen = 0, rev = 0, old_gen = false, old_rev = false, state = CLOSED,
    since = now, until_ = 0, openings = 0, successes = 0, cause = '\n', mode = AUTO, mode_at = 0, mode_end = 0,
    mode_note = '', newer_mode = '', fleet = '', retuned = false, tombstone = false, p = false, p_source = false, roster = false,
    leases = false, totals = false, by = false, mine = false, w = '', tail = false, cut = 0, buckets = false,
    arrivals = 0, calls = 0, failures = 0, slow = 0, streak = 0, first = 0, labels = '', label_count = 0, fresh = false, window_changed = false,
  }
end

-- Reads the breaker at key and brings machine time to now. clock is the store's clock in ms, or '' to read it. read is
-- what HMGET gave, if the script has asked already. Then come the names of more fields. Gives nil and an error reply if
-- the hash is not a breaker's.
local function load(key, clock, read, ...)
  local r = read or redis.call('HMGET', key, 'v', 'generation', 'rev', 'clock', 'state', 'cause', 'mode', 'policy',
    'retuned', 'totals', 'tally', 'labels', 'leases', 'roster', 'tomb', ...)
  local now = tonumber(clock)
  if not now then
    local t = redis.call('TIME')
    now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  end
  local b = absent(key, math.max(now, 0))
  if not (r[1] or r[2] or r[4] or r[5]) then
    if text(MAX_NUMBER) ~= string.format('%.0f', MAX_NUMBER) then
      return nil, redis.error_reply('COMMONTRIP server of 32 bits: its %d is too short for our numbers')
    end
    return b
  end
  local f = {
    v = r[1] or '', generation = r[2] or '', rev = r[3] or '', clock = r[4] or '', state = r[5] or '',
    cause = r[6] or '', mode = r[7] or '', policy = r[8] or '', retuned = r[9] or '', totals = r[10] or '',
    tally = r[11] or '', labels = r[12] or '', leases = r[13] or '', roster = r[14] or '', tomb = r[15] or '',
    window = false, by_failure = false, by_slow = false, by_streak = false, count = false,
  }
  for i = 1, select('#', ...) do f[select(i, ...)] = r[15 + i] or '' end
  b.f, b.blank, b.appeared, b.moved, b.commanded = f, false, false, f.v ~= SCHEMA, false
  if b.moved then -- a migration from an older schema belongs here
    local v = int(f.v)
    if not v or v < tonumber(SCHEMA) then return nil, corrupt('v') end
    -- mutant: newer
    if v > tonumber(SCHEMA) then
      return nil, redis.error_reply('COMMONTRIP schema ' .. text(v) .. ' is newer than this replica\'s ' .. SCHEMA)
    end
  end
  if not moment(b) then return nil, corrupt('clock') end
  parse(b)
  if b.bad then return nil, corrupt(b.bad) end

  if b.tombstone and b.m >= b.tombstone.finish then
    b = absent(key, b.now)
    b.wipe = true
  end
  return b
end
