-- Writing a breaker, telling the replicas, and the reply.
--
-- The snapshot's fields are generation, rev, clock, state, cause, mode, policy, retuned, totals, tally, labels, leases,
-- roster, tomb as they lie in the hash, absent ones empty. Replies and pushes carry them, reads ask for them, and one
-- place in Go makes a snapshot of them.

-- Notes a field for the one HSET, if it changes.
local function put(b, name, value)
  local old = b.f[name] or b.blank and ''
  if old ~= value then
    b.f[name] = value
    b.writes[#b.writes + 1] = name
    b.writes[#b.writes + 1] = value
  end
end

-- Notes the numbers, the state and the tombstone.
local function put_numbers(b)
  if b.gen ~= b.old_gen then put(b, 'generation', text(b.gen)) end
  if b.rev ~= b.old_rev then put(b, 'rev', text(b.rev)) end
  if b.moved then
    put(b, 'v', SCHEMA)
    put(b, 'state', string.format('%d %d %d %d %d', b.state, b.since, b.until_, b.openings, b.successes))
    put(b, 'cause', b.cause)
  end
  local t = b.tombstone
  put(b, 'tomb', t and string.format('%d %d %d %d', t.hidden and 2 or 1, t.gen, t.rev, t.finish) or '')
end

-- Notes the window, the streak, the labels, and the replicas whose outcomes they are.
local function put_window(b)
  if b.p.window_calls > 0 then
    put(b, 'tally', string.format('c %d %d %d %d %d %d', b.streak, b.first, b.arrivals, b.calls, b.failures, b.slow))
  else
    local parts = { string.format('t %d %d %d', b.streak, b.first, b.arrivals) }
    for i = bucket_of(b, b.m - b.p.window_time) + 1, bucket_of(b, b.m) do
      local t = b.buckets[i]
      if t then parts[#parts + 1] = string.format(' %d %d %d %d', i, t[1], t[2], t[3]) end
    end
    put(b, 'tally', table.concat(parts))
  end
  join_window(b)
  join_labels(b)
  put(b, 'window', string.sub(b.w, b.cut + 1))
  put(b, 'labels', b.label_count > 0 and text(b.label_count) .. '\n' .. b.labels or '')
  local by = b.by
  if by.by_failure then put(b, 'by_failure', by.by_failure) end
  if by.by_slow then put(b, 'by_slow', by.by_slow) end
  if by.by_streak then put(b, 'by_streak', by.by_streak) end
end

-- Notes leases and failed probes.
local function put_probes(b)
  local lines = {}
  for i, l in ipairs(b.leases or {}) do
    lines[i] = string.format('%d %d %d %s\t%s\n', l.number, l.generation, l.finish, l.id, l.replica)
  end
  if b.leases then put(b, 'leases', table.concat(lines)) end
  if b.probes then
    lines = {}
    for i, p in ipairs(b.probes) do lines[i] = string.format('%d %d %s\n', p.number, p.ban, p.name) end
    put(b, 'probes', table.concat(lines))
  end
end

-- Gives the snapshot's fields.
local function snapshot_fields(b)
  local f = b.f
  return f.generation, f.rev, f.clock, f.state, f.cause or '', f.mode or '', f.policy or '', f.retuned or '',
    f.totals or '', f.tally or '', f.labels or '', f.leases or '', f.roster or '', f.tomb or ''
end

-- Tells all subscribers of channel what this script wrote to the history: version, key, number of entries, entries,
-- the snapshot's fields, parted by \1. Returns 1, or 0 if the server denied it.
local function push(b, channel)
  local n = #b.entries
  local parts = { '1', b.key, text(n) }
  for i = 1, n do parts[3 + i] = b.entries[i] end
  local tail = { snapshot_fields(b) }
  for i = 1, #tail do parts[3 + n + i] = tail[i] end
  -- mutant: denied
  local r = redis.pcall('PUBLISH', channel, table.concat(parts, '\1'))
  if type(r) == 'table' and r.err then return 0 end
  return 1
end

-- Whether nothing ever happened to the breaker: there is nothing that somebody might look for later.
local function quiet(b) return b.gen == 0 and b.rev == 0 and not b.tombstone end

-- How long the hash is kept without a script, in ms: at least a day, ten times the longest period, and an hour, within
-- which it is not set again. While nothing ever happened the day is less, and the hour too. nil: for ever.
local function lifetime(b)
  if b.tombstone and not b.tombstone.hidden then return 2 * DAY end
  policy_in_force(b)
  local longest = math.max(b.p.open_for_max, b.p.probe_lease, b.p.window_time, b.p.consecutive_for, b.until_ - b.m)
  if b.newer_mode ~= '' then return nil end
  if b.mode ~= AUTO then
    if b.mode_end == 0 then return nil end
    longest = math.max(longest, b.mode_end - b.m)
  end
  if b.retuned then
    if b.retuned.finish == 0 then return nil end
    longest = math.max(longest, b.retuned.finish - b.m)
  end
  if quiet(b) then return math.max(10 * longest, QUIET_KEPT) + QUIET_SET end
  -- mutant: lifetime = return longest
  return math.max(10 * longest, b.tombstone and 2 * DAY or DAY) + HOUR
end

-- Writes all that changed, in one HSET, and keeps the hash from expiring.
local function write(b)
  local set = b.moved or b.commanded or b.tombstone or b.m - b.kept >= (quiet(b) and QUIET_SET or HOUR)
  local ttl = set and lifetime(b)
  if b.bad then return end
  if set then
    b.kept = b.m
    put(b, 'name', string.match(b.key, '{(.*)}$') or '')
  end
  put(b, 'clock', string.format('%d %d %d', b.m, b.m - b.now, b.kept))
  if b.wipe then redis.call('UNLINK', b.key) end
  if #b.writes > 0 then redis.call('HSET', b.key, unpack(b.writes)) end
  if #b.drops > 0 then redis.call('HDEL', b.key, unpack(b.drops)) end
  if ttl then
    redis.call('PEXPIRE', b.key, text(ttl))
  elseif set then
    redis.call('PERSIST', b.key)
  end
end

-- Saves what this script made of b and answers. If something is wrong with the hash, it says so and leaves the hash as it
-- is. The reply is 'ok', the request's token, 1 if the breaker is newly to be seen, what push says, the last entry that was made or '', and
-- the snapshot's fields.
local function save(b, channel)
  put_numbers(b)
  if not (b.tombstone and not b.tombstone.hidden) then
    if b.blank then
      load_window(b)
      load_count(b)
      count(b, 0, 0, 0, 0, 0, 0)
      b.window_changed = true
    end
    put(b, 'policy', b.fleet)
    if b.commanded then
      local r = b.retuned
      put(b, 'mode', b.mode ~= AUTO and string.format('%d %d %d\n%s', b.mode, b.mode_at, b.mode_end, b.mode_note)
        or b.newer_mode)
      put(b, 'retuned', r and string.format('%d %d\n%s\n%s', r.at, r.finish, r.note, r.policy) or '')
    end
    if b.window_changed then put_window(b) end
    if b.leases and (#b.leases > 0 or b.f.leases and b.f.leases ~= '') or b.probes then put_probes(b) end
    if b.totals then put(b, 'totals', table.concat(b.totals, ' ')) end
    if b.history then put(b, 'count', string.format('%d %d', b.history, b.granted)) end
  end
  write(b)
  if b.bad then return corrupt(b.bad) end
  -- mutant: push
  local pushed = #b.entries > 0 and push(b, channel) or -1
  return { 'ok', ARGV[#ARGV], b.appeared and not b.tombstone and 1 or 0, pushed, b.made or '', snapshot_fields(b) }
end
