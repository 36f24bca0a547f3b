// Numbers, times and sentences, in words for people.

export function duration(ms) {
  if (!(ms > 0)) return '0 s';
  if (ms < 1000) return `${Math.ceil(ms)} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
  return two(Math.floor(s / 86400), 'd', Math.floor((s % 86400) / 3600), 'h');
}

function two(a, unitA, b, unitB) {
  return b ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`;
}

// countdown counts whole seconds, up: it says 1 s until it is over.
export const countdown = (ms) => duration(Math.ceil(ms / 1000) * 1000);

export function percent(share) {
  const p = share * 100;
  return `${p >= 10 || Number.isInteger(p) ? Math.round(p * 10) / 10 : p.toFixed(1)} %`;
}

export function perSecond(n) {
  if (n >= 10000) return `${(n / 1000).toFixed(0)} k`;
  if (n >= 1000) return `${(n / 1000).toFixed(1)} k`;
  return String(Number(n.toFixed(n >= 10 ? 0 : 1)));
}

export const count = (n) => n.toLocaleString('en').replaceAll(',', '\u202f');
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

export function clock(text) {
  if (!text) return '';
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? '' : `${at.toLocaleDateString()} `;
  return day + at.toLocaleTimeString();
}

// person is a replica's name without the letters that tell its incarnations apart.
export const person = (name) => (name.lastIndexOf('#') > 0 ? name.slice(0, name.lastIndexOf('#')) : name);

export const share = (part, whole) => (whole > 0 ? part / whole : 0);

const actions = {
  'force-open': 'forced open', 'force-closed': 'forced closed', lift: 'no longer forced', trip: 'tripped',
  reset: 'reset', retune: 'retuned', restore: "given the fleet's policy again",
};

// became says what a transition did to the breaker.
export function became(t) {
  if (t.action) return actions[t.action] ?? t.action;
  if (t.from === t.to && t.prev === t.generation) return t.reason === 'repair' ? 'repaired' : 'on its own terms again';
  if (t.to === 'open') return t.from === 'half-open' ? 'opened again' : 'opened';
  return t.to === 'half-open' ? 'half-open' : 'closed';
}

// because says why, with the tallies of that moment.
export function because(t) {
  const w = t.window;
  switch (t.reason) {
    case 'consecutive-failures': return `${many(w.consecutive, 'failure')} in a row`;
    case 'failure-rate': return `failure rate ${percent(share(w.failures, w.calls))} of ${many(w.calls, 'call')}`;
    case 'slow-call-rate': return `slow calls ${percent(share(w.slow, w.calls))} of ${many(w.calls, 'call')}`;
    case 'probe-failure': return 'probes failed';
    case 'probe-successes': return 'probes succeeded';
    case 'time': return 'its time was over';
    case 'repair': return 'the store had lost it, and a replica knew';
    case 'operator': return t.why || '';
    default: return t.why || t.reason || '';
  }
}

const briefly = {
  'consecutive-failures': 'failures in a row', 'failure-rate': 'failure rate', 'slow-call-rate': 'slow calls',
  'probe-failure': 'probes failed', 'probe-successes': 'probes succeeded', time: 'its time was over',
  repair: 'brought back by a replica', operator: 'by an operator',
};

// reason is what a snapshot alone says of its last transition.
export function reason(row) {
  if (!row.reason) return '';
  const by = row.cause ? ` \u00b7 ${person(row.cause)}` : '';
  return (briefly[row.reason] ?? row.reason) + by;
}

export const errors = (list) => list.map((e) => `${count(e.count)} \u00d7 ${e.label}`).join(', ');

export function ends(note, elapsed) {
  if (!note) return '';
  return note.timed ? `for ${countdown(Math.max(note.ends_in_ms - elapsed, 0))} more` : 'until lifted';
}
