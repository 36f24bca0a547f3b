package storetest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

const (
	ms     = time.Millisecond
	sec    = time.Second
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
	maxAge = 3 * sec // of the reports that laws send, unless they say otherwise
	tier   = "tier"  // the breaker that most laws are about
	oncall = "oncall"
)

// patient is how long a law waits for what another goroutine must do.
var patient = 10 * sec

// start is where every law's clock stands at first: far from zero, and at the beginning of a slice of 30 s and of every bucket.
var start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// clock is a store's clock in a law's hand.
type clock struct {
	nanos atomic.Int64
	tick  atomic.Int64 // what each reading takes
}

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(start.UnixNano())
	return c
}

func (c *clock) Now() time.Time {
	return time.Unix(0, c.nanos.Add(c.tick.Load())).UTC()
}

func (c *clock) step(d time.Duration)   { c.nanos.Add(int64(d)) }
func (c *clock) millis() uint64         { return uint64(c.Now().UnixMilli()) }
func (c *clock) since() time.Duration   { return c.Now().Sub(start) }
func (c *clock) moveTo(d time.Duration) { c.nanos.Store(start.Add(d).UnixNano()) }

// fixture is what a law plays with: a store, its clock, and replicas that number their reports as real ones do.
type fixture struct {
	testing.TB
	ctx    context.Context
	h      Harness
	clock  *clock
	store  store.Store
	policy store.Policy         // what reports and claims carry
	seqs   map[[2]string]uint64 // the last Seq by breaker and replica
	gens   map[string]uint64    // the newest generation by breaker that an answer showed
	claims int                  // IDs given so far
	cause  *string              // why the law could not even be looked at; empty: it could
}

func newFixture(t testing.TB, h Harness) *fixture {
	f := &fixture{
		TB: t, ctx: context.Background(), h: h, clock: newClock(), policy: store.DefaultPolicy(),
		seqs: map[[2]string]uint64{}, gens: map[string]uint64{}, cause: new(string),
	}
	f.store = f.open()
	return f
}

// open gives another replica's handle, on the same clock.
func (f *fixture) open() store.Store {
	f.Helper()
	s := f.h.Open(f.TB, f.clock.Now)
	f.Cleanup(func() { _ = s.Close() })
	return s
}

// another is another handle, if the harness gives more than one.
func (f *fixture) another() (handle store.Store, ok bool) {
	f.Helper()
	handle = f.open()
	return handle, handle != f.store
}

// on gives the same fixture seen through another handle.
func (f *fixture) on(s store.Store) *fixture {
	other := *f
	other.store = s
	return &other
}

// after lets d pass; a negative d steps the clock back.
func (f *fixture) after(d time.Duration) { f.clock.step(d) }

// at moves the clock to d after the law's start.
func (f *fixture) at(d time.Duration) { f.clock.moveTo(d) }

func run(o store.Outcome, n int) store.Run { return store.Run{Outcome: o, Count: n} }
func failures(n int) store.Run             { return run(store.Failure, n) }
func successes(n int) store.Run            { return run(store.Success, n) }
func ignored(n int) store.Run              { return run(store.Ignored, n) }

func slowSuccesses(n int) store.Run { return slowly(successes(n)) }
func slowFailures(n int) store.Run  { return slowly(failures(n)) }

func labelled(label string, n int) store.Run {
	return store.Run{Outcome: store.Failure, Label: label, Count: n}
}

func slowly(r store.Run) store.Run {
	r.Slow = true
	return r
}

func aged(age time.Duration, r store.Run) store.Run {
	r.Age = age
	return r
}

// report is the next report of a replica on the tier, in the newest generation that this fixture saw.
func (f *fixture) report(replica string, runs ...store.Run) store.Report {
	return f.reportOn(tier, replica, runs...)
}

func (f *fixture) reportOn(name, replica string, runs ...store.Run) store.Report {
	key := [2]string{name, replica}
	f.seqs[key]++
	return store.Report{
		Name: name, Policy: f.policy, Replica: replica, Seq: f.seqs[key], Generation: f.gens[name],
		MaxAge: maxAge, Runs: runs,
	}
}

// sync sends a report and gives its result, which may be an error.
func (f *fixture) sync(r store.Report) store.Result {
	f.Helper()
	results := f.store.Sync(f.ctx, []store.Report{r})
	if len(results) != 1 {
		f.Fatalf("Sync of one report gave %d results", len(results))
	}
	f.saw(results[0].Snapshot)
	return results[0]
}

// send is sync if no error is expected.
func (f *fixture) send(r store.Report) store.Result {
	f.Helper()
	result := f.sync(r)
	if result.Err != nil {
		f.Fatalf("report %d of %s: %v", r.Seq, r.Replica, result.Err)
	}
	return result
}

func (f *fixture) saw(s store.Snapshot) { f.gens[s.Name] = max(f.gens[s.Name], s.Generation) }

func (f *fixture) tell(replica string, runs ...store.Run) store.Result {
	f.Helper()
	return f.send(f.report(replica, runs...))
}

func (f *fixture) fail(n int) store.Result    { f.Helper(); return f.tell("a", failures(n)) }
func (f *fixture) succeed(n int) store.Result { f.Helper(); return f.tell("a", successes(n)) }

// touch runs a script that says nothing: a sign of life.
func (f *fixture) touch() store.Result { f.Helper(); return f.tell("a") }

// trip opens the tier by the streak rule of its policy.
func (f *fixture) trip() store.Result {
	f.Helper()
	result := f.fail(max(f.policy.ConsecutiveFailures, 1))
	if result.Snapshot.State != store.Open {
		f.Fatalf("%d failures in a row left the breaker %v", f.policy.ConsecutiveFailures, result.Snapshot.State)
	}
	return result
}

// probe opens the tier, lets its time pass and claims, as a replica, so many leases.
func (f *fixture) probe(replica string, want int) []store.Lease {
	f.Helper()
	f.trip()
	f.after(f.read().RetryIn)
	return f.leases(replica, want)
}

func (f *fixture) request(replica string, want int) store.Claim {
	f.claims++
	return store.Claim{Name: tier, ID: fmt.Sprintf("claim-%d", f.claims), Policy: f.policy, Replica: replica, Want: want}
}

func (f *fixture) claim(replica string, want int) store.Grant {
	f.Helper()
	return f.ask(f.request(replica, want))
}

func (f *fixture) ask(c store.Claim) store.Grant {
	f.Helper()
	g, err := f.store.Claim(f.ctx, c)
	if err != nil {
		f.Fatalf("claim %s of %s: %v", c.ID, c.Replica, err)
	}
	f.saw(g.Snapshot)
	return g
}

// leases claims exactly so many.
func (f *fixture) leases(replica string, want int) []store.Lease {
	f.Helper()
	g := f.claim(replica, want)
	if len(g.Leases) != want {
		f.Fatalf("%s claimed %d leases and got %d (ask again in %v)", replica, want, len(g.Leases), g.RetryIn)
	}
	return g.Leases
}

func (f *fixture) lease(replica string) store.Lease { f.Helper(); return f.leases(replica, 1)[0] }

func (f *fixture) settle(replica string, l store.Lease, o store.Outcome) store.Result {
	f.Helper()
	return f.settleAs(store.Settlement{Lease: l, Replica: replica, Outcome: o})
}

func (f *fixture) settleAs(s store.Settlement) store.Result {
	f.Helper()
	result, err := f.store.Settle(f.ctx, s)
	if err != nil || result.Err != nil {
		f.Fatalf("%s settles as %v: error %v, result's error %v", s.Replica, s.Outcome, err, result.Err)
	}
	f.saw(result.Snapshot)
	return result
}

// command carries out c on the tier, by oncall if c does not say.
func (f *fixture) command(c store.Command) store.Result {
	f.Helper()
	if c.Name == "" {
		c.Name = tier
	}
	if c.By == "" {
		c.By = oncall
	}
	result, err := f.store.Command(f.ctx, c)
	if err != nil || result.Err != nil {
		f.Fatalf("%v: error %v, result's error %v", c.Action, err, result.Err)
	}
	f.saw(result.Snapshot)
	return result
}

func (f *fixture) do(a store.Action) store.Result {
	f.Helper()
	return f.command(store.Command{Action: a})
}

func (f *fixture) force(a store.Action, d time.Duration) store.Result {
	f.Helper()
	return f.command(store.Command{Action: a, For: d})
}

func (f *fixture) retune(p store.Policy, d time.Duration) store.Result {
	f.Helper()
	return f.command(store.Command{Action: store.Retune, Policy: p, For: d})
}

func (f *fixture) remove() {
	f.Helper()
	if err := f.store.Remove(f.ctx, tier); err != nil {
		f.Fatalf("Remove: %v", err)
	}
}

// readAll reads the named breakers, or all.
func (f *fixture) readAll(names ...string) []store.Snapshot {
	f.Helper()
	snapshots, err := f.store.Read(f.ctx, names...)
	if err != nil {
		f.Fatalf("Read: %v", err)
	}
	return snapshots
}

func (f *fixture) read() store.Snapshot {
	f.Helper()
	snapshots := f.readAll(tier)
	if len(snapshots) != 1 {
		f.Fatalf("Read of the tier gave %d snapshots", len(snapshots))
	}
	return snapshots[0]
}

func (f *fixture) versions(names ...string) []store.Version {
	f.Helper()
	versions, err := f.store.Versions(f.ctx, names...)
	if err != nil {
		f.Fatalf("Versions: %v", err)
	}
	return versions
}

func (f *fixture) roster() []store.Replica {
	f.Helper()
	roster, err := f.store.Roster(f.ctx, tier)
	if err != nil {
		f.Fatalf("Roster: %v", err)
	}
	return roster
}

// member is the roster's entry of a replica, or the zero value.
func (f *fixture) member(replica string) store.Replica {
	f.Helper()
	for _, r := range f.roster() {
		if r.Name == replica {
			return r
		}
	}
	return store.Replica{}
}

func (f *fixture) history() []store.Transition {
	f.Helper()
	history, err := f.store.History(f.ctx, tier, 0)
	if err != nil {
		f.Fatalf("History: %v", err)
	}
	return history
}

// newest is the history's first entry, which must be there.
func (f *fixture) newest() store.Transition {
	f.Helper()
	history := f.history()
	if len(history) == 0 {
		f.Fatalf("the history is empty")
	}
	return history[0]
}

// knownFrom is what a replica holds that saw s just now.
func knownFrom(s store.Snapshot) store.Known {
	return store.Known{
		Generation: s.Generation, Rev: s.Rev, State: s.State, Reason: s.Reason, Cause: s.Cause, RetryIn: s.RetryIn,
		Openings: s.Openings, Mode: s.Mode, ModeNote: s.ModeNote, Retuned: s.Retuned, Policy: retunedPolicy(s), PolicyNote: s.PolicyNote,
	}
}

func retunedPolicy(s store.Snapshot) store.Policy {
	if s.Retuned {
		return s.Policy
	}
	return store.Policy{}
}

// recall sends, as a replica, a sign of life that carries what it knows.
func (f *fixture) recall(replica string, k store.Known) store.Result {
	f.Helper()
	r := f.report(replica)
	r.Known = k
	return f.send(r)
}

// wipe makes the store forget everything; this fixture's replicas know nothing either.
func (f *fixture) wipe() {
	f.Helper()
	f.h.Wipe(f.TB)
	clear(f.gens)
	f.store = f.open() // a harness that began again shows the new state on new handles only; a tombstone there shows nowhere
}

func (f *fixture) wantState(want store.State) {
	f.Helper()
	same(f, "state", f.read().State, want)
}

func (f *fixture) wantWindow(calls, failures, slow, consecutive int) {
	f.Helper()
	same(f, "window", f.read().Window, store.Tally{Calls: calls, Failures: failures, Slow: slow, Consecutive: consecutive})
}

// wantUnchanged does something and wants everything that can be read to stay as it was.
func (f *fixture) wantUnchanged(doing string, do func()) {
	f.Helper()
	before := f.everything()
	do()
	same(f, "after "+doing+", what the store shows", f.everything(), before)
}

// everything is all that can be read about the tier, now.
func (f *fixture) everything() string {
	f.Helper()
	return fmt.Sprintf("%+v\n%+v\n%+v\n%+v", f.readAll(tier), f.versions(tier), f.roster(), f.history())
}

func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%s", what, strings.Join(differences(reflect.ValueOf(&got).Elem(), reflect.ValueOf(&want).Elem(), ""), "\n"))
	}
}

func truly(t testing.TB, what string, holds bool) {
	t.Helper()
	if !holds {
		t.Errorf("not so: %s", what)
	}
}
