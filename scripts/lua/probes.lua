-- The replicas with a failed probe in this half-open, and their bans.

-- Reads the list of them, once.
local function failed_probes(b)
  if b.probes then return b.probes end
  local s, list, at = field(b, 'probes'), {}, 1
  for from, number, ban, name, to in string.gmatch(s, '()(%d+) (%d+) ([^\n]+)\n()') do
    if from == at then at = to end
    list[#list + 1] = { number = tonumber(number), ban = tonumber(ban), name = name }
  end
  if at ~= #s + 1 then mark_corrupt(b, 'probes') end
  b.probes = list
  return list
end

-- The replica's entry in the list, or nil.
local function find_failed(list, name)
  for i = 1, #list do
    if list[i].name == name then return list[i] end
  end
end
