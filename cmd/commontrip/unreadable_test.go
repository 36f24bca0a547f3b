package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
)

// spoilt makes a breaker that holds what no script wrote.
func (d *desk) spoilt(name string) {
	d.t.Helper()
	d.closed(name)
	d.server.HSet("commontrip:{"+name+"}", "tally", "nonsense")
}

// One breaker of many that could not be read left list, show and watch without a line.
func TestWhatCanBeReadIsShownAndWhatCannotIsNamed(t *testing.T) {
	d := newDesk(t)
	for _, name := range []string{"ledger", "mcp", "sdk"} {
		d.closed(name)
	}
	d.spoilt("alpha")
	const one = "alpha cannot be read: redisstore: reply to read: tally is"
	for _, args := range [][]string{{"list"}, {"show"}} {
		code, out, err := d.run(args...)
		if code != partly || strings.Count(out, "closed") != 3 || !strings.Contains(err, one) || !strings.Contains(err, "commontrip doctor says what to do") {
			t.Errorf("%q: exit code %d, %q, %q; want %d, three lines and %q", args, code, out, err, partly, one)
		}
	}
	code, out, err := d.run("list", "--json")
	var snapshots []store.Snapshot
	if e := json.Unmarshal([]byte(out), &snapshots); e != nil || code != partly || len(snapshots) != 3 || !strings.Contains(err, one) {
		t.Errorf("exit code %d, %v, %q, %q; want three snapshots", code, e, out, err)
	}
	if code, out, err := d.run("show", "alpha"); code != partly || out != "" || !strings.Contains(err, one) {
		t.Errorf("exit code %d, %q, %q", code, out, err)
	}

	d.spoilt("sdk")
	if _, out, err := d.run("list"); strings.Count(out, "closed") != 2 || !strings.Contains(err, "2 breakers cannot be read: alpha, sdk; of the first: ") {
		t.Errorf("%q, %q; want both named", out, err)
	}
	found := d.examined(ill)
	holds(t, found("breaker alpha"), "problem: it cannot be read: redisstore: reply to read: tally is", "UNLINK 'commontrip:{alpha}'")
	holds(t, found("breaker sdk"), "problem: it cannot be read | ")
	holds(t, found("breaker mcp"), "ok: closed")
}

func TestShowTellsTheRestOfABreakerWhoseRosterCannotBeRead(t *testing.T) {
	d := newDesk(t)
	d.broken("mcp")
	d.server.HSet("commontrip:{mcp}", "r:web-1#a1", "nonsense")
	code, out, err := d.run("show", "mcp")
	if code != partly || !strings.Contains(out, "mcp opened because") || !strings.Contains(err, "mcp cannot be read: ") || strings.Contains(out, "REPLICA") {
		t.Errorf("exit code %d, %q, %q; want everything but the roster", code, out, err)
	}
}

func TestWatchNamesWhatItCannotReadOnceAndInItsExitCode(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.spoilt("alpha")
	out, told := newLines(t), newLines(t)
	w := &watch{app: d.app(out, told), store: d.fleet, seen: map[string]store.Version{}}
	w.app.flags.timeout = patient
	for range 2 {
		w.tell(t.Context(), store.Event{Resync: true})
	}
	out.next("mcp  is closed")
	told.next("alpha cannot be read: ")
	if len(told.got) > 0 {
		t.Errorf("%q is told again", <-told.got)
	}
	d.closed("sdk")
	w.tell(t.Context(), store.Event{Resync: true})
	out.next("sdk  is closed")

	lines, end := d.begin("watch")
	lines.next("mcp  is closed")
	if code := end(); code != partly {
		t.Errorf("exit code %d; want %d", code, partly)
	}
	d.server.Del("commontrip:{alpha}")
	lines, end = d.begin("watch")
	lines.next("mcp  is closed")
	if code := end(); code != done {
		t.Errorf("exit code %d; want %d once all can be read", code, done)
	}
}

// After an outage in which a tier died, each replica refuses by its own verdict, and list said closed and no more.
func TestOwnVerdictsThatRefuseAreTold(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.closed("sdk")
	x := d.read("mcp")
	say := func(seq uint64, open ...string) {
		for _, replica := range []string{"web-1#a1", "web-2#b2", "web-3#c3"} {
			d.report(store.Report{
				Name: "mcp", Replica: replica, Seq: seq, Policy: store.FleetPolicy(), Generation: x.Generation,
				OwnOpen: slices.Contains(open, replica),
			})
		}
	}
	say(2, "web-1#a1", "web-2#b2", "web-3#c3")
	const all = "3 of 3 replicas refuse by their own verdict"
	list := d.must("list")
	for _, line := range strings.Split(list, "\n") {
		if strings.Contains(line, all) != strings.HasPrefix(line, "mcp") {
			t.Errorf("%q; want the note beside mcp alone", list)
		}
	}
	if out := d.must("show", "mcp"); !strings.Contains(out, all) {
		t.Errorf("%q; want %q", out, all)
	}
	found := d.examined(done)("breaker mcp")
	holds(t, found, "note: "+all+" | see to the tier: it fails for all of them")
	if strings.Contains(found, "no other") {
		t.Errorf("%q", found)
	}

	say(3, "web-1#a1", "web-3#c3")
	holds(t, d.examined(done)("breaker mcp"), "note: 2 of 3 replicas refuse by their own verdict: web-1 and web-3 | see what these have in common and the other 1 have not")
	say(4, "web-2#b2")
	holds(t, d.examined(done)("breaker mcp"), "note: 1 of 3 replicas refuses by its own verdict: web-2 | see what this replica has")

	d.must("force-closed", "mcp", "--why", "x")
	if out := d.must("list"); strings.Contains(out, "own verdict") {
		t.Errorf("%q; want no own verdict that does not count", out)
	}
}
