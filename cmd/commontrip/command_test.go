package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func TestACommandIsSignedHasAReasonAndAnEnd(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.must("force-open", "mcp", "--why", "INC-42")
	x := d.read("mcp")
	if x.Mode != store.ForcedOpen || x.ModeNote.By != "oncall" || x.ModeNote.Why != "INC-42" || x.ModeNote.EndsIn != 30*time.Minute {
		t.Errorf("%+v; want it forced open by oncall for 30 m", x)
	}
	d.must("force-closed", "mcp", "--why", "INC-43", "--for", "forever", "--by", "bob")
	if x = d.read("mcp"); x.Mode != store.ForcedClosed || x.ModeNote.By != "bob" || x.ModeNote.Timed {
		t.Errorf("%+v; want it forced closed by bob, until lifted", x)
	}
	d.must("lift", "mcp")
	if x = d.read("mcp"); x.Mode != store.Auto {
		t.Errorf("%+v; want no mode", x)
	}
	if out := d.must("lift", "mcp"); !strings.Contains(out, "nothing to change") {
		t.Errorf("%q; want it said that nothing stood", out)
	}
	d.must("trip", "mcp", "--for", "2h")
	if x = d.read("mcp"); x.State != store.Open || x.RetryIn != 2*time.Hour {
		t.Errorf("%+v; want it open for 2 h", x)
	}
	d.must("reset", "mcp")
	if x = d.read("mcp"); x.State != store.Closed {
		t.Errorf("%+v; want it closed", x)
	}
	delete(d.env, "COMMONTRIP_BY")
	d.must("trip", "mcp")
	if x = d.read("mcp"); x.Cause != "ada@desk" || x.RetryIn != time.Minute {
		t.Errorf("%+v; want it signed by the user of this machine, and the policy's open time", x)
	}
}

func TestRetuneStartsFromThePolicyInForceAndShowsWhatChanges(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	out := d.must("retune", "mcp", "--dry-run", "open_for=2m", "failure_rate=30%")
	want := "FIELD         WAS   IS\nfailure_rate  0.5   0.3\nopen_for      1m0s  2m0s\nopen_for_max  1m0s  2m0s\n"
	if out != want {
		t.Errorf("%q; want %q", out, want)
	}
	if d.read("mcp").Retuned {
		t.Error("a dry run changed the policy")
	}
	d.must("retune", "mcp", "open_for_ms=120000", "--for", "1h")
	d.must("retune", "mcp", "window_time=1m")
	wantPolicy := store.FleetPolicy()
	wantPolicy.OpenFor, wantPolicy.OpenForMax, wantPolicy.WindowCalls, wantPolicy.WindowTime = 2*time.Minute, 2*time.Minute, 0, time.Minute
	if x := d.read("mcp"); x.Policy != wantPolicy || !x.Retuned || x.PolicyNote.EndsIn != 30*time.Minute {
		t.Errorf("%+v; want %+v for 30 m", x, wantPolicy)
	}
	d.must("restore", "mcp")
	if x := d.read("mcp"); x.Policy != store.FleetPolicy() || x.Retuned {
		t.Errorf("%+v; want the fleet's policy", x)
	}
	if out := d.must("retune", "mcp", "probes=3"); !strings.Contains(out, "nothing changes") || d.read("mcp").Retuned {
		t.Errorf("%q; want nothing to change", out)
	}
}

func TestFieldsAreThoseOfTheJSONForm(t *testing.T) {
	text, err := json.Marshal(store.FleetPolicy())
	if err != nil {
		t.Fatal(err)
	}
	var form map[string]any
	if err := json.Unmarshal(text, &form); err != nil {
		t.Fatal(err)
	}
	for _, f := range policyFields {
		key := f.name
		if f.kind == duration {
			key += "_ms"
		}
		if _, ok := form[key]; !ok {
			t.Errorf("the JSON form has no %s", key)
		}
		delete(form, key)
	}
	if len(form) > 0 {
		t.Errorf("no field for %v", form)
	}
}

func TestRemoveAsksFirst(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.closed("sdk")
	d.in = "y\n"
	if code, out, err := d.run("remove", "mcp"); code != done || out != "mcp: removed by oncall\n" || !strings.Contains(err, "Forget it, with its history, as oncall? [y/N]") {
		t.Errorf("exit code %d, %q, %q", code, out, err)
	}
	d.in = ""
	if out := d.must("remove", "sdk", "--yes", "--json", "--by", "bob"); !strings.Contains(out, `"by": "bob",`) || !strings.Contains(out, `"removed": "sdk"`) {
		t.Errorf("%q", out)
	}
	if out := d.must("list", "--json"); out != "[]\n" {
		t.Errorf("%q; want none left", out)
	}
}

// TestWhatIsGoneIsTakenOutOfTheList: a breaker that nobody uses leaves its name behind.
func TestWhatIsGoneIsTakenOutOfTheList(t *testing.T) {
	d := newDesk(t)
	for _, name := range []string{"gone", "left"} {
		if _, err := d.server.SAdd("commontrip:names", name); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, _ := d.run("remove", "gone", "--yes"); code == done {
		t.Error("it says that it removed a breaker that is gone")
	}
	if listed, err := d.server.SIsMember("commontrip:names", "gone"); err != nil || listed {
		t.Errorf("the name is still listed, %v", err)
	}
	if _, out, _ := d.run("doctor"); !strings.Contains(out, "names of breakers that are gone, now taken out: 1") {
		t.Errorf("doctor says %q", out)
	}
	if d.server.Exists("commontrip:names") {
		t.Error("a name is still listed")
	}
}

func TestJSONIsTheOneFormOfTheStore(t *testing.T) {
	d := newDesk(t)
	d.broken("mcp")
	want, err := json.Marshal(d.read("mcp"))
	if err != nil {
		t.Fatal(err)
	}
	same := func(got string, args ...string) {
		t.Helper()
		var x, y any
		if json.Unmarshal([]byte(got), &x) != nil || json.Unmarshal(want, &y) != nil {
			t.Errorf("%q: %s", args, got)
		}
		a, _ := json.Marshal(x)
		b, _ := json.Marshal(y)
		if !bytes.Equal(a, b) {
			t.Errorf("%q: %s; want %s", args, a, b)
		}
	}
	same(d.must("show", "mcp", "-json"))
	same(d.must("--json", "lift", "mcp"))
	want = append(append([]byte("["), want...), ']')
	same(d.must("list", "--json"))
	var entries []store.Transition
	if err := json.Unmarshal([]byte(d.must("history", "mcp", "-json")), &entries); err != nil || len(entries) != 1 || entries[0].To != store.Open {
		t.Error(entries, err)
	}
	var roster []replicaJSON
	if err := json.Unmarshal([]byte(d.must("roster", "mcp", "-json")), &roster); err != nil || len(roster) != 2 || roster[0].Calls != 91 {
		t.Error(roster, err)
	}
	var policy store.Policy
	if err := json.Unmarshal([]byte(d.must("retune", "mcp", "probes=7", "--dry-run", "-json")), &policy); err != nil || policy.Probes != 7 {
		t.Error(policy, err)
	}
	d.must("retune", "mcp", "probes=7", "-json")
	if d.read("mcp").Policy.Probes != 7 {
		t.Error("retune -json changed nothing")
	}
}

// TestListShowAndRosterTellInWhichFieldsPoliciesDiffer: the store alone tells it, to any reader.
func TestListShowAndRosterTellInWhichFieldsPoliciesDiffer(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	other := d.read("mcp").Policy
	other.OpenFor, other.Probes = 30*time.Second, 7
	d.report(store.Report{Name: "mcp", Replica: "web-3#c3", Seq: 1, Policy: other})
	differences := []string{"OpenFor 30s here, 1m0s agreed", "Probes 7 here, 3 agreed"}
	want := "another policy than the fleet's: " + strings.Join(differences, "; ")
	for _, args := range [][]string{{"list"}, {"show", "mcp"}} {
		if out := d.must(args...); !strings.Contains(out, "web-3 reports "+want) {
			t.Errorf("%q: %s; want %q", args, out, want)
		}
	}
	if out := d.must("roster", "mcp"); !strings.Contains(out, "  "+want) {
		t.Errorf("roster: %s; want %q", out, want)
	}
	var roster []replicaJSON
	if err := json.Unmarshal([]byte(d.must("roster", "mcp", "--json")), &roster); err != nil || !slices.Equal(roster[len(roster)-1].Differences, differences) {
		t.Error(roster, err)
	}
}
