package machine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
	"pgregory.net/rapid"
)

// reload is a machine that was saved and loaded again.
func reload(t fataler, m *Machine) *Machine {
	t.Helper()
	var out Machine
	if err := out.Load("tier", m.Save(nil)); err != nil {
		t.Fatal(err)
	}
	return &out
}

// shownAll is all that can be read of a machine.
func shownAll(m *Machine, now int64) string {
	snapshot, visible := m.Snapshot(now, "tier")
	return fmt.Sprintf("%v %v %v %+v\n%+v\n%+v\n%+v", m.Absent(), m.Removed(), visible, snapshot, m.Current("tier"), m.Roster(now), m.History(now, "tier", 0))
}

// TestASavedMachineGoesOnAsItWas plays one history on a machine that stays and on one that is saved after each request.
func TestASavedMachineGoesOnAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kept := newRig(t, drawPolicy(t))
		var leases []store.Lease
		actions := verbs(kept, &leases, func(*rapid.T) {})
		for name, act := range actions {
			actions[name] = func(t *rapid.T) {
				act(t)
				loaded := reload(t, &kept.m)
				if got, want := shownAll(loaded, kept.now), shownAll(&kept.m, kept.now); got != want {
					t.Fatalf("after a Load it shows\n%s\nwant\n%s", got, want)
				}
				if again := loaded.Save(nil); !bytes.Equal(again, kept.m.Save(nil)) {
					t.Fatalf("saved again it differs")
				}
				kept.m = *loaded // the rest of the history is played on what was loaded
			}
		}
		t.Repeat(actions)
	})
}

func TestFieldsOfANewerReleaseAreKept(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1", run(failure, 2))
	newer := binary.AppendUvarint(r.m.Save(nil), 1000)
	newer = append(append(newer, 3), "new"...)
	r.m = Machine{}
	if err := r.m.Load("tier", newer); err != nil {
		t.Fatal(err)
	}
	r.report("web-1", run(failure, 1))
	if saved := r.m.Save(nil); !bytes.HasSuffix(saved, append(binary.AppendUvarint(nil, 1000), "\x03new"...)) {
		t.Errorf("the field of a newer release is gone: %q", saved)
	}
	if n := r.read().Window.Failures; n != 3 {
		t.Errorf("%d failures; want 3", n)
	}
	r.m.Remove(r.now)
	if saved := r.m.Save(nil); bytes.Contains(saved, []byte("new")) {
		t.Errorf("a tombstone kept the field: %q", saved)
	}
}

func TestAFieldOfANewerReleaseInsideAnotherIsPassedOver(t *testing.T) {
	c := &coder{}
	c.group(12, func(c *coder) {
		n := 7
		number(c, 1, &n)
		number(c, 99, &n)
	})
	var m Machine
	if err := m.Load("tier", append([]byte{codecSchema}, c.out...)); err != nil || m.totals.Calls != 7 {
		t.Errorf("totals %+v, %v; want 7 calls", m.totals, err)
	}
}

func TestASchemaAboveOursIsRefused(t *testing.T) {
	var newer *NewerError
	if err := new(Machine).Load("tier", []byte{codecSchema + 1}); !errors.As(err, &newer) || newer.Schema != codecSchema+1 {
		t.Errorf("%v; want a NewerError", err)
	}
}

func TestWhatIsNotASavedMachineIsRefused(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 10})
	r.report("web-1", run(failure, 2))
	good := r.m.Save(nil)
	for n := range good[1:] {
		if err := new(Machine).Load("tier", good[:n]); err == nil && n > 0 {
			// A cut between two fields leaves a machine without the later ones, which must fit together.
			var m Machine
			_ = m.Load("tier", good[:n])
			exercise(&m)
		}
	}
	for what, spoil := range map[string]func(m *Machine){
		"a phase":                      func(m *Machine) { m.phase = 9 },
		"a state":                      func(m *Machine) { m.state = 9 },
		"a mode":                       func(m *Machine) { m.mode = 9 },
		"a mode without a note":        func(m *Machine) { m.mode = store.ForcedOpen },
		"openings below 0":             func(m *Machine) { m.openings = -1 },
		"no policy":                    func(m *Machine) { m.fleet = compiledPolicy{} },
		"no numbers to a hidden one":   func(m *Machine) { m.phase = hidden },
		"a window of no length":        func(m *Machine) { m.fleet.windowTime = 5 },
		"another window than its":      func(m *Machine) { m.fleet.windowCalls++ },
		"a window that is too long":    func(m *Machine) { m.fleet.windowCalls = limits.MaxWindowCalls + 1 },
		"a place outside of a window":  func(m *Machine) { m.window.calls.next = 10 },
		"a place before a window":      func(m *Machine) { m.window.calls.next = -1 },
		"a window without its bits":    func(m *Machine) { m.window.calls.bits = nil },
		"more calls than a window has": func(m *Machine) { m.window.calls.sum.calls = 11 },
		"a place outside of labels":    func(m *Machine) { m.labels.oldest = 3 },
		"a place outside of a history": func(m *Machine) { m.openHistory().oldest = 1 },
	} {
		var m Machine
		if err := m.Load("tier", good); err != nil {
			t.Fatal(err)
		}
		spoil(&m)
		if err := new(Machine).Load("tier", m.Save(nil)); !errors.Is(err, errSaved) {
			t.Errorf("%s: %v; want it refused", what, err)
		}
	}
}

// FuzzLoad: whatever is loaded is refused, or takes any request without a panic.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{codecSchema})
	for _, policy := range []store.Policy{{}, {WindowTime: 10 * time.Second}, {Observe: true, Reporters: 3}} {
		r := newRig(f, policy)
		f.Add(r.m.Save(nil))
		r.report("web-1", run(failure, 30), run(success, 5))
		f.Add(r.m.Save(nil))
		_, _ = r.try(store.Command{Action: store.ForceOpen, For: time.Second})
		f.Add(r.m.Save(nil))
		r.now += hour
		r.claim("web-1", "c", 1)
		f.Add(r.m.Save(nil))
		r.m.Remove(r.now)
		f.Add(r.m.Save(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Machine
		if m.Load("tier", data) != nil {
			return
		}
		if err := new(Machine).Load("tier", m.Save(nil)); err != nil {
			t.Fatalf("what was loaded does not load again: %v", err)
		}
		exercise(&m)
	})
}

// exercise sends every kind of request.
func exercise(m *Machine) {
	now := m.at - m.off
	report, _ := store.Report{
		Name: "tier", Replica: "web-1", Seq: 1 << 50, Generation: m.generation, MaxAge: time.Second,
		Runs: []store.Run{{Outcome: failure, Count: 40}, {Outcome: success, Slow: true, Count: 5}, {Outcome: success, Count: 40}},
	}.Normalize()
	claim, _ := store.Claim{Name: "tier", ID: "x", Replica: "web-1", Want: 3}.Normalize()
	for range 2 {
		m.Report(now, report)
		grant, _ := m.Claim(now, claim, 0)
		for _, l := range append(grant.Leases, store.Lease{Name: "tier", ID: "x"}) {
			m.Settle(now, store.Settlement{Lease: l, Replica: "web-1", Outcome: failure})
		}
		for action := store.ForceOpen; action <= store.Restore; action++ {
			command, _ := store.Command{Name: "tier", Action: action, By: "oncall"}.Normalize()
			_, _ = m.Command(now, command)
		}
		m.Snapshot(now, "tier")
		m.Roster(now)
		m.History(now, "tier", 0)
		m.Lifetime()
		now += hour
	}
	m.Remove(now)
	m.Report(now, report)
}

func TestHowLongAStoreKeepsAMachine(t *testing.T) {
	r := newRig(t, store.Policy{OpenFor: time.Minute})
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := duration(r.m.Lifetime()); got != d {
			t.Errorf("%s is kept for %v; want %v", what, got, d)
		}
	}
	r.report("web-1")
	want("a breaker to which nothing happened", time.Hour)
	r.command(store.Command{Action: store.Trip})
	want("an open breaker", 25*time.Hour)
	r.command(store.Command{Action: store.Trip, For: 24 * time.Hour})
	want("a breaker that is open for a day", 241*time.Hour)
	r.command(store.Command{Action: store.ForceOpen, For: 48 * time.Hour})
	want("a force of two days", 481*time.Hour)
	r.command(store.Command{Action: store.Retune, Policy: store.Policy{}})
	want("a policy without an end", 0)
	r.command(store.Command{Action: store.Restore})
	r.command(store.Command{Action: store.ForceClosed})
	want("a force without an end", 0)
	r.m.Remove(r.now)
	want("a tombstone", 48*time.Hour)
}

// BenchmarkSaveAndLoad is what each report costs a store that keeps bytes, for a breaker of a small fleet and of a big one.
func BenchmarkSaveAndLoad(b *testing.B) {
	for _, replicas := range []int{1, 20, 1000} {
		r := newRig(b, store.Policy{})
		for i := range replicas {
			r.report(fmt.Sprintf("web-%d.example#abcdef", i), labelled("timeout", 1))
		}
		data := r.m.Save(nil)
		b.Run(fmt.Sprintf("%d replicas", replicas), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var m Machine
				if err := m.Load("tier", data); err != nil {
					b.Fatal(err)
				}
				m.Save(nil)
			}
			b.ReportMetric(float64(len(data)), "B/breaker")
		})
	}
}
