-- command: an operator's command to the whole fleet.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   channel            for the push
-- ARGV[3]   action             1 force-open, 2 force-closed, 3 lift, 4 trip, 5 reset, 6 retune, 7 restore
-- ARGV[4]   policy             16 integers (policy.lua), or ''; read by retune
-- ARGV[5]   for                ms; 0: until lifted; trip: as long as the policy says
-- ARGV[6]   by                 the operator
-- ARGV[7]   why
-- ARGV[8]   known generation   the commander's
-- ARGV[9]   known rev
-- ARGV[10]  known details      (repair.lua); read only if one of the two is above the store's
-- ARGV[11]  token              of this request; the reply brings it back, so that a misplaced one is known
--
-- Returns   'ok', token, fresh, pushed, made, snapshot: 19 elements (save.lua)
-- Returns   'unknown', token: there is no such breaker, or none to be seen; nothing was written
-- Returns   'invalid', token, field, number: a known number that is too high; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local b, refused = load(KEYS[1], ARGV[1])
if not b then return refused end
local action, ms, by, why = number(ARGV[3]), number(ARGV[5]), ARGV[6], ARGV[7]
local known = { gen = number(ARGV[8]), rev = number(ARGV[9]), details = ARGV[10] }
if not (action and ms and known.gen and known.rev) then return corrupt('ARGV') end
if b.blank or b.tombstone then return { 'unknown', ARGV[11] } end
local bad_field = check_known(b, known)
if bad_field then
  return { 'invalid', ARGV[11], bad_field, text(bad_field == 'Known.Rev' and known.rev or known.gen) }
end
repair(b, known, by)
expire(b, by)
load_window(b)

local change = changes()
local e = { reason = 'operator', cause = by, why = why, action = action }
local finish = ms > 0 and b.m + ms or 0
local note = by .. '\n' .. why

-- Replaces a standing mode without ending it, and leaves the state below it.
local function force(mode)
  local entry = change.begin_entry(b)
  b.mode, b.mode_at, b.mode_end, b.mode_note = mode, b.m, finish, note
  if b.state == CLOSED then b.until_, b.moved = 0, true end
  b.commanded, b.rev = true, next_number(b.rev, b.m)
  change.append_entry(b, entry, e)
end

-- Opens as a rule would. While open it starts the period again, as long as the last one. That is not a step of the backoff.
local function trip()
  if b.state == OPEN then
    local period = change.open_period(b, math.max(b.openings - 1, 0))
    change.transition(b, OPEN, e)
    b.until_ = b.m + period
  else
    change.open(b, e)
  end
  if ms > 0 then b.until_ = b.m + ms end
end

-- Closes, and forgets the openings in a row. Below a forced mode it notes that, so that b stays closed after it.
local function reset()
  change.transition(b, CLOSED, e)
  b.openings = 0
  if b.mode ~= AUTO then b.until_ = RESET_BELOW end
end

-- Puts an operator's policy in force.
local function retune(policy)
  if not compile_policy(policy) then return mark_corrupt(b, 'ARGV') end
  local entry = change.begin_entry(b)
  b.retuned = { at = b.m, finish = finish, note = note, policy = policy }
  change.refit(b)
  b.commanded, b.rev = true, next_number(b.rev, b.m)
  change.append_entry(b, entry, e)
end

if action == FORCE_OPEN then
  force(FORCED_OPEN)
elseif action == FORCE_CLOSED then
  force(FORCED_CLOSED)
elseif action == LIFT then
  if b.mode ~= AUTO then change.lift(b, e) end
elseif action == TRIP then
  trip()
elseif action == RESET then
  reset()
elseif action == RETUNE then
  retune(ARGV[4])
elseif action == RESTORE then
  if b.retuned then change.restore(b, e) end
else
  return corrupt('ARGV')
end
return save(b, ARGV[2])
