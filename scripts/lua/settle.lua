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
-- ARGV[9]   token              of this request; the reply brings it back, so that a misplaced one is known
--
-- Returns   'ok', token, fresh, pushed, made, snapshot: 19 elements (save.lua)
-- Returns   'absent', token: there is no such breaker; nothing was written
-- Error     COMMONTRIP corrupt field ...  the hash holds what no script wrote
-- Error     COMMONTRIP schema ...         a newer schema
local b, refused = load(KEYS[1], ARGV[1])
if not b then return refused end
local replica, gen, outcome, slow = ARGV[3], number(ARGV[5]), number(ARGV[6]), ARGV[7] == '1'
if not (gen and outcome) then return corrupt('ARGV') end
if b.blank then return { 'absent', ARGV[9] } end
if b.tombstone then
  b.tombstone.finish = b.m + DAY
  if not b.tombstone.hidden then return save(b, ARGV[2]) end
end
expire(b, replica)
load_window(b)
load_count(b)

-- Takes out the lease, if this replica holds it, or gives nil.
local function take_lease()
  for i, l in ipairs(b.leases) do
    if string.format('%d.%d', l.generation, l.number) == ARGV[4] then
      -- mutant: holder
      if l.replica ~= replica then return nil end
      table.remove(b.leases, i)
      return l
    end
  end
end

local lease = take_lease()
if not lease then return save(b, ARGV[2]) end

-- Notes a failed probe. It reopens once failed probes come from enough replicas, or once one replica fails again with a
-- lease that it got after its first failure. Until then that replica gets no lease.
local function fail_probe()
  local list = failed_probes(b)
  local failed = find_failed(list, replica)
  local again = failed and lease.number > failed.number
  if not failed then
    failed = { number = b.granted, name = replica }
    list[#list + 1] = failed
  end
  failed.ban = b.m + b.p.probe_lease
  if again or #list >= b.p.reporters then
    local names = {}
    for i = 1, #list do names[i] = list[i].name end
    changes().open(b, { reason = 'probe-failure', cause = replica, witnesses = names })
  end
end

-- Lets a probe of this half-open decide. If slow calls are judged, a slow one has failed: else the tier would close by what
-- opened it. Under a forced mode it is only counted, and after this half-open it is late.
local function decide()
  local ignored = outcome == OUTCOME_IGNORED and not slow
  -- mutant: counts
  if lease.generation ~= b.gen or gen ~= b.gen then
    if ignored then return end -- there may have been no call: the lease was given back
    return count(b, 0, 0, 0, 0, 1, 0)
  end
  if ignored then return count(b, 0, 0, 0, 1, 0, 0) end
  count(b, 1, outcome == OUTCOME_FAILURE and 1 or 0, slow and 1 or 0, 0, 0, 0)
  if b.mode ~= AUTO then return end
  -- mutant: too-slow
  local too_slow = slow and b.p.slow_rate > 0
  if outcome == OUTCOME_IGNORED and not too_slow then return end
  if outcome == OUTCOME_FAILURE or too_slow then
    if outcome == OUTCOME_FAILURE then
      b.window_changed = true
      add_labels(b, ARGV[8], 1)
    end
    fail_probe()
  else
    b.successes, b.moved = b.successes + 1, true
    -- mutant: enough
    if b.successes >= b.p.probe_successes then
      changes().transition(b, CLOSED, { reason = 'probe-successes', cause = replica })
    end
  end
end

decide()
return save(b, ARGV[2])
