// Pieces that the list and a breaker's own page share.
import { el, said, mark, bar } from './dom.js';
import { elapsed } from './board.js';
import { policyFields, shownPolicy } from './command.js';
import { state, rules } from './judge.js';
import { beside, clock, countdown, duration, ends, errors, percent } from './format.js';

const words = {
  closed: 'closed', open: 'open', 'half-open': 'half-open', 'forced-open': 'forced open', 'forced-closed': 'forced closed',
};

export function badge() {
  const node = el('span', { class: 'badge' });
  return {
    node,
    show(row) {
      mark(node, 'data-state', state(row));
      said(node, words[state(row)] ?? `would be ${row.state}`);
    },
  };
}

// since says since when it is not closed, or how long it has been.
export function since(row) {
  const x = row.explanation;
  return x?.state ? beside(x.state, x.since) : `for ${duration(row.age_ms + elapsed(row))}`;
}

// next counts down to what comes next.
export function next(row) {
  const note = row.mode_note;
  if (row.mode !== 'auto') return note?.timed ? `ends in ${countdown(note.ends_in_ms - elapsed(row))}` : '';
  if (row.state !== 'open') return '';
  const left = row.retry_in_ms - elapsed(row);
  return left > 0 ? `probe in ${countdown(left)}` : 'probe with the next call';
}

// explained is the server's explanation, a line each, and what an operator or a deploy left standing.
export function explained() {
  const kinds = ['cause', 'latest', 'next', 'own', 'policies', 'standing'];
  const lines = Object.fromEntries(kinds.map((kind) => [kind, el('span', { class: 'sub', 'data-says': kind })]));
  return {
    node: el('div', { class: 'explained' }, ...Object.values(lines)),
    show(row) {
      const x = row.explanation ?? {};
      said(lines.cause, x.cause ?? lately(row));
      lines.cause.classList.toggle('sub', !x.cause);
      said(lines.latest, x.latest ? `${clock(x.latest_at)}: ${x.latest}` : '');
      said(lines.next, x.next ? `Next: ${beside(x.next, x.next_at)}` : '');
      said(lines.own, x.own ?? '');
      said(lines.policies, x.policies?.includes(' here, ') ? x.policies : [x.policies, differences(row)].filter(Boolean).join('. '));
      said(lines.standing, standing(row));
    },
  };
}

const lately = (row) => (row.errors.length && row.state === 'closed' ? `lately ${errors(row.errors)}` : '');

// differences names what this replica's policy says otherwise than the fleet's. The explanation tells it of all, once the roster was read.
function differences(row) {
  const mine = row.here?.policy;
  if (!mine) return '';
  const fields = policyFields.filter((field) => mine[field.key] !== row.policy[field.key]);
  return fields.map((field) => `${field.label}: ${shownPolicy(field, row.policy)} in the fleet, ${shownPolicy(field, mine)} here`).join('; ');
}

// standing says who retuned the policy, why and until when.
export function standing(row) {
  const note = row.policy_note;
  return row.retuned && note ? `retuned by ${note.by}${note.why ? `: ${note.why}` : ''} \u00b7 ${ends(note, elapsed(row))}` : '';
}

export function tags(row) {
  const all = [];
  if (row.policy.observe) all.push('observes only');
  if (row.mode !== 'auto' && row.state !== 'closed') all.push(`${row.state} below`);
  if (row.here?.verdict === 'own') all.push(`here: own verdict, ${row.here.state}`);
  return all;
}

// failure shows the failure rate against its threshold, the way to the minimum of calls, and the streak.
export function failure() {
  const rate = bar('rate');
  const calls = bar('calls');
  const text = el('span', { class: 'num' });
  const sub = el('span', { class: 'sub' });
  const node = el('div', { class: 'meter' }, text, rate.node, calls.node, sub);
  return {
    node,
    show(row) {
      const r = rules(row);
      const judged = row.state === 'closed' && row.mode === 'auto';
      const main = judged ? r.failure ?? r.streak : null;
      const isRate = judged && Boolean(r.failure);
      const tooFew = isRate && !r.enough;
      if (!judged) said(text, '\u2013');
      else if (!main) said(text, 'no failure rule');
      else if (isRate) said(text, `${percent(main.value)} of ${percent(main.threshold)}`);
      else said(text, `${main.value} of ${main.threshold} in a row`);
      rate.node.hidden = !main;
      if (main) rate.show(isRate ? main.value : main.near, isRate ? main.threshold : null, main.near >= 1);
      node.classList.toggle('near', Boolean(main) && main.near >= 0.5);
      const min = row.policy.min_calls;
      calls.node.hidden = !tooFew;
      if (tooFew) calls.show(row.window.calls / min, null, false);
      const parts = judged ? [] : [row.mode === 'auto' ? 'judged once it is closed' : 'not judged while forced'];
      if (isRate) parts.push(tooFew ? `${row.window.calls} of ${min} calls` : `${row.window.calls} calls`);
      if (isRate && r.streak && r.streak.value > 0) parts.push(`${r.streak.value} of ${r.streak.threshold} in a row`);
      said(sub, parts.join(' \u00b7 '));
    },
  };
}

export function slow(row) {
  const r = rules(row).slow;
  return r && row.state === 'closed' && row.mode === 'auto' ? `${percent(r.value)} of ${percent(r.threshold)}` : '';
}

export function probes(row) {
  return row.probing ? `${row.probing} of ${row.policy.probes} under way` : '';
}

export function backoff(row) {
  if (!row.openings) return '';
  const next = Math.min(row.policy.open_for_ms * 2 ** Math.min(row.openings, 20), row.policy.open_for_max_ms);
  return `step ${row.openings} \u00b7 next ${duration(next)}`;
}
