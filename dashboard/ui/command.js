// Commands: what each does, the dialog that asks for its reason, its end and a confirmation, and the request.
import { el, said } from './dom.js';
import { path } from './board.js';
import { duration, percent } from './format.js';

// What a policy may be; filled before the first page is shown.
export let policyFields = [];
export async function load() {
  policyFields = await (await fetch('policy.json')).json();
}

const half = 30 * 60 * 1000;

// grave: hits the calls of the whole fleet, so the name is typed. ends: offers an end, this one first (0: until lifted).
export const commands = [
  { action: 'force-open', label: 'Force open', grave: true, ends: half, when: (row) => row.mode !== 'forced-open',
    does: 'Every replica refuses every call until the end, or until it is lifted. Then it is half-open.' },
  { action: 'force-closed', label: 'Force closed', grave: true, ends: half, when: (row) => row.mode !== 'forced-closed',
    does: 'Every replica admits every call, however many fail, until the end, or until it is lifted.' },
  { action: 'lift', label: 'Lift', when: (row) => row.mode !== 'auto',
    does: 'Ends the forced mode now: from forced open to half-open, from forced closed to closed with an empty window.' },
  { action: 'trip', label: 'Trip', grave: true, ends: 0, none: "for the policy's open time", when: () => true,
    does: 'Opens it once, as a rule would. Probes bring it back.' },
  { action: 'reset', label: 'Reset', grave: true, when: () => true,
    does: 'Closes it and forgets window and backoff. All replicas send calls again at once.' },
  { action: 'retune', label: 'Retune\u2026', grave: true, ends: half, when: () => true,
    does: 'Another policy for all replicas, until the end or until it is restored. State and window are kept.' },
  { action: 'restore', label: 'Restore policy', when: (row) => row.retuned,
    does: "Ends the retuned policy now: the fleet's own rules again." },
];

const ends = [[5, '5 minutes'], [15, '15 minutes'], [30, '30 minutes'], [60, '1 hour'], [240, '4 hours'], [1440, '1 day'], [10080, '7 days']];

export function shownPolicy(field, policy) {
  const value = policy[field.key];
  if (field.unit === 'yes') return value ? 'yes' : 'no';
  if (!value && field.zero) return field.zero;
  if (field.unit === 'ms') return duration(value);
  return field.unit === 'share' ? percent(value) : String(value);
}

// In the form durations are seconds and shares are percent.
const scale = { ms: 1000, share: 0.01, count: 1 };
const shownUnit = { ms: 's', share: '%', count: '' };
const toForm = (field, value) => String(Number((value / scale[field.unit]).toPrecision(12)));
const fromForm = (field, text) => {
  const value = Number(text) * scale[field.unit];
  return field.unit === 'share' ? Math.round(value * 10000) / 10000 : Math.round(value);
};

// command opens the dialog.
export function command(c, row) {
  const dialog = document.getElementById('dialog');
  const why = el('input', { id: 'why', required: true, maxlength: '200', autocomplete: 'off', placeholder: 'INC-42: the tier is being moved' });
  const until = c.ends == null ? null : el('select', { id: 'until' },
    c.ends === 0 && el('option', { value: '0' }, c.none),
    ...ends.map(([minutes, label]) => el('option', { value: String(minutes * 60000), selected: minutes * 60000 === c.ends }, label)),
    c.ends !== 0 && el('option', { value: '0' }, c.action === 'retune' ? 'until restored' : 'until lifted'));
  const form = c.action === 'retune' ? policyForm(row.policy, check) : null;
  const typed = c.grave ? el('input', { id: 'typed', autocomplete: 'off', spellcheck: 'false', required: true }) : null;
  const problem = el('p', { class: 'problem', role: 'alert' });
  const go = el('button', { type: 'submit', class: c.grave ? 'grave sure' : 'sure', id: 'go', disabled: true }, c.label.replace('\u2026', ''));

  function check() {
    const named = !typed || typed.value === row.name;
    go.disabled = !(why.value.trim() && named && (!form || (form.valid() && form.changed())));
  }

  async function send(event) {
    event.preventDefault();
    go.disabled = true;
    said(problem, '');
    try {
      await post(row.name, {
        name: row.name, action: c.action, why: why.value.trim(),
        ...(until && until.value !== '0' && { for_ms: Number(until.value) }), ...(form && { policy: form.policy() }),
      });
      dialog.close();
      document.getElementById('said').textContent = `${c.label} was carried out.`;
    } catch (error) {
      said(problem, error.message);
      form?.point(error.field);
      check();
    }
  }

  const label = (id, text, control) => control && el('label', { for: id }, text, control);
  dialog.replaceChildren(el('form', { method: 'dialog', onsubmit: send, oninput: check },
    el('h2', { id: 'dialog-title' }, `${c.label.replace('\u2026', '')}: `, el('bdi', {}, row.name)),
    el('p', {}, c.does),
    form?.node,
    label('until', 'For how long', until),
    label('why', 'Why (the history and every replica\u2019s log show it)', why),
    typed && label('typed', 'This is for the whole fleet. Type its name to confirm', typed),
    typed && el('p', { class: 'sub copy' }, el('bdi', {}, row.name)),
    problem,
    el('div', { class: 'buttons' }, el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Cancel'), go)));
  said(problem, '');
  dialog.showModal();
  (form ? form.first : why).focus();
}

async function post(name, body) {
  const response = await fetch(path(name, '/command'), {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  if (response.ok) return;
  const told = await response.json().catch(() => null);
  throw Object.assign(new Error(told?.error ?? `the server said ${response.status}`), { field: told?.field });
}

// policyForm is a field for each part of a policy, with its range, and a list of what would change.
function policyForm(before, check) {
  const changes = el('ul', { class: 'changes', 'aria-live': 'polite' });
  const inputs = policyFields.map((field) => {
    if (field.unit === 'yes') return el('input', { type: 'checkbox', id: `p-${field.key}`, checked: before[field.key] });
    return el('input', {
      type: 'number', id: `p-${field.key}`, value: toForm(field, before[field.key]), step: 'any', required: true,
      min: toForm(field, field.zero ? 0 : field.min), max: toForm(field, field.max),
    });
  });
  const policy = () => Object.fromEntries(policyFields.map((field, i) => [field.key, field.unit === 'yes' ? inputs[i].checked : fromForm(field, inputs[i].value)]));
  const changed = () => policyFields.filter((field) => policy()[field.key] !== before[field.key]);

  // One kind of window leaves no other.
  const windows = policyFields.map((field) => field.key);
  const other = (mine, its) => {
    const [from, to] = [inputs[windows.indexOf(mine)], inputs[windows.indexOf(its)]];
    from.addEventListener('input', () => { if (Number(from.value) > 0) to.value = '0'; });
  };
  other('window_calls', 'window_time_ms');
  other('window_time_ms', 'window_calls');

  function show() {
    const after = policy();
    changes.replaceChildren(...changed().map((field) => el('li', {}, `${field.label}: `, el('s', {}, shownPolicy(field, before)), ' \u2192 ', el('strong', {}, shownPolicy(field, after)))));
    if (!changes.children.length) changes.append(el('li', { class: 'sub' }, 'Nothing changed yet.'));
  }

  const range = (field) => {
    const [low, high] = [toForm(field, field.min), toForm(field, field.max)];
    const unit = shownUnit[field.unit] && ` ${shownUnit[field.unit]}`;
    return `${low}\u2013${high}${unit}${field.zero ? `, or 0: ${field.zero}` : ''}`;
  };
  const fields = policyFields.map((field, i) => el('label', { for: `p-${field.key}`, title: field.help, 'data-field': field.field },
    field.label, inputs[i], field.unit !== 'yes' && el('span', { class: 'sub' }, range(field))));
  const node = el('fieldset', { oninput: () => { show(); check(); } },
    el('legend', {}, 'Policy'), el('div', { class: 'fields' }, ...fields), el('h3', {}, 'What changes'), changes);
  show();
  return {
    node, policy, first: inputs[0],
    changed: () => changed().length > 0,
    valid: () => inputs.every((input) => input.checkValidity()),
    point(name) {
      for (const label of node.querySelectorAll('label')) label.classList.toggle('wrong', label.dataset.field === name);
      node.querySelector('label.wrong input')?.focus();
    },
  };
}
