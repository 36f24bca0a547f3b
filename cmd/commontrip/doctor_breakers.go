package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// silence is how long a replica that lives is never silent: each reports every 10 s even without calls.
const silence = 20 * time.Second

// atOnce is how many breakers one step looks at: few exchanges for many breakers, and a bound that does not hang on how many
// there are.
const atOnce = 100

// checkBreakers looks at each breaker of the fleet.
func (d *doctor) checkBreakers(ctx context.Context) {
	names, err := bounded(ctx, d.app, d.server.names)
	if err != nil {
		d.say(problem, "breakers", err.Error(), adviceFor(err))
		return
	}
	slices.Sort(names)
	if len(names) == 0 {
		d.say(note, "breakers", d.app.nobody(ctx), "see that --prefix is the replicas' own; a replica makes a breaker when it registers it")
		return
	}
	for batch := range slices.Chunk(names, atOnce) {
		if !d.step(ctx, func(ctx context.Context) bool { return d.checkSome(ctx, batch) }) {
			return
		}
	}
}

// checkSome looks at some breakers, in a few exchanges. It gives false if the store fails, and not a breaker.
func (d *doctor) checkSome(ctx context.Context, names []string) bool {
	snapshots, bad := d.store.Read(ctx, names...)
	rosters, noRoster := d.store.Rosters(ctx, names...)
	for _, err := range []error{bad, noRoster} {
		if err != nil && !isUnreadable(err) {
			d.say(problem, "breakers", "not all looked at: "+err.Error(), adviceFor(err))
			return false
		}
	}
	for _, s := range snapshots {
		check := "breaker " + quote(s.Name)
		d.say(fine, check, fmt.Sprintf("%s for %s, %s, %d replicas", stateOf(s), span(s.Age), d.server.place(s.Name), s.Replicas), "")
		d.checkStanding(check, s)
		if roster, read := rosters[s.Name]; read {
			d.checkReplicas(check, s, roster)
		}
	}
	d.sayUnreadable(bad)
	d.sayUnreadable(noRoster)
	return d.server.checkForms(ctx, snapshots)
}

// sayUnreadable tells of breakers that hold what cannot be read. The reason is that of the first.
func (d *doctor) sayUnreadable(err error) {
	bad, is := errors.AsType[*store.UnreadableError](err)
	if !is {
		return
	}
	for _, name := range bad.Names {
		check := "breaker " + quote(name)
		if slices.ContainsFunc(d.findings, func(f finding) bool { return f.Check == check && f.Level == problem }) {
			continue
		}
		found := "it cannot be read"
		if name == bad.Names[0] {
			found += ": " + bad.Err.Error()
		}
		d.say(problem, check, found, "run the newest version everywhere. What an older one cannot read, or no version wrote, replicas bring back "+
			"from what they know after: "+d.server.forget(name))
	}
}

// checkStanding looks at what operators left.
func (d *doctor) checkStanding(check string, s store.Snapshot) {
	if s.Mode != store.Auto && !s.ModeNote.Timed {
		d.say(note, check, fmt.Sprintf("%v without an end, %s", s.Mode, signed(s.ModeNote)),
			"ask who gave it, then: commontrip lift "+shell(s.Name))
	}
	if s.Retuned && !s.PolicyNote.Timed {
		d.say(note, check, "a retuned policy without an end, "+signed(s.PolicyNote),
			"put it into the service's configuration, then: commontrip restore "+shell(s.Name))
	}
}

// checkReplicas looks at which replicas report.
func (d *doctor) checkReplicas(check string, s store.Snapshot, roster []store.Replica) {
	var silent []string
	own := 0
	for _, r := range roster {
		if r.Seen > silence {
			silent = append(silent, r.Name)
		}
		if r.OwnOpen {
			own++
		}
	}
	if len(roster) == 0 {
		d.say(note, check, "no replica reported within the last minute", "if none uses it any more: commontrip remove "+shell(s.Name))
	}
	if len(silent) > 0 {
		d.say(note, check, fmt.Sprintf("silent for more than %v: %s", silence, few(silent)), "if they were not stopped or replaced by a deploy: see whether they run and reach the store")
	}
	explained := s.Explain(nil, roster)
	if explained.Policies != "" {
		d.say(problem, check, explained.Policies, "finish the deploy, or give them one policy")
	}
	if explained.Own != "" && s.State != store.Open {
		d.say(note, check, explained.Own, adviceForOwn(own, len(roster)))
	}
}

// adviceForOwn says what to do about replicas whose own verdict is open.
func adviceForOwn(open, all int) string {
	switch {
	case open == all:
		return "see to the tier: it fails for all of them, which the fleet has not judged yet, such as after an outage of the store. Each closes by its own probes"
	case open == 1:
		return "see what this replica has that the others have not: its node, its network, its DNS, its secrets, its version"
	default:
		return fmt.Sprintf("see what these have in common and the other %d have not: node, zone, network, DNS, secrets, version", all-open)
	}
}

// few names the first of many.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", quoteAll(names[:most]), len(names)-most)
	}
	return strings.TrimSpace(quoteAll(names))
}
