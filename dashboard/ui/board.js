// What the server told, kept by breaker, and the stream that tells it.
import { duration } from './format.js';

export const board = {
  rows: new Map(), // name -> the row as told, with received: when its snapshot was taken, by performance.now()
  sparks: new Map(), // name -> points of [calls, failures, refused], one a second
  latest: null,
  about: { kind: '', operator: '', commands: false },
  store: { up: null },
  replicas: { degraded: [], disagree: [] },
  replica: null,
  health: [],
  live: false, // the stream stands
  told: false, // and the board was told at least once
};

const listeners = new Set();
const sparkSeconds = 120;

export function follow(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

const tell = (what) => listeners.forEach((fn) => fn(what));

// elapsed is how long ago a row's snapshot was taken, in ms.
export const elapsed = (row) => performance.now() - row.received;

let source = null;
let timer = 0;

function take(message) {
  const now = performance.now();
  for (const row of message.rows ?? []) {
    row.received = now - (message.now - row.live.as_of_ms);
    board.rows.set(row.name, row);
  }
  for (const name of message.gone ?? []) {
    for (const map of [board.rows, board.sparks]) map.delete(name);
  }
  for (const key of ['about', 'replicas', 'replica', 'health']) {
    if (message[key]) board[key] = message[key];
  }
  if (message.store) {
    board.store = { ...message.store, answered: now - (message.now - message.store.since_ms) };
  }
}

function hello(message) {
  board.rows.clear();
  board.sparks.clear();
  take(message);
  for (const [name, points] of Object.entries(message.sparks ?? {})) board.sparks.set(name, points);
  board.live = true;
  board.told = board.rows.size > 0;
  tell({});
}

function tick(message) {
  take(message);
  board.told ||= message.store.up;
  for (const [name, row] of board.rows) {
    if (!message.seconds) break;
    const points = board.sparks.get(name) ?? [];
    const point = [row.live.calls_per_s, row.live.failures_per_s, row.live.refused_per_s];
    for (let i = 0; i < message.seconds; i++) points.push(point);
    board.sparks.set(name, points.slice(-sparkSeconds));
  }
  tell({});
}

function transition(message) {
  take(message);
  const t = message.transition;
  board.latest = t;
  tell({ transition: t });
}

function connect() {
  clearTimeout(timer);
  source?.close();
  source = new EventSource('api/events');
  for (const [kind, fn] of Object.entries({ hello, tick, transition })) {
    source.addEventListener(kind, (event) => fn(JSON.parse(event.data)));
  }
  source.addEventListener('error', () => {
    board.live = false;
    if (source?.readyState === EventSource.CLOSED) timer = setTimeout(connect, 1000 + Math.random() * 3000);
    tell({});
  });
}

function rest() {
  clearTimeout(timer);
  source?.close();
  source = null;
  board.live = false;
}

// A page that nobody sees gives its connection back: browsers have but six for a plain-http host.
export function start() {
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && !source) connect();
    else if (document.hidden) timer = setTimeout(() => document.hidden && rest(), 30000);
  });
  connect();
}

// banner is what a person must know before believing the page; '' for nothing.
export function banner() {
  const ago = board.store.answered == null ? '' : ` Shown is what was known ${duration(performance.now() - board.store.answered)} ago.`;
  if (board.told && !board.live) return `The connection to the dashboard is lost.${ago}`;
  if (board.store.up === false) {
    return `The store does not answer (${board.store.problem}). Replicas go by their own verdicts.${ago}`;
  }
  if (board.store.unreadable) {
    return `The store holds what nobody can read of ${board.store.unreadable.join(', ')}: see what commontrip doctor says.`;
  }
  if (board.replica && !board.replica.store_up) return 'The replica that serves this page has lost the store and goes by its own verdicts.';
  return '';
}

// path is the address of a breaker in the API. "." and ".." would be taken for folders.
export function path(name, rest = '') {
  if (name === '.' || name === '..') return `api/breakers/-${rest}?name=${encodeURIComponent(name)}`;
  return `api/breakers/${encodeURIComponent(name)}${rest}`;
}

// ask is a GET of the API; it throws an Error with words for people.
export async function ask(address) {
  const response = await fetch(address);
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.error ?? `the server said ${response.status}`);
  return body;
}
