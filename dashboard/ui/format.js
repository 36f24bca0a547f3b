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

// clock is a time of day in UTC, with the local one beside it if that is another.
export function clock(text) {
  if (!text) return '';
  const [day, time] = new Date(text).toISOString().split('T');
  const today = day === new Date().toISOString().slice(0, 10);
  return beside(`${today ? '' : `${day} `}${time.slice(0, 8)} UTC`, text);
}

// beside adds the local form of a time to a text that tells it in UTC.
export function beside(text, at) {
  const time = new Date(at ?? NaN);
  return time.getTimezoneOffset() ? `${text} (${time.toLocaleTimeString()} here)` : text;
}

// person is a replica's name without the letters that tell its incarnations apart.
export const person = (name) => (name.lastIndexOf('#') > 0 ? name.slice(0, name.lastIndexOf('#')) : name);

export const share = (part, whole) => (whole > 0 ? part / whole : 0);

export const errors = (list) => list.map((e) => `${count(e.count)} \u00d7 ${e.label}`).join(', ');

export function ends(note, elapsed) {
  if (!note) return '';
  return note.timed ? `for ${countdown(Math.max(note.ends_in_ms - elapsed, 0))} more` : 'until lifted';
}
