package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestALocalManagerJudgesInTheCaller(t *testing.T) {
	m, err := breaker.NewManager(memorystore.New(), breaker.WithPolicy(short))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	b, err := m.Register(t.Context(), "tier")
	if err != nil {
		t.Fatal(err)
	}
	times(3, func() { _ = b.Run(t.Context(), fail) })
	wantState(t, b, breaker.Open)
}

func TestALocalManagersSuccessesReachTheStoreByTheNextRefresh(t *testing.T) {
	// An operator's page that reads the store would show "0 calls" until the first failure.
	inVirtualTime(t, func(t *testing.T) {
		s := memorystore.New()
		m, err := breaker.NewManager(s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(t.Context())
		b, _ := m.Register(t.Context(), "tier")
		times(10, func() { _ = b.Run(t.Context(), succeed) })
		time.Sleep(1100 * time.Millisecond)
		if got, err := s.Read(t.Context(), "tier"); err != nil || got[0].Totals.Calls != 10 {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// started is how many goroutines of this test the package has started.
func started() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	own, _, _ := strings.Cut(string(stacks), "]:") // this goroutine's first line names the test's virtual time
	_, number, _ := strings.Cut(own, "synctest")
	n := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		if strings.Contains(head, "synctest"+number+"]") && strings.Contains(stack, "created by github.com/commontrip/commontrip/breaker.") {
			n++
		}
	}
	return n
}

func TestAManagerHasTwoGoroutinesAndOneALaneAtMost(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica()
		defer r.close()
		if got := started(); got != 0 {
			t.Fatalf("NewManager starts %d goroutines; want none before Register", got)
		}
		r.net.delay.Store(int64(5 * time.Millisecond))
		for i := range 50 {
			r.register(t, fmt.Sprint("tier-", i))
		}
		most := 0
		for range 100 {
			for _, name := range r.Names() {
				b, _ := r.Breaker(name)
				_ = b.Run(t.Context(), succeed)
			}
			time.Sleep(3 * time.Millisecond)
			most = max(most, started())
		}
		r.close()
		synctest.Wait()
		if left := started(); most != 3 || left != 0 {
			t.Fatalf("%d goroutines at most, %d left; want 3 and 0", most, left)
		}
	})
}

// twoLaneStore is a store of two parts, the second of which hangs.
type twoLaneStore struct {
	remoteStore
	hung *atomic.Bool
}

func (l twoLaneStore) Lane(name string) int {
	if strings.HasPrefix(name, "b") {
		return 1
	}
	return 0
}

func (l twoLaneStore) Sync(ctx context.Context, reports []store.Report) []store.Result {
	if l.hung.Load() && l.Lane(reports[0].Name) == 1 {
		<-ctx.Done()
		results := make([]store.Result, len(reports))
		for i := range results {
			results[i].Err = ctx.Err()
		}
		return results
	}
	return l.remoteStore.Sync(ctx, reports)
}

func (l twoLaneStore) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	if l.hung.Load() && l.Lane(names[0]) == 1 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return l.remoteStore.Versions(ctx, names...)
}

func TestAPartOfTheStoreThatHangsHoldsOnlyItsOwnBreakers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		s := twoLaneStore{remoteStore{newBackend(), &network{}}, &atomic.Bool{}}
		m, err := breaker.NewManager(s, breaker.WithPolicy(streak))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.hung.Store(false); _ = m.Close(context.Background()) }()
		a, _ := m.Register(t.Context(), "a")
		b, _ := m.Register(t.Context(), "b")
		s.hung.Store(true)
		time.Sleep(4 * time.Second)
		if a.Status().Verdict != breaker.Fleet || b.Status().Verdict != breaker.Own || m.Status().StoreUp {
			t.Fatalf("a %v, b %v", a.Status().Verdict, b.Status().Verdict)
		}
		times(5, func() { _ = a.Run(t.Context(), fail) })
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		wantState(t, a, breaker.Open)
	})
}

// refusingStore is a store that refuses the reports of one breaker.
type refusingStore struct {
	remoteStore
	refuse *atomic.Value
}

func (p refusingStore) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results := p.remoteStore.Sync(ctx, reports)
	for i := range reports {
		if reports[i].Name == p.refuse.Load() {
			results[i] = store.Result{Err: errors.New("WRONGTYPE")}
		}
	}
	return results
}

func TestOneBreakersErrorIsItsOwn(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		s := refusingStore{remoteStore{newBackend(), &network{}}, &atomic.Value{}}
		s.refuse.Store("")
		var heard events
		m, err := breaker.NewManager(s, breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.refuse.Store(""); _ = m.Close(context.Background()) }()
		a, _ := m.Register(t.Context(), "a")
		b, _ := m.Register(t.Context(), "b")
		s.refuse.Store("b")
		for range 50 {
			_, _ = a.Run(t.Context(), succeed), b.Run(t.Context(), succeed)
			time.Sleep(100 * time.Millisecond)
		}
		if a.Status().Verdict != breaker.Fleet || b.Status().Verdict != breaker.Own || !m.Status().StoreUp {
			t.Fatalf("a %v, b %v, %+v", a.Status().Verdict, b.Status().Verdict, m.Status().StoreUp)
		}
		if s.net.syncs.Load() > 300 {
			t.Fatalf("%d exchanges in 5 s: the refused one is sent without a pause", s.net.syncs.Load())
		}
		s.refuse.Store("")
		time.Sleep(2 * time.Second)
		if b.Status().Verdict != breaker.Fleet {
			t.Fatalf("%+v", b.Status())
		}
		got := heard.all()
		if len(got) != 2 || got[0].Kind != breaker.StoreLost || got[0].Name != "b" || got[0].Err == nil || got[1].Kind != breaker.StoreBack || got[1].Name != "b" {
			t.Fatalf("heard %v", got)
		}
	})
}

// wrongStore answers with nonsense.
type wrongStore struct {
	remoteStore
	lie *atomic.Value // func(*store.Snapshot)
}

func (l wrongStore) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results := l.remoteStore.Sync(ctx, reports)
	for i := range results {
		l.lie.Load().(func(*store.Snapshot))(&results[i].Snapshot)
	}
	if len(results) > 0 && results[0].Snapshot.Name == "short" {
		return results[:0]
	}
	return results
}

func TestAWrongAnswerCountsAsAFailure(t *testing.T) {
	for name, lie := range map[string]func(*store.Snapshot){
		"another name":    func(s *store.Snapshot) { s.Name = "another" },
		"no state":        func(s *store.Snapshot) { s.State = 7 },
		"no mode":         func(s *store.Snapshot) { s.Mode = 9 },
		"a huge number":   func(s *store.Snapshot) { s.Generation = 1 << 60 },
		"too few answers": func(s *store.Snapshot) { s.Name = "short" },
	} {
		inVirtualTime(t, func(t *testing.T) {
			s := wrongStore{remoteStore{newBackend(), &network{}}, &atomic.Value{}}
			s.lie.Store(func(*store.Snapshot) {})
			m, err := breaker.NewManager(s, breaker.WithPolicy(streak))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { s.lie.Store(func(*store.Snapshot) {}); _ = m.Close(context.Background()) }()
			b, _ := m.Register(t.Context(), "tier")
			s.lie.Store(lie)
			for range 60 {
				if err := b.Run(t.Context(), succeed); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if got := b.Status(); got.Verdict != breaker.Own || got.State != breaker.Closed {
				t.Fatalf("%s: %+v", name, got)
			}
		})
	}
}

func TestNegativeAndEndlessTimesOfAStoreAreCut(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		s := wrongStore{remoteStore{newBackend(), &network{}}, &atomic.Value{}}
		s.lie.Store(func(s *store.Snapshot) {
			s.State, s.Generation, s.RetryIn, s.Age, s.Openings = breaker.Open, 99, 1<<62, -5, -7
			s.Reason, s.Cause = "\n", "\x00"
		})
		m, err := breaker.NewManager(s, breaker.WithPolicy(streak))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		b, _ := m.Register(t.Context(), "tier")
		got := b.Status()
		if got.RetryAfter > 31*24*time.Hour || got.Fleet.Age < 0 || got.Fleet.Openings < 0 || got.Fleet.Cause != "" {
			t.Fatalf("%+v", got)
		}
	})
}

func TestCommandsAreInForceHereWhenTheyReturnAndEverywhereSoon(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		a, b := f.replica(breaker.WithPolicy(streak)), f.replica(breaker.WithPolicy(streak))
		defer a.close()
		defer b.close()
		x, y := a.register(t, "tier"), b.register(t, "tier")
		if _, err := a.Command(t.Context(), breaker.Command{Name: "tier", Action: breaker.ForceOpen, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		if got := refusal(x.Run(t.Context(), succeed)); got != breaker.RefusedForced || x.Status().Mode != breaker.ForcedOpen {
			t.Fatal(got)
		}
		var open *breaker.OpenError
		if errors.As(x.Run(t.Context(), succeed), &open); open.RetryAfter() != 10*time.Second {
			t.Fatalf("forced without end: ask again in %v; want OpenFor", open.RetryAfter())
		}
		synctest.Wait()
		if got := refusal(y.Run(t.Context(), succeed)); got != breaker.RefusedForced {
			t.Fatal(got)
		}
		if err := b.ResetAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := y.Command(t.Context(), breaker.Command{Action: breaker.Lift, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		p := streak
		p.ConsecutiveFailures = 1
		if s, err := x.Command(t.Context(), breaker.Command{Action: breaker.Retune, Policy: p, For: time.Minute, By: "oncall"}); err != nil || !s.Retuned {
			t.Fatal(err)
		}
		for name, c := range map[string]breaker.Command{
			"another name": {Name: "another", Action: breaker.Trip, By: "x"},
			"no operator":  {Action: breaker.Trip},
			"no action":    {By: "x"},
		} {
			if _, err := x.Command(t.Context(), c); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := a.Command(t.Context(), breaker.Command{Name: "another", Action: breaker.Trip, By: "x"}); !errors.Is(err, store.ErrUnknown) {
			t.Error(err)
		}
		time.Sleep(time.Minute + 100*time.Millisecond)
		if got := y.Status().Fleet; got.Retuned || got.Policy.ConsecutiveFailures != 5 {
			t.Fatalf("the retuned policy has not ended: %+v", got)
		}
	})
}

func TestStatusSnapshotsAndPollingWriteNothing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		times(5, func() { _ = b.Run(t.Context(), fail) })
		time.Sleep(11 * time.Second)
		before := f.read("tier")
		for range 100 {
			_, _, _ = b.State(), b.Status(), r.Status()
			if _, err := b.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Snapshots(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if after := f.read("tier"); after.State != breaker.Open || after.Generation != before.Generation {
			t.Fatalf("polling moved it: %+v", after)
		}
	})
}

func TestManyThingsAtOnceEndCleanly(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		s := remoteStore{newBackend(), &network{}}
		s.net.delay.Store(int64(time.Millisecond))
		m, err := breaker.NewManager(s, breaker.WithTiming(breaker.Timing{FlushInterval: time.Millisecond, RefreshInterval: 10 * time.Millisecond}),
			breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 3, OpenFor: time.Millisecond, Probes: 1, ProbeSuccesses: 1}), breaker.WithListener(func(breaker.Event) {}))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					manyThings(t.Context(), m, s.net)
					time.Sleep(rand.N(20 * time.Millisecond))
				}
			})
		}
		wg.Wait()
		s.net.down.Store(false)
		if err := m.Sync(t.Context()); err != nil { // what has waited for too long is lost now, and Close knows of none
			t.Fatal(err)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if names := m.Names(); !slices.IsSorted(names) {
			t.Fatal(names)
		}
	})
}

// manyThings calls one of four breakers a few times, and does something else to it or to the network.
func manyThings(ctx context.Context, m *breaker.Manager, net *network) {
	name := fmt.Sprint("tier-", rand.N(4))
	b, err := m.GetOrRegister(ctx, name)
	if err != nil {
		return
	}
	for range 20 {
		_ = b.Run(ctx, func(context.Context) error {
			if rand.N(3) == 0 {
				return nil
			}
			return errTier
		})
	}
	switch rand.N(10) {
	case 0:
		_ = m.Unregister(name)
	case 1:
		_ = m.ResetAll(ctx)
	case 2:
		_, _ = b.Command(ctx, breaker.Command{Action: breaker.ForceOpen, For: time.Millisecond, By: "x"})
	case 3:
		net.down.Store(rand.N(2) == 0)
	case 4:
		_ = m.Sync(ctx)
	}
}

func TestCloseInsideAListenerComesBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		closed := make(chan struct{})
		var m *breaker.Manager
		m, err := breaker.NewManager(memorystore.New(), breaker.WithPolicy(short), breaker.WithListener(func(breaker.Event) {
			_ = m.Close(context.Background())
			close(closed)
		}))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.Register(t.Context(), "tier")
		times(3, func() { _ = b.Run(t.Context(), fail) })
		<-closed
	})
}

func TestAnIdleManagerStaysLiveWithOneExchangeAHeartbeat(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		r := f.replica(breaker.WithListener(heard.hear))
		defer r.close()
		r.net.delay.Store(int64(700 * time.Millisecond))
		b := r.register(t, "tier")
		time.Sleep(10 * time.Minute)
		if got := r.net.reads.Load() + r.net.syncs.Load(); got > 700 {
			t.Fatalf("%d exchanges in ten idle minutes", got)
		}
		if len(heard.all()) != 0 || b.Status().Verdict != breaker.Fleet {
			t.Fatalf("heard %v", heard.all())
		}
	})
}

func TestAfterCloseALocalStoreGoesOnAndItsProbesAreSettled(t *testing.T) {
	// The context of settlements ended with the Manager: each probe's place was held until its lease ended.
	inVirtualTime(t, func(t *testing.T) {
		m, err := breaker.NewManager(memorystore.New(), breaker.WithPolicy(streak))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.Register(t.Context(), "tier")
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		times(5, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Open)
		time.Sleep(10 * time.Second)
		times(2, func() { _ = b.Run(t.Context(), succeed) })
		wantState(t, b, breaker.Closed)
		if got := b.Status(); got.Verdict != breaker.Fleet || got.Fleet.State != breaker.Closed || got.Fleet.Probing != 0 {
			t.Fatalf("%+v", got)
		}
	})
}

// unknowingStore answers each command with ErrUnknown.
type unknowingStore struct{ remoteStore }

func (unknowingStore) Command(context.Context, store.Command) (store.Result, error) {
	return store.Result{}, store.ErrUnknown
}

func TestACommandWhoseBreakerIsUnregisteredMeanwhileComesBack(t *testing.T) {
	// It waited for an exchange that never began, until its context ended.
	inVirtualTime(t, func(t *testing.T) {
		net := &network{}
		m, err := breaker.NewManager(unknowingStore{remoteStore{newBackend(), net}})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.Register(t.Context(), "tier")
		net.hung.Store(true)
		done := make(chan error, 1)
		go func() {
			_, err := b.Command(context.Background(), breaker.Command{Action: breaker.Reset, By: "me"})
			done <- err
		}()
		time.Sleep(100 * time.Millisecond)
		if err := m.Unregister("tier"); err != nil {
			t.Error(err)
		}
		net.hung.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		select {
		case err := <-done:
			if !errors.Is(err, store.ErrUnknown) {
				t.Error(err)
			}
		default:
			t.Error("it is still waiting")
		}
		_ = m.Close(context.Background())
	})
}

func TestTheHistoriesOfManyBreakersDelayNoReport(t *testing.T) {
	// Their histories were read one after the other in one exchange, and outcomes became too old meanwhile.
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		operator, r := f.replica(), f.replica(breaker.WithListener(heard.hear))
		defer operator.close()
		defer r.close()
		const many = 100
		for i := range many {
			name := fmt.Sprintf("tier-%d", i)
			operator.register(t, name)
			_ = r.register(t, name).Run(t.Context(), succeed)
		}
		b := r.register(t, "busy")
		r.net.deaf.Store(true)
		for _, name := range operator.Names() {
			for _, action := range []breaker.Action{breaker.Trip, breaker.Reset} {
				if _, err := operator.Command(t.Context(), breaker.Command{Name: name, Action: action, By: "me"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.net.delay.Store(int64(60 * time.Millisecond))
		for range 6000 {
			_ = b.Run(t.Context(), succeed)
			time.Sleep(2 * time.Millisecond)
		}
		if got := b.Status(); got.Lost != 0 || got.Fleet.Totals.Late != 0 || got.Pending > 1000 {
			t.Fatalf("lost %d, pending %d, late %d", got.Lost, got.Pending, got.Fleet.Totals.Late)
		}
		synctest.Wait()
		if got := len(heard.all()); got != 2*many {
			t.Fatalf("heard %d events", got)
		}
	})
}
