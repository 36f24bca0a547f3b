-- The fast path of a report. Most of the time nothing happens to a breaker: the replica that reports knows what the store
-- knows, no command, lease or tombstone stands, the roster wants nothing, and what is reported cannot trip. Such a report
-- is carried out here, and the script ends. The full path, which is the rest of the script, would come to the same hash
-- and the same reply, but most of its time goes into making its functions.
--
-- What does not show here at once is left to the full path before anything is written. Digits are made numbers by
-- arithmetic, which is faster than tonumber.

local read, now -- what HMGET gave, and the clock in ms: the full path takes them as far as they were read
repeat -- once: break leaves the report to the full path
  local call, match, find, format, rep, sub = redis.call, string.match, string.find, string.format, string.rep, string.sub
  local min, max, floor = math.min, math.max, math.floor

  local policy, runs = ARGV[3], ARGV[14]
  local good, good_age = match(runs, '^0(%d+) (%d+) \n$') -- if there is one run only, of plain successes
  local size, span = match(policy, '^(%d+) (%d+) ')
  if not size or size == '0' and not good and runs ~= '' then break end

  local raw = 'r:' .. ARGV[4]
  read = call('HMGET', KEYS[1], 'v', 'generation', 'rev', 'clock', 'state', 'cause', 'mode', 'policy', 'retuned',
    'totals', 'tally', 'labels', 'leases', 'roster', 'tomb', raw, 'window') -- as load() does
  local f = read
  local generation, rev, state, totals, tally, labels = f[2], f[3], f[5], f[10], f[11], f[12] or ''
  local roster, window = f[14], f[17] or ''
  -- mutant: fast-same
  if f[1] ~= SCHEMA or generation ~= ARGV[5] or rev ~= ARGV[6] or f[8] ~= policy
      or (f[7] or '') .. (f[9] or '') .. (f[13] or '') .. (f[15] or '') ~= ''
      or not (f[4] and state and totals and tally and roster and f[16]) then break end
  local at, off, kept = match(f[4], '^(%d+) (%-?%d+) (%d+)$')
  local seen, last, calls, failures, active = match(f[16], '^(%d+) (%d+) (%d+) (%d+) [01] 0 (%-?%d+)$')
  if not (find(state, '^[012] %d+ %d+ %d+ %d+$') and at and seen) then break end

  now = ARGV[1]
  if now == '' then
    local t = call('TIME')
    now = t[1] * 1000 + floor(t[2] / 1000)
  end
  local m = max(at, now + off)
  local slice = floor(m / SLICE_FOR)
  local seq, rejected = ARGV[9] + 0, ARGV[12] + 0
  local late = ARGV[15] ~= '0' and max(now - ARGV[15], 0) or 0
  local keep = (generation ~= '0' or rev ~= '0') and HOUR or QUIET_SET
  -- mutant: fast-again
  if m > MAX_NUMBER or m - kept >= keep or late > min(ARGV[11] + 0, TOO_LATE) or floor(seen / SLICE_FOR) ~= slice
      or last + 0 >= seq or find(roster, format('%d 0 ', slice), 1, true) ~= 1 then break end

  local clock = format('%d %d %d', m, m - now, kept)
  local set, n = { KEYS[1], 'clock', clock, raw, '' }, 5
  local function put(name, value)
    set[n + 1], set[n + 2], n = name, value, n + 2
  end

  -- What the report adds; what the tally says; whether a streak that stood has ended and none begun; the greatest age.
  local taken, failed, slow, ignored = 0, 0, 0, 0
  local streak, first, arrivals, held, held_failed, held_slow
  local broken = false
  local oldest = ARGV[11] - late

  local take_runs
  if runs ~= '' and not good then -- making a function takes time, too
    -- Enters runs of all kinds into a window of calls. Gives false if they are to be judged, or are late.
    take_runs = function()
      local consecutive, consecutive_for, failure_rate, slow_rate, min_calls =
        match(policy, '^%d+ %d+ (%d+) (%d+) (%d+) (%d+) %d+ (%d+) ')
      consecutive, consecutive_for, failure_rate, slow_rate, min_calls =
        consecutive + 0, consecutive_for + 0, failure_rate + 0, slow_rate + 0, min_calls + 0
      local pieces, p, fresh, counts, count = { window }, 1, { '' }, { 0 }, 0
      local ended, by_failure, by_slow, by_streak = false, nil, nil, nil
      for kind, run, age, label in string.gmatch(runs, '(%d)(%d+) (%d+) ([^\n]*)\n') do
        run = run + 0
        if age ~= '0' and age + 0 > oldest then return false end
        if kind == '4' then
          ignored = ignored + run
        else
          p = p + 1
          if (kind == '0' or kind == '2') and streak > 0 then streak, first, by_streak, ended = 0, 0, nil, true end
          if kind == '0' then
            taken = taken + run
            pieces[p] = rep('0', min(run, size))
          else
            -- mutant: fast-fewest
            local fewest = min(held + taken, size) -- calls of which rates are taken
            taken = taken + run
            pieces[p] = rep(kind == '5' and '2' or kind, run)
            if kind == '1' or kind == '3' then
              if streak == 0 then first = m end
              streak, failed, by_failure, by_streak = streak + run, failed + run, arrivals + taken, arrivals + taken
              count = min(run, LABELS_KEPT)
              fresh[#fresh + 1], counts[#counts + 1] = rep(label .. '\n', count), count
            end
            if kind ~= '1' then slow, by_slow = slow + run, arrivals + taken end
            -- mutant: fast-streak
            if consecutive > 0 and streak >= consecutive and m - first >= consecutive_for then return false end
            if held + taken >= min_calls
                -- mutant: fast-rate
                and (failure_rate > 0 and (held_failed + failed) * RATE_UNIT >= failure_rate * fewest
                  or slow_rate > 0 and (held_slow + slow) * RATE_UNIT >= slow_rate * fewest) then return false end
          end
        end
      end
      window = table.concat(pieces)
      broken = ended and not by_streak

      if count > 0 then
        if labels ~= '' then
          local number, lines = match(labels, '^(%d%d?)\n(.*)$')
          if not number then return false end
          fresh[1], counts[1] = lines, number + 0
        end
        local at = #fresh -- the newest first, and none that would be dropped whole
        count = counts[at]
        while at > 1 and count < LABELS_KEPT do count, at = count + counts[at - 1], at - 1 end
        local lines, from = table.concat(fresh, '', at), 1
        for _ = LABELS_KEPT + 1, count do from = (find(lines, '\n', from, true) or #lines) + 1 end
        labels = format('%d\n', min(count, LABELS_KEPT)) .. sub(lines, from)
        put('labels', labels)
      end

      -- Moves the replica to the end of those behind one kind of adverse outcomes.
      local function touch_witness(name, list, place)
        local head = ARGV[4] .. '\t'
        local mine = sub(list, 1, #head) == head and 0 or find(list, '\n' .. head, 1, true)
        if mine then
          list = sub(list, 1, mine) .. sub(list, (find(list, '\n', mine + 1, true) or #list) + 1)
        else
          local _, lines = string.gsub(list, '\n', '\n')
          if lines >= WITNESSES_KEPT then list = sub(list, find(list, '\n', 1, true) + 1) end
        end
        put(name, list .. head .. format('%d\n', place))
      end
      if by_failure or by_slow then
        local by = call('HMGET', KEYS[1], 'by_failure', 'by_slow', 'by_streak')
        if by_failure then touch_witness('by_failure', by[1] or '', by_failure) end
        if by_slow then touch_witness('by_slow', by[2] or '', by_slow) end
        if by_streak then touch_witness('by_streak', not ended and by[3] or '', by_streak) end
      end
      return true
    end
  end

  if runs ~= '' then
    if generation ~= ARGV[10] or active + 0 ~= slice or good and good_age + 0 > oldest then break end
    if size == '0' then -- a window of time: into the newest bucket, if that is the one of now and of the outcomes
      local before, bucket, sum, adverse
      streak, arrivals, before, bucket, sum, adverse =
        match(tally, '^t (%d+) %d+ (%d+)([%d -]*) (%-?%d+) (%d+)( %d+ %d+)$')
      if not streak or floor(m * BUCKETS / span) ~= bucket + 0
          or floor((m - good_age) * BUCKETS / span) ~= bucket + 0 then break end
      taken, broken = good + 0, streak ~= '0'
      tally = format('t 0 0 %d%s %s %d%s', arrivals + taken, before, bucket, sum + taken, adverse)
    else
      streak, first, arrivals, held, held_failed, held_slow = match(tally, '^c (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
      if not streak then break end
      streak, first, arrivals, held, held_failed, held_slow, size =
        streak + 0, first + 0, arrivals + 0, held + 0, held_failed + 0, held_slow + 0, size + 0
      if held ~= #window or held > size or held_failed > held or held_slow > held then break end
      if good then
        taken = good + 0
        -- mutant: fast-broken
        if streak > 0 then streak, first, broken = 0, 0, true end
        if held_failed > 0 or held_slow > 0 then window = window .. rep('0', min(taken, size)) end
      elseif not take_runs() then
        break
      end
      held_failed, held_slow = held_failed + failed, held_slow + slow
      if held_failed > 0 or held_slow > 0 then
        local surplus = #window - size
        if surplus > 0 then
          for kind = 1, 3 do -- mostly there is none, which a plain search finds fastest
            local first_gone = find(window, kind, 1, true)
            -- mutant: fast-gone
            if first_gone and first_gone <= surplus then
              local _, gone = string.gsub(sub(window, first_gone, surplus), kind, '')
              if kind ~= 2 then held_failed = held_failed - gone end
              if kind ~= 1 then held_slow = held_slow - gone end
            end
          end
          window = sub(window, surplus + 1)
        end
        put('window', window)
      elseif held < size then
        put('window', rep('0', min(held + taken, size)))
      end
      tally = format('c %d %d %d %d %d %d', streak, first, arrivals + taken, min(held + taken, size), held_failed,
        held_slow)
    end
    put('tally', tally)
    if broken then put('by_streak', '') end
  end

  if runs ~= '' or rejected > 0 then
    local all, all_failed, all_slow, all_ignored, all_late, all_rejected =
      match(totals, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    if not all then break end
    totals = format('%d %d %d %d %s %d', min(all + taken, MAX_NUMBER), min(all_failed + failed, MAX_NUMBER),
      min(all_slow + slow, MAX_NUMBER), min(all_ignored + ignored, MAX_NUMBER), all_late,
      min(all_rejected + rejected, MAX_NUMBER))
    put('totals', totals)
  end
  set[5] = format('%d %d %d %d %s 0 %s', m, seq, min(calls + taken, MAX_NUMBER), min(failures + failed, MAX_NUMBER),
    ARGV[13], active)
  call('HSET', unpack(set))
  return { 'ok', ARGV[16], 0, -1, '', generation, rev, clock, state, f[6] or '', '', policy, '', totals, tally, labels, '', roster,
    '' }
until true
