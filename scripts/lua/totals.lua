-- Everything that was ever reported, and how many entries and leases there ever were.

-- Adds to the totals.
local function count(b, calls, failures, slow, ignored, late, rejected)
  local t = b.totals
  if not t then
    t = { '0', '0', '0', '0', '0', '0' }
    if not b.blank then
      t = { string.match(b.f.totals, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$') }
      if #t ~= 6 then return mark_corrupt(b, 'totals') end
    end
    b.totals = t
  end
  for i, n in ipairs({ calls, failures, slow, ignored, late, rejected }) do
    if n > 0 then t[i] = text(math.min(tonumber(t[i]) + n, MAX_NUMBER)) end
  end
end

-- Reads how many entries and leases there ever were, once.
local function load_count(b)
  if b.history then return end
  local s = field(b, 'count')
  b.history, b.granted = 0, 0
  if s ~= '' then
    local history, granted = string.match(s, '^(%d+) (%d+)$')
    if not history then return mark_corrupt(b, 'count') end
    b.history, b.granted = tonumber(history), tonumber(granted)
  end
end
