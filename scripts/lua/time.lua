-- Machine time in ms, and the numbers that grow with it.

-- Brings machine time to the store's clock, b.now. It never goes back: a clock that stepped back is carried on from where
-- machine time was. Gives false if the field clock is not a script's.
local function moment(b)
  local at, off, kept = string.match(b.f.clock, '^(%d+) (%-?%d+) (%d+)$')
  if not at then return false end
  -- mutant: moment
  b.m, b.kept = math.max(tonumber(at), b.now + tonumber(off)), tonumber(kept)
  return b.m <= MAX_NUMBER
end

-- For how long a request was under way, in ms, by the store's own clock: how far that is ahead of what the sender reckoned
-- it to be. It is 0 if the sender did not say.
local function lateness(b, sent_at)
  return sent_at > 0 and math.max(b.now - sent_at, 0) or 0
end

-- The generation or rev after n: one more, or machine time if that is greater, so that a store that forgot n does not use
-- it again.
-- mutant: next-number
local function next_number(n, at) return math.max(n + 1, at) end
