package storekit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
)

func open(t testing.TB, b storekit.Backend, opts ...storekit.Option) *storekit.Store {
	t.Helper()
	s, err := storekit.New(b, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func report(name, replica string, seq uint64, failures int) store.Report {
	r := store.Report{Name: name, Replica: replica, Seq: seq, MaxAge: time.Minute}
	if failures > 0 {
		r.Runs = []store.Run{{Outcome: store.Failure, Count: failures}}
	}
	return r
}

func tell(t testing.TB, s *storekit.Store, r store.Report) store.Result {
	t.Helper()
	result := s.Sync(t.Context(), []store.Report{r})[0]
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	return result
}

func command(t testing.TB, s *storekit.Store, name string, a store.Action) {
	t.Helper()
	if _, err := s.Command(t.Context(), store.Command{Name: name, Action: a, By: "oncall"}); err != nil {
		t.Fatal(err)
	}
}

func TestABadOptionIsRefusedWithItsRange(t *testing.T) {
	for want, option := range map[string]storekit.Option{
		"kind is empty":             storekit.WithKind(""),
		"timeout is 0s":             storekit.WithTimeout(0),
		"timeout is 2m0s":           storekit.WithTimeout(2 * time.Minute),
		"budget is 0":               storekit.WithBudget(0),
		"budget is 1000001":         storekit.WithBudget(1_000_001),
		"heartbeat is 9ms":          storekit.WithHeartbeat(9 * time.Millisecond),
		"heartbeat is 2m0s":         storekit.WithHeartbeat(2 * time.Minute),
		"greatest push is 63 bytes": storekit.WithMaxPush(63),
		"greatest push is -1 bytes": storekit.WithMaxPush(-1),
	} {
		if _, err := storekit.New(backend{newCASMap()}, option); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want ") {
			t.Errorf("the error is %v; want it to say %q and a range", err, want)
		}
	}
	s := open(t, backend{newCASMap()}, storekit.WithKind("map"))
	if got, want := s.Info(), (store.Info{Kind: "map", Remote: true}); got != want {
		t.Errorf("Info is %+v; want %+v", got, want)
	}
}

func TestAgainSpreadsTheBudgetOverTheReplicas(t *testing.T) {
	s := open(t, backend{newCASMap()}, storekit.WithBudget(10))
	for i, want := range []time.Duration{100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1000} {
		if got := tell(t, s, report("tier", fmt.Sprint("web-", i), 1, 0)).Again; got != want*time.Millisecond {
			t.Errorf("with %d replicas Again is %v; want %vms", i+1, got, int(want))
		}
	}
}

// A record that a newer release wrote, or that something spoilt, is that name's trouble only, and stays as it is.
// steps remembers how many names each step was about.
type steps struct {
	storekit.Backend
	sizes []int
}

func (b *steps) Step(ctx context.Context, names []string, judge storekit.Judge) error {
	b.sizes = append(b.sizes, len(names))
	return b.Backend.Step(ctx, names, judge)
}

func TestAStepHasABoundedNumberOfNames(t *testing.T) {
	seen := &steps{Backend: backend{newCASMap()}}
	s := open(t, seen)
	reports := make([]store.Report, storekit.MaxNames+3)
	for i := range reports {
		reports[i] = report(fmt.Sprintf("tier-%d", i), "a", 1, 1)
	}
	for i, result := range s.Sync(t.Context(), reports) {
		if result.Err != nil || result.Snapshot.Name != reports[i].Name {
			t.Fatalf("report %d got an answer about %q, %v", i, result.Snapshot.Name, result.Err)
		}
	}
	if !slices.Equal(seen.sizes, []int{storekit.MaxNames, 3}) {
		t.Errorf("the steps were about %v names, want %d and 3", seen.sizes, storekit.MaxNames)
	}
}

func TestARecordThatCannotBeReadIsItsOwnTrouble(t *testing.T) {
	server := newCASMap()
	s := open(t, backend{server})
	for _, name := range []string{"a", "b", "c"} {
		tell(t, s, report(name, "web-1", 1, 2))
	}
	spoilt := server.records["b"]
	spoilt.Data = append([]byte{99}, spoilt.Data...)
	server.swap(nil, storekit.Effect{Put: []storekit.Record{spoilt}})

	results := s.Sync(t.Context(), []store.Report{report("a", "web-1", 2, 1), report("b", "web-1", 2, 1), report("c", "web-1", 2, 1)})
	for i, wrong := range []bool{false, true, false} {
		if (results[i].Err != nil) != wrong {
			t.Errorf("report %d: %v", i, results[i].Err)
		}
	}
	if err := results[1].Err; !strings.Contains(err.Error(), `"b"`) || !strings.Contains(err.Error(), "schema 99") || errors.Is(err, store.ErrInvalid) {
		t.Errorf("the error is %v; want it to name the breaker and the schema", err)
	}
	_, claim := s.Claim(t.Context(), store.Claim{Name: "b", ID: "x", Replica: "web-1", Want: 1})
	_, settle := s.Settle(t.Context(), store.Settlement{Lease: store.Lease{Name: "b", ID: "x"}, Replica: "web-1", Outcome: store.Success})
	_, order := s.Command(t.Context(), store.Command{Name: "b", Action: store.Trip, By: "oncall"})
	_, roster := s.Roster(t.Context(), "b")
	_, history := s.History(t.Context(), "b", 0)
	for verb, err := range map[string]error{
		"Claim": claim, "Settle": settle, "Command": order, "Roster": roster, "History": history, "Remove": s.Remove(t.Context(), "b"),
	} {
		if err == nil || !strings.Contains(err.Error(), "schema 99") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if !slices.Equal(server.records["b"].Data, spoilt.Data) {
		t.Error("the record was changed")
	}
	snapshots, err := s.Read(t.Context())
	var unreadable *store.UnreadableError
	if !errors.As(err, &unreadable) || !slices.Equal(unreadable.Names, []string{"b"}) || len(snapshots) != 2 {
		t.Errorf("Read gives %d snapshots and %v; want two, and an UnreadableError about b", len(snapshots), err)
	}
}

// told collects what a Watch tells, until the test ends.
type told struct {
	mu     sync.Mutex
	events []store.Event
}

func watch(t *testing.T, s *storekit.Store) *told {
	v := &told{}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Watch(ctx, func(e store.Event) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.events = append(v.events, e)
		})
	}()
	t.Cleanup(func() { stop(); <-done })
	synctest.Wait()
	return v
}

// text is what was told so far, and forgets it: R for a Resync, the new state for a transition.
func (v *told) text() string {
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for _, e := range v.events {
		if e.Resync {
			out = append(out, "R")
		} else {
			out = append(out, e.Transition.To.String())
		}
	}
	v.events = nil
	return strings.Join(out, " ")
}

func (v *told) want(t *testing.T, what, want string) {
	t.Helper()
	if got := v.text(); got != want {
		t.Errorf("%s: the Watch was told %q; want %q", what, got, want)
	}
}

func TestAPushThatIsTooLongBecomesAResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newCASMap()
		s := open(t, backend{server}, storekit.WithMaxPush(64))
		v := watch(t, s)
		tell(t, s, report("tier", "web-1", 1, 5))
		v.want(t, "a short bound", "R R")
		v.want(t, "nothing more", "")
		free := open(t, backend{server})
		command(t, free, "tier", store.Reset)
		v.want(t, "no bound", "closed")
	})
}

func TestAPushThatCannotBeReadIsAResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newCASMap()
		v := watch(t, open(t, backend{server}))
		v.want(t, "at first", "R")
		for _, foreign := range []string{"", "hello", "[]", `{"transition":{"name":"a"},"snapshot":{"name":"b"}}`, `{"transition":{"name":"a"}}`, `{"snapshot":{"name":"a","state":"burning"}}`} {
			server.swap(nil, storekit.Effect{Push: [][]byte{[]byte(foreign)}})
			v.want(t, foreign, "R")
		}
	})
}

// deaf is a back end whose Follow can be made to hear nothing, or to end.
type deaf struct {
	backend
	silent  atomic.Bool
	follows atomic.Int64
	steps   atomic.Int64
	mu      sync.Mutex
	end     context.CancelFunc // of the Follow that runs
}

func (d *deaf) Step(ctx context.Context, names []string, judge storekit.Judge) error {
	d.steps.Add(1)
	return d.backend.Step(ctx, names, judge)
}

func (d *deaf) Follow(ctx context.Context, ready func(), push func([]byte)) error {
	d.follows.Add(1)
	ctx, end := context.WithCancel(ctx)
	defer end()
	d.mu.Lock()
	d.end = end
	d.mu.Unlock()
	return d.backend.Follow(ctx, func() {
		if !d.silent.Load() {
			ready()
		}
	}, func(data []byte) {
		if !d.silent.Load() {
			push(data)
		}
	})
}

func TestAConnectionThatEndsIsMadeAgainWithAResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{backend: backend{newCASMap()}}
		s := open(t, d)
		tell(t, s, report("tier", "web-1", 1, 0))
		v := watch(t, s)
		v.want(t, "at first", "R")
		for range 3 {
			d.mu.Lock()
			d.end()
			d.mu.Unlock()
			time.Sleep(time.Second)
			v.want(t, "after a lost connection", "R")
			command(t, s, "tier", store.Trip)
			v.want(t, "the new connection", "open")
		}
	})
}

func TestASilentConnectionIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{backend: backend{newCASMap()}}
		v := watch(t, open(t, d, storekit.WithHeartbeat(time.Second)))
		v.want(t, "at first", "R")
		time.Sleep(time.Hour)
		v.want(t, "in an hour of signs of life", "")
		if n := d.follows.Load(); n != 1 {
			t.Fatalf("%d connections; want one", n)
		}
		if n := d.steps.Load(); n < 3600 || n > 7200 {
			t.Errorf("%d signs of life in an hour; want one in 0.5 s to 1 s", n)
		}
		d.silent.Store(true)
		time.Sleep(3 * time.Second)
		if d.follows.Load() == 1 {
			t.Error("the silent connection was not noticed")
		}
		time.Sleep(time.Minute) // each new one never becomes ready
		v.want(t, "while all are silent", "")
		d.silent.Store(false)
		time.Sleep(10 * time.Second)
		v.want(t, "when one is not", "R")
	})
}

func TestASlowWatcherMissesAndIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, backend{newCASMap()})
		tell(t, s, report("tier", "web-1", 1, 0))
		release := make(chan struct{})
		var resyncs, transitions atomic.Int64
		done := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			defer close(done)
			_ = s.Watch(ctx, func(e store.Event) {
				if e.Resync {
					resyncs.Add(1)
				} else {
					transitions.Add(1)
				}
				<-release
			})
		}()
		synctest.Wait()
		for range 700 {
			command(t, s, "tier", store.Trip)
			command(t, s, "tier", store.Reset)
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		if resyncs.Load() != 2 || transitions.Load() >= 1400 {
			t.Errorf("%d Resyncs and %d transitions; want a second Resync for those that had no place", resyncs.Load(), transitions.Load())
		}
		stop()
		<-done
	})
}

// stuck is a back end that answers nothing.
type stuck struct{ backend }

func (stuck) Step(ctx context.Context, _ []string, _ storekit.Judge) error {
	<-ctx.Done()
	return errors.New("stuck")
}

func TestACallIsBoundedByTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, stuck{backend{newCASMap()}}, storekit.WithTimeout(5*time.Second))
		began := time.Now()
		err := s.Ping(context.Background())
		if took := time.Since(began); took != 5*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v; want DeadlineExceeded after 5 s", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		if _ = s.Ping(ctx); time.Since(began) != time.Minute {
			t.Errorf("with a deadline of its own it took %v; want 1 m", time.Since(began))
		}
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, stuck{backend{newCASMap()}})
		failed := make(chan error)
		go func() { failed <- s.Ping(context.Background()) }()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, store.ErrClosed) {
			t.Errorf("the call under way gives %v; want ErrClosed", err)
		}
	})
}

// A watcher that blocks, or that is the one who closes, does not keep Close waiting.
func TestCloseWaitsForNoWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, backend{newCASMap()})
		release, done := make(chan struct{}), make(chan error, 2)
		go func() { done <- s.Watch(context.Background(), func(store.Event) { <-release }) }()
		synctest.Wait()
		go func() { done <- s.Watch(context.Background(), func(store.Event) { _ = s.Close() }) }()
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("the Watch that closed its store returns %v; want ErrClosed", err)
		}
		close(release)
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("the Watch that was blocked returns %v; want ErrClosed", err)
		}
	})
}

func TestWhatIsOverIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newCASMap()
		s := open(t, backend{server})
		for _, name := range []string{"quiet", "open", "forced", "removed"} {
			tell(t, s, report(name, "web-1", 1, 0))
		}
		command(t, s, "open", store.Trip)
		command(t, s, "forced", store.ForceOpen)
		if err := s.Remove(t.Context(), "removed"); err != nil {
			t.Fatal(err)
		}
		seq := uint64(0)
		for _, c := range []struct {
			after time.Duration
			left  []string
		}{
			{59 * time.Minute, []string{"forced", "open", "other", "quiet", "removed"}},
			{10 * time.Minute, []string{"forced", "open", "other", "removed"}},
			{23 * time.Hour, []string{"forced", "open", "other", "removed"}},
			{time.Hour, []string{"forced", "other", "removed"}},
			{23 * time.Hour, []string{"forced", "other"}},
			{10000 * time.Hour, []string{"forced", "other"}},
		} {
			time.Sleep(c.after)
			seq++
			tell(t, s, report("other", "web-1", seq, 0))
			if got := server.names(); !slices.Equal(got, c.left) {
				t.Errorf("after %v more the back end keeps %q; want %q", c.after, got, c.left)
			}
		}
	})
}
