// Elements are made here and nowhere else, and what they say is only ever text.

const svgNames = new Set(['svg', 'path', 'line']);

// el makes an element: attributes by name, functions as listeners ("onclick"), children as text or elements.
export function el(name, attributes = {}, ...children) {
  const node = svgNames.has(name)
    ? document.createElementNS('http://www.w3.org/2000/svg', name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value != null) node.setAttribute(key, String(value));
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

// said sets an element's text if it is another, so that nothing flickers and no selection is lost.
export function said(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === '';
}

export function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// bar is a track with a fill and, if there is a threshold, a mark at it; shares are 0 to 1.
export function bar(kind) {
  const fill = el('span', { class: 'fill' });
  const limit = el('span', { class: 'limit' });
  const node = el('span', { class: `bar ${kind}`, 'aria-hidden': 'true' }, fill, limit);
  const percent = (share) => `${(Math.min(Math.max(share, 0), 1) * 100).toFixed(2)}%`;
  return {
    node,
    show(share, threshold, over) {
      fill.style.width = percent(share);
      limit.hidden = threshold == null;
      if (threshold != null) limit.style.left = percent(threshold);
      node.classList.toggle('over', Boolean(over));
    },
  };
}

const width = 120;
const height = 28;

// sparkline draws calls as an area, and on it the failed and the refused ones as lines, on one scale.
export function sparkline() {
  const area = el('path', { class: 'calls' });
  const failed = el('path', { class: 'failed' });
  const refused = el('path', { class: 'refused' });
  const node = el('svg', { class: 'spark', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, area, failed, refused);
  return {
    node,
    show(points) {
      const top = Math.max(1, ...points.map((p) => Math.max(p[0], p[2])));
      const from = width - points.length + 1;
      const at = (i, column) => `${from + i} ${(height - 1 - (points[i][column] / top) * (height - 3)).toFixed(1)}`;
      const zero = (i, column) => !(points[i]?.[column] > 0);
      // A line leaves out where there was nothing before, then and after.
      const line = (column) => points.map((_, i) => {
        const alone = zero(i, column) && zero(i + 1, column);
        if (alone && zero(i - 1, column)) return '';
        return (i === 0 || (zero(i, column) && zero(i - 1, column)) ? 'M' : 'L') + at(i, column);
      }).join('');
      const outline = points.map((_, i) => `L${at(i, 0)}`).join('');
      area.setAttribute('d', points.length ? `M${from} ${height}${outline}L${width} ${height}Z` : '');
      failed.setAttribute('d', line(1));
      refused.setAttribute('d', line(2));
    },
  };
}
