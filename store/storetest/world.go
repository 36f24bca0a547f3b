package storetest

import (
	"context"
	"fmt"
	"reflect"
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

// world is what a law plays with: a store, its clock, and replicas that number their reports as real ones do.
type world struct {
	testing.TB
	ctx    context.Context
	h      Harness
	clock  *clock
	store  store.Store
	policy store.Policy         // what reports and claims carry
	seqs   map[[2]string]uint64 // the last Seq by breaker and replica
	gens   map[string]uint64    // the newest generation by breaker that an answer showed
	claims int                  // IDs given so far
}

func newWorld(t testing.TB, h Harness) *world {
	w := &world{
		TB: t, ctx: context.Background(), h: h, clock: newClock(), policy: store.DefaultPolicy(),
		seqs: map[[2]string]uint64{}, gens: map[string]uint64{},
	}
	w.store = w.open()
	return w
}

// open gives another replica's handle, on the same clock.
func (w *world) open() store.Store {
	w.Helper()
	s := w.h.Open(w.TB, w.clock.Now)
	w.Cleanup(func() { _ = s.Close() })
	return s
}

// another is another handle, if the harness gives more than one.
func (w *world) another() (handle store.Store, ok bool) {
	w.Helper()
	handle = w.open()
	return handle, handle != w.store
}

// on gives the same world seen through another handle.
func (w *world) on(s store.Store) *world {
	other := *w
	other.store = s
	return &other
}

// after lets d pass; a negative d steps the clock back.
func (w *world) after(d time.Duration) { w.clock.step(d) }

// at moves the clock to d after the law's start.
func (w *world) at(d time.Duration) { w.clock.moveTo(d) }

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

// report is the next report of a replica on the tier, in the newest generation that this world saw.
func (w *world) report(replica string, runs ...store.Run) store.Report {
	return w.reportOn(tier, replica, runs...)
}

func (w *world) reportOn(name, replica string, runs ...store.Run) store.Report {
	key := [2]string{name, replica}
	w.seqs[key]++
	return store.Report{
		Name: name, Policy: w.policy, Replica: replica, Seq: w.seqs[key], Generation: w.gens[name],
		MaxAge: maxAge, Runs: runs,
	}
}

// sync sends a report and gives its result, which may be an error.
func (w *world) sync(r store.Report) store.Result {
	w.Helper()
	results := w.store.Sync(w.ctx, []store.Report{r})
	if len(results) != 1 {
		w.Fatalf("Sync of one report gave %d results", len(results))
	}
	w.saw(results[0].Snapshot)
	return results[0]
}

// send is sync where no error is expected.
func (w *world) send(r store.Report) store.Result {
	w.Helper()
	result := w.sync(r)
	if result.Err != nil {
		w.Fatalf("report %d of %s: %v", r.Seq, r.Replica, result.Err)
	}
	return result
}

func (w *world) saw(s store.Snapshot) { w.gens[s.Name] = max(w.gens[s.Name], s.Generation) }

func (w *world) tell(replica string, runs ...store.Run) store.Result {
	w.Helper()
	return w.send(w.report(replica, runs...))
}

func (w *world) fail(n int) store.Result    { w.Helper(); return w.tell("a", failures(n)) }
func (w *world) succeed(n int) store.Result { w.Helper(); return w.tell("a", successes(n)) }

// touch runs a script that says nothing: a sign of life.
func (w *world) touch() store.Result { w.Helper(); return w.tell("a") }

// trip opens the tier by the streak rule of its policy.
func (w *world) trip() store.Result {
	w.Helper()
	result := w.fail(max(w.policy.ConsecutiveFailures, 1))
	if result.Snapshot.State != store.Open {
		w.Fatalf("%d failures in a row left the breaker %v", w.policy.ConsecutiveFailures, result.Snapshot.State)
	}
	return result
}

// probe opens the tier, lets its time pass and claims, as a replica, so many leases.
func (w *world) probe(replica string, want int) []store.Lease {
	w.Helper()
	w.trip()
	w.after(w.read().RetryIn)
	return w.leases(replica, want)
}

func (w *world) request(replica string, want int) store.Claim {
	w.claims++
	return store.Claim{Name: tier, ID: fmt.Sprintf("claim-%d", w.claims), Policy: w.policy, Replica: replica, Want: want}
}

func (w *world) claim(replica string, want int) store.Grant {
	w.Helper()
	return w.ask(w.request(replica, want))
}

func (w *world) ask(c store.Claim) store.Grant {
	w.Helper()
	g, err := w.store.Claim(w.ctx, c)
	if err != nil {
		w.Fatalf("claim %s of %s: %v", c.ID, c.Replica, err)
	}
	w.saw(g.Snapshot)
	return g
}

// leases claims exactly so many.
func (w *world) leases(replica string, want int) []store.Lease {
	w.Helper()
	g := w.claim(replica, want)
	if len(g.Leases) != want {
		w.Fatalf("%s claimed %d leases and got %d (ask again in %v)", replica, want, len(g.Leases), g.RetryIn)
	}
	return g.Leases
}

func (w *world) lease(replica string) store.Lease { w.Helper(); return w.leases(replica, 1)[0] }

func (w *world) settle(replica string, l store.Lease, o store.Outcome) store.Result {
	w.Helper()
	return w.settleAs(store.Settlement{Lease: l, Replica: replica, Outcome: o})
}

func (w *world) settleAs(s store.Settlement) store.Result {
	w.Helper()
	result, err := w.store.Settle(w.ctx, s)
	if err != nil || result.Err != nil {
		w.Fatalf("%s settles as %v: error %v, result's error %v", s.Replica, s.Outcome, err, result.Err)
	}
	w.saw(result.Snapshot)
	return result
}

// command carries out c on the tier, by oncall where c does not say.
func (w *world) command(c store.Command) store.Result {
	w.Helper()
	if c.Name == "" {
		c.Name = tier
	}
	if c.By == "" {
		c.By = oncall
	}
	result, err := w.store.Command(w.ctx, c)
	if err != nil || result.Err != nil {
		w.Fatalf("%v: error %v, result's error %v", c.Action, err, result.Err)
	}
	w.saw(result.Snapshot)
	return result
}

func (w *world) do(a store.Action) store.Result {
	w.Helper()
	return w.command(store.Command{Action: a})
}

func (w *world) force(a store.Action, d time.Duration) store.Result {
	w.Helper()
	return w.command(store.Command{Action: a, For: d})
}

func (w *world) retune(p store.Policy, d time.Duration) store.Result {
	w.Helper()
	return w.command(store.Command{Action: store.Retune, Policy: p, For: d})
}

func (w *world) remove() {
	w.Helper()
	if err := w.store.Remove(w.ctx, tier); err != nil {
		w.Fatalf("Remove: %v", err)
	}
}

// readAll reads the named breakers, or all.
func (w *world) readAll(names ...string) []store.Snapshot {
	w.Helper()
	snapshots, err := w.store.Read(w.ctx, names...)
	if err != nil {
		w.Fatalf("Read: %v", err)
	}
	return snapshots
}

func (w *world) read() store.Snapshot {
	w.Helper()
	snapshots := w.readAll(tier)
	if len(snapshots) != 1 {
		w.Fatalf("Read of the tier gave %d snapshots", len(snapshots))
	}
	return snapshots[0]
}

func (w *world) versions(names ...string) []store.Version {
	w.Helper()
	versions, err := w.store.Versions(w.ctx, names...)
	if err != nil {
		w.Fatalf("Versions: %v", err)
	}
	return versions
}

func (w *world) roster() []store.Replica {
	w.Helper()
	roster, err := w.store.Roster(w.ctx, tier)
	if err != nil {
		w.Fatalf("Roster: %v", err)
	}
	return roster
}

// member is the roster's entry of a replica, or the zero value.
func (w *world) member(replica string) store.Replica {
	w.Helper()
	for _, r := range w.roster() {
		if r.Name == replica {
			return r
		}
	}
	return store.Replica{}
}

func (w *world) history() []store.Transition {
	w.Helper()
	history, err := w.store.History(w.ctx, tier, 0)
	if err != nil {
		w.Fatalf("History: %v", err)
	}
	return history
}

// newest is the history's first entry, which must be there.
func (w *world) newest() store.Transition {
	w.Helper()
	history := w.history()
	if len(history) == 0 {
		w.Fatalf("the history is empty")
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
func (w *world) recall(replica string, k store.Known) store.Result {
	w.Helper()
	r := w.report(replica)
	r.Known = k
	return w.send(r)
}

// wipe makes the store forget everything; this world's replicas know nothing either.
func (w *world) wipe() {
	w.Helper()
	w.h.Wipe(w.TB)
	clear(w.gens)
	w.store = w.open() // a harness that began anew shows the new state on new handles only; a tombstone there shows nowhere
}

func (w *world) wantState(want store.State) {
	w.Helper()
	same(w, "state", w.read().State, want)
}

func (w *world) wantWindow(calls, failures, slow, consecutive int) {
	w.Helper()
	same(w, "window", w.read().Window, store.Tally{Calls: calls, Failures: failures, Slow: slow, Consecutive: consecutive})
}

// wantUnchanged does something and wants everything that can be read to stay as it was.
func (w *world) wantUnchanged(doing string, do func()) {
	w.Helper()
	before := w.everything()
	do()
	same(w, "after "+doing+", what the store shows", w.everything(), before)
}

// everything is all that can be read about the tier, now.
func (w *world) everything() string {
	w.Helper()
	return fmt.Sprintf("%+v\n%+v\n%+v\n%+v", w.readAll(tier), w.versions(tier), w.roster(), w.history())
}

func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func truly(t testing.TB, what string, holds bool) {
	t.Helper()
	if !holds {
		t.Errorf("not so: %s", what)
	}
}
