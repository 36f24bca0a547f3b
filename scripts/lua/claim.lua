-- claim: leases to probe a tier.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   channel            for the push
-- ARGV[3]   policy             the replica's, 16 integers (policy.lua)
-- ARGV[4]   replica            name
-- ARGV[5]   known generation
-- ARGV[6]   known rev
-- ARGV[7]   known details      (repair.lua); read only where one of the two is above the store's
-- ARGV[8]   id                 of the claim
-- ARGV[9]   want               leases, at least 1
-- ARGV[10]  spread             ms, drawn by the caller, on top of the 100 ms after which to ask again
--
-- Returns   'ok', fresh, pushed, made, face, retry (ms), leases: 20 elements (save.lua); leases: a line each: id,
--           generation, what is left (ms); '' for a refusal
-- Returns   'invalid', field, number: a known number that is too high; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local ASK_AGAIN = 100
local b, refused = load(KEYS[1], ARGV[1])
if not b then return refused end
local policy, replica, id = ARGV[3], ARGV[4], ARGV[8]
local known = { gen = number(ARGV[5]), rev = number(ARGV[6]), details = ARGV[7] }
local want, spread = number(ARGV[9]), number(ARGV[10])
if not (known.gen and known.rev and want and want > 0 and spread) then return corrupt('ARGV') end
local high = too_high(b, known)
if high then return { 'invalid', high, text(high == 'Known.Rev' and known.rev or known.gen) } end

local function answer(retry, leases)
  local r = save(b, ARGV[2])
  if r.err then return r end
  r[#r + 1] = retry
  r[#r + 1] = leases
  return r
end

if b.tomb then
  b.tomb.finish = b.m + DAY
  if b.tomb.bare then
    if not above(b, known) then return answer(0, '') end
    b.tomb.bare, b.blank, b.moved, b.commanded = false, true, true, true
  end
end
if b.fleet == '' then b.fleet = policy end
repair(b, known, replica)
expire(b, replica)
load_window(b)
load_count(b)

if b.mode == FORCED_CLOSED then return answer(0, '') end
if b.mode == FORCED_OPEN then
  return answer(b.mode_end > 0 and b.mode_end - b.m or b.p.open_for, '')
end
if b.state == OPEN then
  if b.m < b.until_ then return answer(b.until_ - b.m, '') end
  change().transition(b, HALF_OPEN, {}, { reason = 'time', cause = replica })
end
if b.state == CLOSED then return answer(0, '') end

local function lines(leases)
  for i = 1, #leases do
    local l = leases[i]
    leases[i] = string.format('%d.%d %d %d\n', l.generation, l.number, l.generation, l.finish - b.m)
  end
  return table.concat(leases)
end

local mine, first_end = {}, b.m + ASK_AGAIN + spread
for i = 1, #b.leases do
  local l = b.leases[i]
  if l.id == id then mine[#mine + 1] = l end
  first_end = math.min(first_end, l.finish)
end
if #mine > 0 then return answer(0, lines(mine)) end
local ban = find_probe(failed_probes(b), replica)
if ban and b.m < ban.ban then return answer(ban.ban - b.m, '') end
-- mutant: free
local free = b.p.probes - #b.leases
if free <= 0 then return answer(first_end - b.m, '') end
for i = 1, math.min(want, free) do
  b.granted = b.granted + 1
  local l = { number = b.granted, generation = b.gen, finish = b.m + b.p.probe_lease, id = id, replica = replica }
  b.leases[#b.leases + 1] = l
  mine[i] = l
end
return answer(0, lines(mine))
