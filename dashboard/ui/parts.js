// Pieces that the list and a breaker's own page share.
import { el, said, mark, bar } from './dom.js';
import { board, elapsed } from './board.js';
import { state, rules } from './judge.js';
import { clock, countdown, duration, ends, errors, percent, reason } from './format.js';

const words = { closed: 'closed', open: 'open', 'half-open': 'half-open', 'forced-open': 'forced open', 'forced-closed': 'forced closed' };

export function badge() {
  const node = el('span', { class: 'badge' });
  return {
    node,
    show(row) {
      mark(node, 'data-state', state(row));
      said(node, words[state(row)] ?? state(row));
    },
  };
}

// since says how long the state has lasted, or from when an operator's mode has stood.
export function since(row) {
  if (row.mode !== 'auto' && row.mode_note?.at) return `since ${clock(row.mode_note.at)}`;
  return `for ${duration(row.age_ms + elapsed(row))}`;
}

// next says when an open breaker may be probed.
export function next(row) {
  if (row.state !== 'open' || row.mode !== 'auto') return '';
  const left = row.retry_in_ms - elapsed(row);
  return left > 0 ? `probe in ${countdown(left)}` : 'probe with the next call';
}

// why is the best that is known of what brought the breaker here.
export function why(row) {
  const t = board.last.get(row.name);
  if (t && t.generation === row.generation && !t.action) return t.sentence;
  const labels = row.errors.length && row.state === 'closed' ? `lately ${errors(row.errors)}` : '';
  return row.state === 'closed' ? labels : reason(row);
}

// standing says what an operator left standing, by whom, why and until when.
export function standing(row) {
  const gone = elapsed(row);
  const parts = [];
  const note = (what, n) => n && parts.push(`${what} by ${n.by}${n.why ? `: ${n.why}` : ''} \u00b7 ${ends(n, gone)}`);
  if (row.mode !== 'auto') note(words[row.mode], row.mode_note);
  if (row.retuned) note('retuned', row.policy_note);
  return parts.join(' \u2014 ');
}

export function tags(row) {
  const all = [];
  if (row.policy.observe) all.push('observes only');
  if (row.policy_conflict) all.push('policies differ');
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
      const main = r.failure ?? r.streak;
      const isRate = Boolean(r.failure);
      const tooFew = isRate && !r.enough;
      if (!main) said(text, 'no failure rule');
      else if (isRate) said(text, `${percent(main.value)} of ${percent(main.threshold)}`);
      else said(text, `${main.value} of ${main.threshold} in a row`);
      rate.node.hidden = !main;
      if (main) rate.show(isRate ? main.value : main.near, isRate ? main.threshold : null, main.near >= 1);
      node.classList.toggle('near', Boolean(main) && main.near >= 0.5);
      const min = row.policy.min_calls;
      calls.node.hidden = !tooFew;
      if (tooFew) calls.show(row.window.calls / min, null, false);
      const parts = [];
      if (isRate) parts.push(tooFew ? `${row.window.calls} of ${min} calls` : `${row.window.calls} calls`);
      if (isRate && r.streak && r.streak.value > 0) parts.push(`${r.streak.value} of ${r.streak.threshold} in a row`);
      said(sub, parts.join(' \u00b7 '));
    },
  };
}

export function slow(row) {
  const r = rules(row).slow;
  return r ? `${percent(r.value)} of ${percent(r.threshold)}` : '';
}

export function probes(row) {
  if (row.state === 'closed') return row.probing ? `${row.probing} still under way` : '';
  if (row.state === 'open') return row.probing ? `${row.probing} under way` : '';
  return `${row.probing} of ${row.policy.probes} under way \u00b7 ${row.probe_successes} of ${row.policy.probe_successes} good`;
}

export function backoff(row) {
  if (!row.openings) return '';
  const next = Math.min(row.policy.open_for_ms * 2 ** Math.min(row.openings, 20), row.policy.open_for_max_ms);
  return `step ${row.openings} \u00b7 next ${duration(next)}`;
}
