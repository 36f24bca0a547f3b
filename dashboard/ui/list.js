// The list: totals, filter, and the breakers, those first that need a person.
import { el, said, mark, sparkline } from './dom.js';
import { board } from './board.js';
import { filters, rules, state, urgency } from './judge.js';
import { backoff, badge, explained, failure, next, probes, since, slow, tags } from './parts.js';
import { clock, count, many, perSecond, person } from './format.js';

const pageSize = 25;
const view = { text: '', only: '', page: 0 };

export function list() {
  const totals = strip();
  const latest = el('p', { class: 'latest' });
  const search = el('input', {
    type: 'search', id: 'filter', placeholder: 'Filter by name', 'aria-label': 'Filter by name', value: view.text, autocomplete: 'off',
    oninput: () => { view.text = search.value; view.page = 0; update(); },
    onkeydown: (event) => { if (event.key === 'Escape') { search.value = view.text = ''; update(); } },
  });
  const found = el('span', { class: 'sub', role: 'status' });
  const rows = el('ol', { class: 'rows', 'aria-label': 'Breakers, those that need a person first' });
  const empty = el('p', { class: 'empty' });
  const leftOut = el('p', { class: 'sub left-out' });
  const back = el('button', { type: 'button', class: 'plain', onclick: () => { view.page--; update(); } }, '\u2190 Previous');
  const forth = el('button', { type: 'button', class: 'plain', onclick: () => { view.page++; update(); } }, 'Next \u2192');
  const position = el('span', { class: 'sub' });
  const pager = el('nav', { class: 'pager', 'aria-label': 'Pages' }, back, position, forth);
  const node = el('div', { class: 'list' },
    totals.node,
    el('div', { class: 'tools' }, search, found, latest),
    heads(), rows, empty, pager, leftOut);
  const made = new Map();

  function chosen() {
    const text = view.text.toLowerCase();
    const only = filters[view.only];
    return [...board.rows.values()]
      .filter((row) => (!text || row.name.toLowerCase().includes(text)) && (!only || only(row)))
      .map((row) => [urgency(row), row])
      .sort(([a, x], [b, y]) => a - b || (x.name < y.name ? -1 : 1))
      .map(([, row]) => row);
  }

  function update() {
    totals.show(update);
    showLatest(latest);
    const all = chosen();
    const pages = Math.max(1, Math.ceil(all.length / pageSize));
    view.page = Math.min(Math.max(view.page, 0), pages - 1);
    const shown = all.slice(view.page * pageSize, (view.page + 1) * pageSize);
    place(rows, made, shown);
    said(found, view.text || view.only ? `${count(all.length)} of ${many(board.rows.size, 'breaker')}` : '');
    said(empty, all.length ? '' : nothing());
    const more = board.store.left_out;
    said(leftOut, more ? `${many(more, 'more breaker')} that no replica reports on: not listed here, but by commontrip list.` : '');
    pager.hidden = pages === 1;
    said(position, `page ${view.page + 1} of ${pages}`);
    back.disabled = view.page === 0;
    forth.disabled = view.page === pages - 1;
  }

  return { node, update, title: 'Breakers' };
}

function nothing() {
  if (!board.told) return 'Waiting for the first answer\u2026';
  return board.rows.size ? 'No breaker matches.' : 'No breaker yet: one appears with its first report.';
}

function showLatest(node) {
  const t = board.latest;
  if (!t) return said(node, '');
  said(node, `${clock(t.at)}  ${t.sentence}`);
}

// place puts the shown rows in order, and keeps the elements of those that stay.
function place(rows, made, shown) {
  const names = new Set(shown.map((row) => row.name));
  for (const [name, one] of made) {
    if (!names.has(name)) {
      one.node.remove();
      made.delete(name);
    }
  }
  shown.forEach((row, i) => {
    if (!made.has(row.name)) made.set(row.name, line(row.name));
    const one = made.get(row.name);
    if (rows.children[i] !== one.node) rows.insertBefore(one.node, rows.children[i] ?? null);
    one.show(row);
  });
}

function heads() {
  const names = ['State', 'Breaker', 'Failures', 'Slow', 'Calls/s', 'Refused/s', 'Last two minutes'];
  return el('div', { class: 'heads', 'aria-hidden': 'true' }, ...names.map((name) => el('span', {}, name)));
}

// line is one row of the list.
function line(name) {
  const parts = {
    badge: badge(), since: el('span', { class: 'sub' }), next: el('span', { class: 'sub' }),
    explained: explained(), tags: el('span', { class: 'tags' }),
    probes: el('span', { class: 'sub' }), backoff: el('span', { class: 'sub' }),
    failure: failure(), slow: el('span', { class: 'num' }),
    calls: el('span', { class: 'num' }), refused: el('span', { class: 'num' }), spark: sparkline(),
  };
  const cell = (kind, label, ...children) => el('div', { class: `cell ${kind}` }, label && el('span', { class: 'label' }, label), ...children);
  const node = el('li', { class: 'row' },
    cell('state', '', parts.badge.node, parts.since, parts.next),
    cell('name', '', el('a', { href: `#/b/${encodeURIComponent(name)}` }, el('bdi', {}, name)),
      parts.explained.node, el('span', { class: 'pair' }, parts.probes, parts.backoff), parts.tags),
    cell('failures', 'Failures', parts.failure.node),
    cell('slow', 'Slow', parts.slow),
    cell('calls', 'Calls/s', parts.calls),
    cell('refused', 'Refused/s', parts.refused),
    cell('trend', '', parts.spark.node));
  return { node, show: (row) => showLine(node, parts, row) };
}

function showLine(node, parts, row) {
  mark(node, 'data-state', state(row));
  mark(node, 'data-name', row.name);
  parts.badge.show(row);
  said(parts.since, since(row));
  said(parts.next, next(row));
  parts.explained.show(row);
  said(parts.probes, row.state !== 'half-open' && probes(row) ? `probes ${probes(row)}` : '');
  said(parts.backoff, backoff(row) && `backoff ${backoff(row)}`);
  const wanted = tags(row);
  if (parts.tags.dataset.is !== wanted.join('|')) {
    parts.tags.dataset.is = wanted.join('|');
    parts.tags.replaceChildren(...wanted.map((tag) => el('span', { class: 'tag' }, tag)));
  }
  parts.failure.show(row);
  said(parts.slow, slow(row) || '\u2013');
  parts.slow.classList.toggle('warn', row.state === 'closed' && (rules(row).slow?.near ?? 0) >= 0.5);
  said(parts.calls, perSecond(row.live?.calls_per_s ?? 0));
  said(parts.refused, perSecond(row.live?.refused_per_s ?? 0));
  parts.refused.classList.toggle('alarm', (row.live?.refused_per_s ?? 0) > 0);
  parts.spark.show(board.sparks.get(row.name) ?? []);
}

// What the strip counts: rows by a filter, or replicas of the fleet. Those with a filter are buttons.
const counted = [
  { key: 'open', label: () => 'open' },
  { key: 'half-open', label: () => 'half-open' },
  { key: 'forced', label: () => 'forced' },
  { key: 'near', label: () => 'near a threshold' },
  { key: 'degraded', label: (n) => `${n === 1 ? 'replica' : 'replicas'} degraded`, title: 'Replicas that refuse on their own verdict while the fleet is closed' },
  { key: 'disagree', label: (n) => (n === 1 ? 'replica disagrees' : 'replicas disagree'), title: "Replicas that report another policy than the fleet's" },
];

// strip is the totals.
function strip() {
  const all = el('strong');
  const node = el('div', { class: 'strip', role: 'group', 'aria-label': 'Totals' }, el('span', { class: 'total' }, all, ' breakers'));
  const items = counted.map((what) => {
    const parts = { number: el('strong'), words: el('span'), names: el('span', { class: 'sub' }) };
    const item = filters[what.key]
      ? el('button', { type: 'button', class: 'total', title: what.title, 'data-total': what.key }, parts.number, parts.words, parts.names)
      : el('span', { class: 'total', title: what.title, 'data-total': what.key }, parts.number, parts.words, parts.names);
    node.append(item);
    return { ...what, ...parts, item };
  });
  const checks = el('span', { class: 'total', 'data-total': 'checks' });
  node.append(checks);
  return {
    node,
    show(update) {
      const rows = [...board.rows.values()];
      said(all, count(rows.length));
      for (const { key, label, number, words, names, item } of items) {
        const people = board.replicas[key];
        const n = people ? people.length : rows.filter(filters[key]).length;
        said(number, count(n));
        said(words, label(n));
        item.classList.toggle('some', n > 0);
        said(names, people ? people.slice(0, 3).map(person).join(', ') + (n > 3 ? '\u2026' : '') : '');
        if (!filters[key]) continue;
        mark(item, 'aria-pressed', String(view.only === key));
        item.onclick = () => { view.only = view.only === key ? '' : key; view.page = 0; update(); };
      }
      const down = board.health.filter((check) => check.health === 'down').map((check) => check.name);
      checks.classList.toggle('some', down.length > 0);
      said(checks, board.health.length ? (down.length ? `checks down: ${down.join(', ')}` : `${board.health.length} checks up`) : '');
    },
  };
}
