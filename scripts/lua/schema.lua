-- How a breaker lies in its hash, and how it is read and checked.
--
-- Every field is a short string of integers, one blank between them; texts follow in lines of their own. No name, note
-- or label holds a control character, so that line feeds and tabs can part them. An empty field is as an absent one.
-- All times are ms of machine time (m, below).
--
--   v           schema version
--   generation  number of the stretch of one state
--   rev         number of what operators leave standing
--   clock       at off: machine time of the last script, and what it is ahead of the store's clock
--   state       state since until openings successes: 0 closed, 1 open, 2 half-open; end of the open time; openings in
--               a row; good probes of this half-open
--   cause       reason, cause of the last transition
--   mode        mode at end, by, why: 1 forced open, 2 forced closed; end 0 = until lifted; empty = none stands
--   policy      the fleet's policy, 16 integers (policy.lua)
--   retuned     at end, by, why, policy: an operator's policy; empty = none stands
--   totals      calls failures slow ignored late rejected
--   tally       c streak first calls failures slow, or t streak first {bucket calls failures slow}: window of calls or
--               of time; first: when the streak began
--   window      window of calls, a character an outcome, oldest first: 0 good, 1 failed, 2 slow, 3 failed and slow
--   labels      labels of the newest 32 failures of the generation, a line each
--   by_failure, by_slow, by_streak
--               place arrival name, a line for each of at most 16 replicas whose outcomes these were
--   leases      number generation end id TAB replica, a line each
--   probes      number ban name, a line for each replica with a failed probe in this half-open: the lease counter when
--               it first failed, the end of its ban
--   count       entries leases arrivals: ever written to the history, ever granted; outcomes since the window was empty
--   h0..h49     the history, entry n in field n mod 50 (change.lua)
--   roster      the roster's counters (roster.lua)
--   q0..        the roster's names, numbered
--   r:<name>    one entry of the roster
--   tomb        phase generation rev end: 1 removed, 2 removed but brought back by a replica, unseen; with the numbers
--               that the removal made
local SCHEMA = 1
local MAX = 9007199254740991 -- 2^53 - 1
local DAY = 86400000
local CLOSED, OPEN, HALF_OPEN = 0, 1, 2
local AUTO, FORCED_OPEN, FORCED_CLOSED = 0, 1, 2
local MAX_OPENINGS = 1000000

-- The digits s as a number, nil where s is anything else or too large to be exact.
local function int(s)
  local n = string.match(s, '^%d+$') and tonumber(s)
  if n and n <= MAX then return n end
end

local function text(n) return string.format('%.0f', n) end

-- What a script says of a hash that it cannot have written.
local function corrupt(field)
  return redis.error_reply('COMMONTRIP corrupt field ' .. field)
end

-- Steps from one schema to the next: migrations[n](f) makes fields f of schema n those of n + 1.
local migrations = {}

-- Brings fields f to this schema, or gives an error reply.
local function check_schema(f)
  local v = int(f.v)
  if not v then return corrupt('v') end
  if v > SCHEMA then
    return redis.error_reply('COMMONTRIP schema ' .. text(v) .. ' is newer than this replica\'s ' .. text(SCHEMA))
  end
  for n = v, SCHEMA - 1 do
    if not migrations[n] then return corrupt('v') end
    migrations[n](f)
  end
end

-- Numbers of a group by its pattern; nil where it does not match or a number is too large to be exact.
local function ints(s, pattern)
  local t = { string.match(s, pattern) }
  if #t == 0 then return nil end
  for i = 1, #t do
    local n = tonumber(t[i])
    if not n or n > MAX or n < -MAX then return nil end
    t[i] = n
  end
  return t
end

-- Reads the leases, a table each.
local function parse_leases(s)
  local leases, at = {}, 1
  for from, number, generation, finish, id, replica, to in
      string.gmatch(s, '()(%d+) (%d+) (%d+) ([^\n\t]+)\t([^\n\t]+)\n()') do
    if from ~= at then return nil end
    at = to
    leases[#leases + 1] = { number = tonumber(number), generation = tonumber(generation), finish = tonumber(finish),
      id = id, replica = replica }
  end
  if at ~= #s + 1 then return nil end
  return leases
end

-- A machine that nobody made yet.
local function absent(key, now)
  return {
    key = key, f = {}, writes = {}, drops = {}, entries = {}, now = now, m = now, fresh = true,
    gen = 0, rev = 0, state = CLOSED, since = now, until_ = 0, openings = 0, successes = 0, cause = '\n',
    mode = AUTO, mode_at = 0, mode_end = 0, mode_note = '', fleet = '', retuned = false,
    totals = { 0, 0, 0, 0, 0, 0 }, leases = {}, history = 0, granted = 0, arrivals = 0,
  }
end

-- The groups that every script needs, from b.f into b. Gives the name of the first bad one.
local function parse(b)
  local f = b.f
  b.gen, b.rev = int(f.generation), int(f.rev)
  if not b.gen then return 'generation' end
  if not b.rev then return 'rev' end

  local state = ints(f.state, '^([012]) (%d+) (%d+) (%d+) (%d+)$')
  if not state or state[4] > MAX_OPENINGS then return 'state' end
  b.state, b.since, b.until_, b.openings, b.successes = state[1], state[2], state[3], state[4], state[5]

  if f.tomb ~= '' then
    local tomb = ints(f.tomb, '^([12]) (%d+) (%d+) (%d+)$')
    if not tomb then return 'tomb' end
    b.tomb = { bare = tomb[1] == 1, gen = tomb[2], rev = tomb[3], finish = tomb[4] }
    if b.tomb.bare then return end
  end

  if f.policy == '' then return 'policy' end
  b.cause, b.fleet = f.cause, f.policy
  if f.mode ~= '' then
    local mode = ints(f.mode, '^([12]) (%d+) (%d+)\n')
    if not mode then return 'mode' end
    b.mode, b.mode_at, b.mode_end = mode[1], mode[2], mode[3]
    b.mode_note = string.match(f.mode, '\n([^\n]*\n[^\n]*)$')
    if not b.mode_note then return 'mode' end
  end
  if f.retuned ~= '' then
    local at, finish, note, policy = string.match(f.retuned, '^(%d+) (%d+)\n([^\n]*\n[^\n]*)\n([%d ]+)$')
    if not at or not int(at) or not int(finish) then return 'retuned' end
    b.retuned = { at = tonumber(at), finish = tonumber(finish), note = note, policy = policy }
  end
  b.totals = ints(f.totals, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not b.totals then return 'totals' end
  local count = ints(f.count, '^(%d+) (%d+) (%d+)$')
  if not count then return 'count' end
  b.history, b.granted, b.arrivals = count[1], count[2], count[3]
  if f.leases ~= '' then
    b.leases = parse_leases(f.leases)
    if not b.leases then return 'leases' end
  end
end

-- Reads the breaker at key, all but its window, and brings machine time to now: it never goes back. clock is the
-- store's in ms, or '' to read it. more names one more field to read. Gives nil and an error reply where the hash is no
-- breaker's.
local function load(key, clock, more)
  local r = redis.call('HMGET', key, 'v', 'generation', 'rev', 'clock', 'state', 'cause', 'mode', 'policy', 'retuned',
    'totals', 'tally', 'labels', 'leases', 'roster', 'tomb', 'window', 'probes', 'count', 'by_failure', 'by_slow',
    'by_streak', more or 'v')
  local now = tonumber(clock)
  if not now then
    local t = redis.call('TIME')
    now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  end
  now = math.max(now, 0)

  local b = absent(key, now)
  if not (r[1] or r[2] or r[4] or r[5]) then
    return b
  end
  local f = {
    v = r[1] or '', generation = r[2] or '', rev = r[3] or '', clock = r[4] or '', state = r[5] or '',
    cause = r[6] or '', mode = r[7] or '', policy = r[8] or '', retuned = r[9] or '', totals = r[10] or '',
    tally = r[11] or '', labels = r[12] or '', leases = r[13] or '', roster = r[14] or '', tomb = r[15] or '',
    window = r[16] or '', probes = r[17] or '', count = r[18] or '', by_failure = r[19] or '', by_slow = r[20] or '',
    by_streak = r[21] or '',
  }
  if more then f[more] = r[22] or '' end
  local refused = check_schema(f)
  if refused then return nil, refused end

  b.f, b.fresh = f, false
  local clocks = ints(f.clock, '^(%d+) (%-?%d+)$')
  if not clocks then return nil, corrupt('clock') end
  b.m = math.max(clocks[1], now + clocks[2])
  if b.m > MAX then return nil, corrupt('clock') end
  local bad = parse(b)
  if bad then return nil, corrupt(bad) end

  if b.tomb and b.m >= b.tomb.finish then
    b = absent(key, now)
    b.wipe = true
  end
  return b
end
