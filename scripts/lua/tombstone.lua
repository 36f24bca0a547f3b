-- What becomes of a name that was removed. load drops a tombstone whose day is over.

-- Makes a machine of a name that has none, or of a tombstone, which stays hidden. The first policy is the request's.
local function begin(b, policy)
  local t = b.tombstone
  if t and not t.hidden then t.hidden, b.blank, b.moved, b.commanded = true, true, true, true end
  if b.fleet == '' then b.fleet = policy end
end

-- Makes a name visible again, at its first report with outcomes. A number that is still the tombstone's own grows, so
-- that no number of a machine is ever one of a tombstone.
local function unhide(b)
  if b.gen == b.tombstone.gen then b.gen, b.since = next_number(b.gen, b.m), b.m end
  if b.rev == b.tombstone.rev then b.rev = next_number(b.rev, b.m) end
  b.tombstone, b.appeared, b.moved = nil, true, true
end
