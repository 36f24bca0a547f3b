-- settle: how a probe went.
--
-- KEYS[1]   <prefix>:{<name>}  hash
-- ARGV[1]   clock              ms since 1970, or '' for the server's
-- ARGV[2]   channel            for the push
-- ARGV[3]   replica            name
-- ARGV[4]   lease              its id, or '' for one that nobody holds
-- ARGV[5]   generation         of the lease
-- ARGV[6]   outcome            1 success, 2 failure, 3 ignored
-- ARGV[7]   slow               0 or 1
-- ARGV[8]   label              why it failed
--
-- Returns   'ok', fresh, pushed, made, face: 18 elements (save.lua)
-- Returns   'absent': there is no such breaker; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local b, refused = load(KEYS[1], ARGV[1])
if not b then return refused end
local replica, gen = ARGV[3], number(ARGV[5])
if not gen then return corrupt('ARGV') end
if b.blank then return { 'absent' } end
if b.tomb then
  b.tomb.finish = b.m + DAY
  if b.tomb.bare then return save(b, ARGV[2]) end
end
expire(b, replica)
load_window(b)
load_count(b)

-- Takes the lease out and says whether its outcome counts.
local function take_lease()
  for i, l in ipairs(b.leases) do
    if string.format('%d.%d', l.generation, l.number) == ARGV[4] then
      if l.replica ~= replica then return nil end
      table.remove(b.leases, i)
      return l.generation == b.gen and gen == b.gen and l or nil
    end
  end
end

-- A failed probe reopens: at once, or once enough replicas have seen one, or one sees another after its ban. Until then
-- that replica gets no lease.
local function fail(lease)
  local list = failed_probes(b)
  local probe = find_probe(list, replica)
  local again = probe and lease.number > probe.number
  if not probe then
    probe = { number = b.granted, name = replica }
    list[#list + 1] = probe
  end
  probe.ban = b.m + b.p.probe_lease
  if again or #list >= b.p.reporters then
    local names = {}
    for i = 1, #list do names[i] = list[i].name end
    change().open(b, { reason = 'probe-failure', cause = replica, witnesses = names })
  end
end

local lease = take_lease()
if lease then
  if ARGV[6] == '3' then
    count(b, IGNORED, 1)
  else
    count(b, CALLS, 1)
    if ARGV[6] == '2' then count(b, FAILURES, 1) end
    if ARGV[7] == '1' then count(b, SLOW, 1) end
  end
  if b.mode == AUTO and ARGV[6] == '1' then
    b.successes, b.moved = b.successes + 1, true
    if b.successes >= b.p.probe_successes then
      change().transition(b, CLOSED, {}, { reason = 'probe-successes', cause = replica })
    end
  elseif b.mode == AUTO and ARGV[6] == '2' then
    b.window_changed = true
    add_labels(b, ARGV[8], 1)
    fail(lease)
  end
end
return save(b, ARGV[2])
