// The page: which view is shown, the banner, and the beat that keeps times going.
import { said, mark } from './dom.js';
import { banner, board, follow, start } from './board.js';
import { load } from './command.js';
import { list } from './list.js';
import { detail } from './detail.js';

const byId = (id) => document.getElementById(id);
let view = null;

function route() {
  const found = location.hash.match(/^#\/b\/(.+)$/);
  let name = '';
  try {
    name = found ? decodeURIComponent(found[1]) : '';
  } catch {
    // A broken address is the list's.
  }
  const first = view === null;
  view = name ? detail(name) : list();
  byId('main').replaceChildren(view.node);
  show();
  window.scrollTo(0, 0);
  if (!first) (view.node.querySelector('h1') ?? byId('main')).focus();
}

// headline tells a tab that is not looked at how many breakers are open.
function headline() {
  const open = [...board.rows.values()].filter((row) => row.effective === 'open').length;
  const place = view.title === 'Breakers' ? view.title : `${view.title} \u2013 Breakers`;
  const title = open ? `(${open} open) ${place}` : place;
  if (document.title !== title) document.title = title;
  mark(byId('icon'), 'href', open ? 'icon-open.svg' : 'icon.svg');
}

function show() {
  view.update();
  headline();
  said(byId('banner'), banner());
  const live = board.live && board.store.up !== false;
  mark(byId('pulse'), 'data-live', live ? 'yes' : 'no');
  said(byId('pulse'), board.live ? (board.store.up === false ? 'store away' : 'live') : 'connecting');
  const who = board.about.operator ? `You command as ${board.about.operator}.` : 'Read-only.';
  const place = board.replica ? ` Served by ${board.replica.name}.` : '';
  said(byId('footer'), board.about.kind ? `${who} Store: ${board.about.kind}.${place} This page asks nobody to log in: guard it as you guard other inner pages.` : '');
}

function told({ transition }) {
  if (transition) byId('said').textContent = transition.sentence;
  show();
}

const themes = { system: 'light dark', light: 'light', dark: 'dark' };

function theme(wanted) {
  const name = wanted in themes ? wanted : 'system';
  document.documentElement.style.colorScheme = themes[name];
  byId('theme').textContent = `Theme: ${name}`;
  return name;
}

function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  return value;
}

byId('theme').addEventListener('click', () => {
  const names = Object.keys(themes);
  const now = byId('theme').textContent.replace('Theme: ', '');
  remember('theme', theme(names[(names.indexOf(now) + 1) % names.length]));
});
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target.closest('input, select, dialog')) return;
  const filter = byId('filter');
  if (filter) {
    event.preventDefault();
    filter.focus();
  }
});

theme(remember('theme'));
await load();
window.addEventListener('hashchange', route);
route();
follow(told);
setInterval(show, 500);
start();
