-- Outcomes: into the totals and the window, and judged.

-- Ends the failures in a row.
local function end_streak(b)
  if b.streak > 0 then b.streak, b.first, b.by.by_streak, b.mine.by_streak = 0, 0, '', nil end
end

-- The bucket of a window of time for outcomes of that age, made if there is none yet, and its number. nil if they are
-- older than the window.
local function bucket_for(b, age)
  local i = bucket_of(b, b.m - age)
  if i <= bucket_of(b, b.m - b.p.window_time) then return nil end
  local t = b.buckets[i] or { 0, 0, 0 }
  b.buckets[i] = t
  return t, i
end

-- Enters n plain successes at once.
local function add_successes(b, n, age)
  end_streak(b)
  b.window_changed = true
  b.arrivals = b.arrivals + n
  local size = b.p.window_calls
  if size == 0 then
    local t = bucket_for(b, age)
    if t then t[1], b.calls = t[1] + n, b.calls + n end
  elseif n >= size then
    b.w, b.tail, b.cut, b.calls, b.failures, b.slow = string.rep('0', size), {}, 0, size, 0, 0
  else
    b.tail[#b.tail + 1], b.calls = string.rep('0', n), b.calls + n
    cut_window(b, b.calls - size)
  end
end

-- Gives the functions for the adverse outcomes of one report: failures and slow calls. They are made only for a
-- report that has one.
local function adverse(b, replica)
  local p, size = b.p, b.p.window_calls

  -- Moves the replica to its newest place among those behind one kind of adverse outcomes: a line each, lowest place
  -- first, of equal places the earlier arrival first. A place never moves back, and a full list gives up its lowest.
  local function touch_witness(kind, place)
    local list, head = b.by[kind] or field(b, kind), replica .. '\t'
    local mine = string.sub(list, 1, #head) == head and 1
    if not mine then
      mine = string.find(list, '\n' .. head, 1, true)
      mine = mine and mine + 1
    end
    if mine then
      local stop = string.find(list, '\n', mine, true) or #list
      local old = tonumber(string.sub(list, mine + #replica + 1, stop - 1))
      if old and old > place then return end
      list = string.sub(list, 1, mine - 1) .. string.sub(list, stop + 1)
    end
    local line = head .. text(place) .. '\n'
    local behind = #list + 1
    if p.window_time > 0 then -- places are buckets: an old outcome's may be a low one
      for from, other in string.gmatch(list, '()[^\n\t]+\t(%-?%d+)\n') do
        if tonumber(other) > place then
          behind = from
          break
        end
      end
    end
    list = string.sub(list, 1, behind - 1) .. line .. string.sub(list, behind)
    if not mine then
      local _, lines = string.gsub(list, '\n', '\n')
      if lines > WITNESSES_KEPT then list = string.sub(list, string.find(list, '\n', 1, true) + 1) end
    end
    b.by[kind] = list
  end

  -- Brings the lists up to date with the places that note_run has noted.
  local function touch_witnesses()
    local mine = b.mine
    if mine.by_failure then touch_witness('by_failure', mine.by_failure) end
    if mine.by_slow then touch_witness('by_slow', mine.by_slow) end
    if mine.by_streak then touch_witness('by_streak', mine.by_streak) end
    b.mine = {}
  end

  -- Notes the replica's place and the labels of n adverse outcomes of one run. bucket is that of a window of time, nil if
  -- they are older than it.
  local function note_run(failed, slow, n, bucket, label)
    local mine, place = b.mine, size > 0 and b.arrivals or bucket
    if failed then add_labels(b, label, n) end
    if not place then return end
    if failed then
      mine.by_streak = math.max(place, mine.by_streak or place)
      mine.by_failure = math.max(place, mine.by_failure or place)
    end
    if slow then mine.by_slow = math.max(place, mine.by_slow or place) end
  end

  -- Whether a rule holds now, but for its quorum. ripe: the streak is old enough.
  local function may_trip(ripe)
    return ripe and counted_streak(b) >= p.consecutive
      or b.calls >= p.min_calls
        and (p.failure_rate > 0 and b.failures * RATE_UNIT >= p.failure_rate * b.calls
          or p.slow_rate > 0 and b.slow * RATE_UNIT >= p.slow_rate * b.calls)
  end

  -- How many other replicas are behind each kind of adverse outcomes at most, and whether this one is among them. During one
  -- report the others only get fewer, so that a quorum which cannot be reached need not be asked for after every outcome.
  local others, among, needed = {}, {}, nil

  -- Counts the replicas behind one kind.
  local function count_others(kind)
    local names = witnesses(b, kind)
    others[kind], among[kind] = #names, b.mine[kind] ~= nil
    for i = 1, #names do
      if names[i] == replica then others[kind], among[kind] = #names - 1, true end
    end
  end

  -- Whether enough replicas may be behind one kind. joins: this one is, with the next outcome.
  local function reachable(kind, joins)
    if not others[kind] then count_others(kind) end
    -- mutant: among
    among[kind] = among[kind] or joins
    needed = needed or quorum(b)
    return others[kind] + (among[kind] and 1 or 0) >= needed
  end

  -- How many more outcomes of one run it takes at least until the share that n has of the calls is a rate. gains: each outcome
  -- is one of n. other: a pattern for a call in the window that is not. nil: it does not get there.
  local function until_rate(rate, n, gains, enters, other)
    local reached = n * RATE_UNIT >= rate * math.max(p.min_calls, b.calls)
    local missing = p.min_calls - b.calls
    if not gains then -- the share only falls
      if not reached or missing > 0 and not enters then return nil end
      return math.max(missing, 1)
    end
    local need, growing = size > 0 and math.ceil(rate * size / RATE_UNIT) - n, nil -- in a full window, in one that grows
    if rate < RATE_UNIT then
      growing = math.ceil((rate * b.calls - n * RATE_UNIT) / (RATE_UNIT - rate))
    elseif n == b.calls then
      growing = 1
    end
    need = need and growing and math.min(need, growing) or need or growing
    if not need then return nil end
    -- mutant: need
    need = math.max(need, missing, 1)
    if not reached and size > 0 and b.calls == size then -- n grows only when another call leaves
      if b.cut >= #b.w then join_window(b) end
      need = math.max(need, (string.find(b.w, other, b.cut + 1) or #b.w + 1) - b.cut)
    end
    return need
  end

  -- After how many more outcomes of one run a rule may trip, at least. nil: after none. ripe: the streak is old enough.
  local function until_trip(failed, slow, enters, ripe)
    if b.state ~= CLOSED then return nil end
    local least
    failed, slow = failed and enters, slow and enters
    if ripe then
      local n = math.max(p.consecutive - counted_streak(b), 1)
      if (failed or counted_streak(b) >= p.consecutive) and reachable('by_streak', failed) then least = n end
    end
    if p.failure_rate > 0 then
      local n = until_rate(p.failure_rate, b.failures, failed, enters, '[02]')
      if n and (not least or n < least) and reachable('by_failure', failed) then least = n end
    end
    if p.slow_rate > 0 then
      local n = until_rate(p.slow_rate, b.slow, slow, enters, '[01]')
      if n and (not least or n < least) and reachable('by_slow', slow) then least = n end
    end
    return least
  end

  -- Enters n adverse outcomes, each judged while b is closed; all at once if none can trip. Returns how many were taken:
  -- those after one that trips belong to an older generation. given_up: their callers did not wait for them, which says
  -- nothing about the streak.
  local function add_adverse(failed, slow, given_up, n, age, label)
    local times, bucket
    b.window_changed = true
    -- mutant: given-up
    if not failed and not given_up then end_streak(b) end
    if size > 0 then
      b.tail[#b.tail + 1] = string.rep(failed and (slow and '3' or '1') or '2', n)
    else
      times, bucket = bucket_for(b, age)
      if failed and times and b.failures == 0 then end_streak(b) end -- the streak's failures have left the window
    end
    local enters = size > 0 or times ~= nil
    if failed and enters then
      if b.streak == 0 then b.first = b.m end
      among.by_streak, among.by_failure = true, true -- also if nobody asks during this run
    end
    if slow and enters then among.by_slow = true end
    local ripe = p.consecutive > 0 and b.m - b.first >= p.consecutive_for
    local left, noted = n, 0
    while left > 0 do
      local step = until_trip(failed, slow, enters, ripe)
      local judged = step ~= nil and step <= left
      if not judged then step = left end
      left = left - step
      b.arrivals = b.arrivals + step
      if enters then
        b.calls = b.calls + step
        if failed then b.streak, b.failures = b.streak + step, b.failures + step end
        if slow then b.slow = b.slow + step end
      end
      if times then
        times[1] = times[1] + step
        if failed then times[2] = times[2] + step end
        if slow then times[3] = times[3] + step end
      elseif size > 0 then
        cut_window(b, b.calls - size)
      end
      if judged and may_trip(ripe) then
        note_run(failed, slow, n - left - noted, bucket, label)
        noted = n - left
        touch_witnesses()
        local reason, names = judge(b)
        if reason then
          changes().open(b, { reason = reason, cause = replica, witnesses = names })
          return noted
        end
        others = {} -- they are fewer than it seemed
      end
    end
    if noted < n then note_run(failed, slow, n - noted, bucket, label) end
    return n
  end

  return { add = add_adverse, touch_witnesses = touch_witnesses }
end

-- Takes all runs of a report of generation gen: lines of kind (0 good, 1 failed, 2 slow, 3 failed and slow, 4 ignored,
-- 5 slow and given up), count, age, label. What enters the totals is counted in the replica's entry, too.
local function take_runs(b, entry, runs, gen, max_age, replica)
  local calls, failures, slow_calls, ignored, late = 0, 0, 0, 0, 0
  local bad
  for kind, n, age, label in string.gmatch(runs, '(%d)(%d+) (%d+) ([^\n]*)\n') do
    n, age = tonumber(n), age == '0' and 0 or tonumber(age)
    -- mutant: late
    if gen ~= b.gen or age > max_age then
      late = late + n
    elseif kind == '4' then
      ignored = ignored + n
    else
      local failed, slow = kind == '1' or kind == '3', kind == '2' or kind == '3' or kind == '5'
      local taken = n
      -- mutant: forced
      if b.mode == AUTO then -- else they go to the totals only
        -- mutant: success
        if failed or slow then
          bad = bad or adverse(b, replica)
          taken = bad.add(failed, slow, kind == '5', n, age, label)
        else
          add_successes(b, n, age)
        end
      end
      calls, late = calls + taken, late + n - taken
      if failed then failures = failures + taken end
      if slow then slow_calls = slow_calls + taken end
    end
  end
  if bad then bad.touch_witnesses() end
  count(b, calls, failures, slow_calls, ignored, late, 0)
  entry.calls = math.min(entry.calls + calls, MAX_NUMBER)
  entry.failures = math.min(entry.failures + failures, MAX_NUMBER)
end
