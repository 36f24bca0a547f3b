-- The replicas with a failed probe in this half-open, and their bans.

-- Reads them, by name; nil where the field is no such list.
local function failed_probes(b)
  if b.probes then return b.probes end
  local s, list, at = b.f.probes or '', {}, 1
  for from, number, ban, name, to in string.gmatch(s, '()(%d+) (%d+) ([^\n]+)\n()') do
    if from ~= at then return nil end
    at = to
    list[#list + 1] = { number = tonumber(number), ban = tonumber(ban), name = name }
  end
  if at ~= #s + 1 then return nil end
  b.probes = list
  return list
end

local function find_probe(list, name)
  for i = 1, #list do
    if list[i].name == name then return list[i] end
  end
end
