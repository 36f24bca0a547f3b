-- The labels of the newest failures of a generation. An empty label takes its place, too.

-- Notes the labels of n failures, for join_labels.
local function add_labels(b, label, n)
  n = math.min(n, LABELS_KEPT)
  local last = #b.fresh
  b.fresh[last + 1], b.fresh[last + 2] = n, string.rep(label .. '\n', n)
  b.label_count = b.label_count + n
end

-- Puts the labels that were noted behind the others, and keeps the newest.
local function join_labels(b)
  if #b.fresh == 0 then return end
  local at, count, pieces = #b.fresh, 0, {}
  while at > 0 and count < LABELS_KEPT do -- the newest first, and none that would be dropped whole
    pieces[at / 2], count, at = b.fresh[at], count + b.fresh[at - 1], at - 2
  end
  local labels, from = table.concat(pieces, '', at / 2 + 1, #b.fresh / 2), 1
  if count < LABELS_KEPT then labels, count = b.labels .. labels, b.label_count end
  for _ = 1, count - LABELS_KEPT do from = (string.find(labels, '\n', from, true) or #labels) + 1 end
  b.labels, b.fresh = string.sub(labels, from), {}
  b.label_count = math.min(b.label_count, LABELS_KEPT)
end

-- How often each label came up: "count label" each, tabs between.
local function count_labels(b)
  join_labels(b)
  local counts, order = {}, {}
  for label in string.gmatch(b.labels, '([^\n]*)\n') do
    if label ~= '' then
      if not counts[label] then
        counts[label] = 0
        order[#order + 1] = label
      end
      counts[label] = counts[label] + 1
    end
  end
  for i = 1, #order do order[i] = string.format('%d %s', counts[order[i]], order[i]) end
  return table.concat(order, '\t')
end
