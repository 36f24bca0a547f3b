// One breaker's own page: how it stands, what may be done, what happened, and which replicas report.
import { el, said, sparkline } from './dom.js';
import { ask, board, path } from './board.js';
import { commands, command, policyFields, shownPolicy } from './command.js';
import { backoff, badge, explained, failure, next, probes, since, slow, standing, tags } from './parts.js';
import { clock, count, duration, percent, perSecond, person, share } from './format.js';

const rosterEvery = 5000;

export function detail(name) {
  const parts = facts();
  const gone = el('p', { class: 'empty' });
  const doing = el('div', { class: 'actions', role: 'group', 'aria-label': 'Commands to the whole fleet' });
  const timeline = el('ol', { class: 'timeline' });
  const roster = el('div', { class: 'roster' });
  const policy = el('div', { class: 'policy' });
  const node = el('article', { class: 'detail' },
    el('p', {}, el('a', { href: '#/' }, '\u2190 All breakers')),
    el('div', { class: 'headline' }, el('h1', { tabindex: '-1' }, el('bdi', {}, name)), parts.badge.node, parts.since),
    gone, parts.explained.node, parts.note, doing, parts.node,
    el('div', { class: 'columns' },
      el('section', {}, el('h2', {}, 'What happened'), timeline),
      el('section', {}, el('h2', {}, 'Who reports'), roster, el('h2', {}, 'Policy in force'), policy)));
  let version = '';
  let asked = 0;

  async function fetchHistory() {
    try {
      showTimeline(timeline, await ask(path(name, '/history')));
    } catch (error) {
      version = '';
      if (!timeline.children.length) timeline.replaceChildren(el('li', { class: 'sub' }, error.message));
    }
  }

  async function fetchRoster() {
    asked = performance.now();
    try {
      showRoster(roster, await ask(path(name, '/roster')));
    } catch (error) {
      if (!roster.children.length) roster.replaceChildren(el('p', { class: 'sub' }, error.message));
    }
  }

  function update() {
    const row = board.rows.get(name);
    said(gone, row ? '' : board.told ? 'The store knows no breaker of this name.' : 'Waiting for the first answer\u2026');
    parts.node.hidden = doing.hidden = !row;
    if (!row) return;
    parts.show(row);
    offer(doing, row);
    const at = `${row.generation}/${row.rev}/${row.retuned}/${row.mode}`;
    if (version !== at) {
      version = at;
      showPolicy(policy, row);
      fetchHistory();
    }
    if (performance.now() - asked > rosterEvery) fetchRoster();
  }

  return { node, update, title: name };
}

// offer shows the buttons that mean something now, to those who may press them.
function offer(node, row) {
  const may = board.about.operator !== '';
  const wanted = may ? commands.filter((c) => c.when(row)) : [];
  const key = may ? wanted.map((c) => c.action).join() : 'read-only';
  if (node.dataset.is === key) return;
  node.dataset.is = key;
  if (!may) {
    node.replaceChildren(el('p', { class: 'sub' }, board.about.commands ? 'You may not command here.' : 'This dashboard is read-only.'));
    return;
  }
  node.replaceChildren(...wanted.map((c) => el('button', {
    type: 'button', 'data-action': c.action, onclick: () => command(c, board.rows.get(row.name) ?? row),
  }, c.label)));
}

// facts are the numbers of now.
function facts() {
  const cards = el('div', { class: 'cards' });
  const card = (label, ...children) => {
    const value = children.length ? null : el('span', { class: 'num' });
    const sub = el('span', { class: 'sub' });
    const node = el('div', { class: 'card' }, el('span', { class: 'label' }, label), value, ...children, sub);
    cards.append(node);
    return { node, value, sub };
  };
  const stateBadge = badge();
  const sinceText = el('span', { class: 'sub' });
  const note = el('p', { class: 'note' });
  const words = explained();
  const meter = failure();
  card('Failures', meter.node);
  const slowCard = card('Slow calls');
  const calls = card('Calls/s');
  const refused = card('Refused/s');
  const probing = card('Probes');
  const steps = card('Backoff');
  const spark = sparkline();
  card('Last two minutes', spark.node).sub.append('calls, failures, refusals');
  const here = card('This replica');
  return {
    node: cards, note, explained: words, badge: stateBadge, since: sinceText,
    show(row) {
      stateBadge.show(row);
      said(sinceText, [since(row), next(row)].filter(Boolean).join(' \u00b7 '));
      words.show(row);
      said(note, tags(row).join(' \u00b7 '));
      meter.show(row);
      said(slowCard.value, slow(row) || '\u2013');
      said(slowCard.sub, row.policy.slow_call_after_ms ? `slower than ${duration(row.policy.slow_call_after_ms)}` : '');
      said(calls.value, perSecond(row.live.calls_per_s));
      said(calls.sub, `${count(row.totals.calls)} in all, ${count(row.totals.failures)} failed`);
      said(refused.value, perSecond(row.live.refused_per_s));
      refused.value.classList.toggle('alarm', row.live.refused_per_s > 0);
      said(refused.sub, `${count(row.totals.refused)} in all`);
      said(probing.value, row.state === 'half-open' ? `${row.probe_successes} of ${row.policy.probe_successes}` : '\u2013');
      said(probing.sub, probes(row));
      said(steps.value, row.openings ? `step ${row.openings}` : '\u2013');
      said(steps.sub, backoff(row).replace(/^step \d+ \u00b7 /, ''));
      spark.show(board.sparks.get(row.name) ?? []);
      here.node.hidden = !row.here;
      if (row.here) {
        said(here.value, `${row.here.state}, ${row.here.verdict}'s verdict`);
        const refusals = Object.entries(row.here.refused ?? {}).map(([kind, n]) => `${count(n)} refused (${kind})`);
        said(here.sub, [board.replica && person(board.replica.name), `${row.here.pending} pending`, row.here.lost && `${row.here.lost} lost`, ...refusals].filter(Boolean).join(' \u00b7 '));
      }
    },
  };
}

function showTimeline(node, history) {
  if (!history.length) {
    node.replaceChildren(el('li', { class: 'sub' }, 'Nothing yet.'));
    return;
  }
  node.replaceChildren(...history.map((t) => {
    const tally = t.window.calls
      ? `${count(t.window.calls)} calls, ${count(t.window.failures)} failed (${percent(share(t.window.failures, t.window.calls))}), ${count(t.window.slow)} slow` : '';
    const more = (label, text) => text && el('span', { class: 'sub' }, el('span', { class: 'label' }, `${label} `), text);
    return el('li', { 'data-state': t.mode === 'auto' ? t.to : t.mode },
      el('time', { datetime: t.at ?? '' }, clock(t.at)),
      el('span', { class: 'what' }, t.sentence),
      more('window', tally));
  }));
}

function showRoster(node, roster) {
  if (!roster.length) {
    node.replaceChildren(el('p', { class: 'sub' }, 'Nobody reports on it.'));
    return;
  }
  const head = ['Replica', 'Seen', 'Calls', 'Failed', 'Says'].map((text) => el('th', { scope: 'col' }, text));
  const rows = roster.map((r) => el('tr', {},
    el('th', { scope: 'row', title: r.name }, el('bdi', {}, person(r.name))),
    el('td', {}, `${duration(r.seen_ms)} ago`),
    el('td', { class: 'num' }, count(r.calls)),
    el('td', { class: 'num' }, count(r.failures)),
    el('td', {}, r.own_open && el('span', { class: 'tag alarm' }, 'own verdict open'), r.conflict && el('span', { class: 'tag' }, 'other policy'),
      r.differences && el('span', { class: 'sub', 'data-says': 'differences' }, r.differences.join('; ')))));
  node.replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows)));
}

function showPolicy(node, row) {
  const from = row.retuned ? `an operator's: ${standing(row)}` : "the fleet's own, of the replica that started last";
  const lines = policyFields.map((field) => el('tr', {},
    el('th', { scope: 'row', title: field.help }, field.label), el('td', { class: 'num' }, shownPolicy(field, row.policy))));
  node.replaceChildren(el('p', { class: 'sub' }, `Source: ${from}.`), el('table', {}, el('tbody', {}, ...lines)));
}
