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

// reason is what a snapshot alone says of its last transition. The transition itself has a sentence, made by the server.
export function reason(row) {
  if (!row.reason) return '';
  return row.reason.replaceAll('-', ' ') + (row.cause ? ` \u00b7 ${person(row.cause)}` : '');
}

export const errors = (list) => list.map((e) => `${count(e.count)} \u00d7 ${e.label}`).join(', ');

export function ends(note, elapsed) {
  if (!note) return '';
  return note.timed ? `for ${countdown(Math.max(note.ends_in_ms - elapsed, 0))} more` : 'until lifted';
}
