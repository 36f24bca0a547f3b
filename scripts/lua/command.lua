-- command: an operator's word to the whole fleet.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   channel            for the push
-- ARGV[3]   action             1 force-open, 2 force-closed, 3 lift, 4 trip, 5 reset, 6 retune, 7 restore
-- ARGV[4]   policy             16 integers (policy.lua), or ''; read by retune
-- ARGV[5]   for                ms; 0: until lifted; trip: as long as the policy says
-- ARGV[6]   by                 who
-- ARGV[7]   why
--
-- Returns   'ok', fresh, pushed, made, face: 18 elements (save.lua)
-- Returns   'unknown': there is no such breaker, or none to be seen; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local b, refused = load(KEYS[1], ARGV[1])
if not b then return refused end
local action, ms, by, why = number(ARGV[3]), number(ARGV[5]), ARGV[6], ARGV[7]
if not (action and ms) then return corrupt('ARGV') end
if b.blank or b.tomb then return { 'unknown' } end
expire(b, by)
load_window(b)

local happen = change()
local e = { reason = 'operator', cause = by, why = why, action = action }
local finish = ms > 0 and b.m + ms or 0
local note = by .. '\n' .. why

local function force(mode)
  local was = happen.before(b)
  b.mode, b.mode_at, b.mode_end, b.mode_note = mode, b.m, finish, note
  b.commanded, b.rev = true, after(b, b.rev)
  happen.enter(b, was, e)
end

local function lift()
  if b.mode ~= AUTO then happen.end_mode(b, e) end
end

-- A trip while open starts the period anew, as long as the last opening's, and is no step of backoff.
local function trip()
  if b.state ~= OPEN then return happen.open(b, e, ms > 0 and ms or nil) end
  local n = happen.openings(b)
  local period = ms > 0 and ms or happen.open_time(b, math.max(n - 1, 0))
  happen.transition(b, OPEN, { until_ = b.m + period, openings = n }, e)
end

local function reset() happen.transition(b, CLOSED, { openings = 0 }, e) end

local function retune()
  if not parse_policy(ARGV[4]) then return spoil(b, 'ARGV') end
  local was = happen.before(b)
  b.retuned = { at = b.m, finish = finish, note = note, policy = ARGV[4] }
  happen.refit(b)
  b.commanded, b.rev = true, after(b, b.rev)
  happen.enter(b, was, e)
end

local function restore()
  if b.retuned then happen.end_policy(b, e) end
end

local actions = {
  function() force(FORCED_OPEN) end, function() force(FORCED_CLOSED) end, lift, trip, reset, retune, restore,
}
if not actions[action] then return corrupt('ARGV') end
actions[action]()
return save(b, ARGV[2])
