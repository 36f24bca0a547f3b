-- claim: leases to probe a tier.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   channel            for the push
-- ARGV[3]   policy             the replica's, 16 integers (policy.lua)
-- ARGV[4]   replica            name
-- ARGV[5]   known generation
-- ARGV[6]   known rev
-- ARGV[7]   known details      (repair.lua); read only if one of the two is above the store's
-- ARGV[8]   id                 of the claim
-- ARGV[9]   want               leases, at least 1
-- ARGV[10]  spread             ms, drawn by the caller, on top of the 100 ms after which to ask again
-- ARGV[11]  token              of this request; the reply brings it back, so that a misplaced one is known
--
-- Returns   'ok', token, fresh, pushed, made, snapshot, retry (ms), leases: 21 elements (save.lua); leases: a line each: id,
--           generation, what is left (ms); '' for a refusal
-- Returns   'invalid', token, field, number: a known number that is too high; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local b, refused = load(KEYS[1], ARGV[1])
if not b then return refused end
local policy, replica, id = ARGV[3], ARGV[4], ARGV[8]
local known = { gen = number(ARGV[5]), rev = number(ARGV[6]), details = ARGV[7] }
local want, spread = number(ARGV[9]), number(ARGV[10])
if not (known.gen and known.rev and want and want > 0 and spread) then return corrupt('ARGV') end
local bad_field = check_known(b, known)
if bad_field then
  return { 'invalid', ARGV[11], bad_field, text(bad_field == 'Known.Rev' and known.rev or known.gen) }
end

-- The live leases of this claim, if it was sent before.
local function claimed()
  local mine = {}
  for i = 1, #b.leases do
    local l = b.leases[i]
    -- mutant: same
    if l.id == id then mine[#mine + 1] = l end
  end
  return mine
end

-- Gives n new leases.
local function grant(n)
  local mine = {}
  for i = 1, n do
    b.granted = b.granted + 1
    mine[i] = { number = b.granted, generation = b.gen, finish = b.m + b.p.probe_lease, id = id, replica = replica }
    b.leases[#b.leases + 1] = mine[i]
  end
  return mine
end

-- The leases that the claim gets, and after how many ms to ask again if it gets none.
local function lease()
  if b.mode == FORCED_OPEN then return {}, b.mode_end > 0 and b.mode_end - b.m or b.p.open_for end
  if b.mode == FORCED_CLOSED or b.state == CLOSED then return {}, 0 end
  if b.state == OPEN then return {}, b.until_ - b.m end
  local same = claimed()
  if #same > 0 then return same, 0 end
  local failed = find_failed(failed_probes(b), replica)
  -- mutant: ban
  if failed and b.m < failed.ban then return {}, failed.ban - b.m end
  -- mutant: free
  local free = b.p.probes - #b.leases
  if free <= 0 then
    local first_end = b.m + ASK_AGAIN + spread
    for i = 1, #b.leases do first_end = math.min(first_end, b.leases[i].finish) end
    return {}, first_end - b.m
  end
  return grant(math.min(want, free)), 0
end

-- Saves b, and gives the reply with retry and a line for each lease.
local function answer(leases, retry)
  local reply, lines = save(b, ARGV[2]), {}
  if reply.err then return reply end
  for i = 1, #leases do
    local l = leases[i]
    lines[i] = string.format('%d.%d %d %d\n', l.generation, l.number, l.generation, l.finish - b.m)
  end
  reply[#reply + 1] = retry
  reply[#reply + 1] = table.concat(lines)
  return reply
end

if b.tombstone then
  b.tombstone.finish = b.m + DAY
  if not b.tombstone.hidden and not behind(b, known) then return answer({}, 0) end
end
begin(b, policy)
repair(b, known, replica)
expire(b, replica)
load_window(b)
load_count(b)
if b.state == OPEN and b.mode == AUTO and b.m >= b.until_ then
  changes().transition(b, HALF_OPEN, { reason = 'time', cause = replica })
end
return answer(lease())
