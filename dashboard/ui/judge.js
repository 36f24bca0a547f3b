// What a row means to the person on call: how urgent it is, and how near to its thresholds.
import { share } from './format.js';

// state is what rules calls: a forced mode, or else the breaker's own state. One that only observes refuses nobody.
export function state(row) {
  if (row.mode !== 'auto') return row.mode;
  return row.policy.observe && row.state !== 'closed' ? 'observed' : row.state;
}

// rules gives each rule of the policy: how far it has come (1 trips), and the shares that a bar shows.
export function rules(row) {
  const { policy: p, window: w } = row;
  const enough = w.calls >= p.min_calls;
  const failure = share(w.failures, w.calls);
  const slow = share(w.slow, w.calls);
  return {
    failure: p.failure_rate > 0 ? { value: failure, threshold: p.failure_rate, near: enough ? failure / p.failure_rate : 0 } : null,
    slow: p.slow_call_rate > 0 ? { value: slow, threshold: p.slow_call_rate, near: enough ? slow / p.slow_call_rate : 0 } : null,
    streak: p.consecutive_failures > 0 ? { value: w.consecutive, threshold: p.consecutive_failures, near: w.consecutive / p.consecutive_failures } : null,
    enough,
  };
}

export function nearest(row) {
  const r = rules(row);
  return Math.max(r.failure?.near ?? 0, r.slow?.near ?? 0, r.streak?.near ?? 0);
}

// urgency is the order of the list: what needs a person first.
export function urgency(row) {
  const here = row.here?.verdict === 'own';
  if (row.mode === 'auto' && row.state === 'open') return row.policy.observe ? 5 : 0;
  if (row.mode === 'forced-closed' && row.state !== 'closed') return 1;
  if (row.mode === 'auto' && row.state === 'half-open') return row.policy.observe ? 5 : 2;
  if (row.mode !== 'auto') return 3;
  if (here || row.policy_conflict) return 4;
  if (nearest(row) >= 0.5) return 6;
  return row.retuned ? 7 : 8;
}

export const filters = {
  open: (row) => row.effective === 'open' && row.mode === 'auto',
  'half-open': (row) => row.effective === 'half-open',
  forced: (row) => row.mode !== 'auto',
  near: (row) => row.state === 'closed' && nearest(row) >= 0.5,
  disagree: (row) => row.policy_conflict,
};
