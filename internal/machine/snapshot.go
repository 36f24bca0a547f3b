package machine

import "github.com/commontrip/commontrip/store"

// Snapshot gives what the machine holds, at now, and writes nothing: what has ended at now is left out, and a command
// whose time is over is still shown, with nothing left. false: the name is not shown.
func (m *Machine) Snapshot(now int64, name string) (store.Snapshot, bool) {
	if m.phase != shown {
		return store.Snapshot{}, false
	}
	return m.snapshot(m.moment(now), name), true
}

// Current is the snapshot as of the last request, whether the name is shown or not: what goes with a push.
func (m *Machine) Current(name string) store.Snapshot {
	return m.snapshot(moment{m.at, m.off}, name)
}

// Version gives the two numbers alone.
func (m *Machine) Version(_ int64, name string) (store.Version, bool) {
	if m.phase != shown {
		return store.Version{}, false
	}
	return store.Version{Name: name, Generation: m.generation, Rev: m.rev}, true
}

// snapshot is what the machine holds, as t shows it.
func (m *Machine) snapshot(t moment, name string) store.Snapshot {
	out := store.Snapshot{
		Name: name, State: m.state, Mode: m.mode, Generation: m.generation, Rev: m.rev,
		Since: t.date(m.since), Age: duration(t.at - m.since), Openings: int(m.countedOpenings(t.at)),
		Window: m.tally(t.at), Errors: m.countLabels(),
		Probing: m.probes.live(t.at), Replicas: m.roster.counted(sliceOf(t.at)),
		Policy: m.policyInForce().policy(), PolicyConflict: m.roster.differs(t.at),
	}
	if m.state == store.Open {
		out.RetryIn = t.left(m.until)
	}
	if m.history != nil {
		out.Reason, out.Cause = m.history.reason, m.history.cause
	}
	if m.probes != nil {
		out.ProbeSuccesses = m.probes.successes
	}
	if m.totals != nil {
		out.Totals = *m.totals
	}
	if m.mode != store.Auto {
		out.ModeNote = m.overrides.mode.shown(t)
	}
	if m.retuned() {
		out.Retuned, out.PolicyNote = true, m.overrides.policy.shown(t)
	}
	return out
}
