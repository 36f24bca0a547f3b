package memorystore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var policy = store.Policy{ConsecutiveFailures: 1}

func report(name, replica string, seq uint64, runs ...store.Run) store.Report {
	return store.Report{Name: name, Policy: policy, Replica: replica, Seq: seq, MaxAge: time.Second, Runs: runs}
}

func ok(n int) store.Run  { return store.Run{Outcome: store.Success, Count: n} }
func bad(n int) store.Run { return store.Run{Outcome: store.Failure, Count: n, Label: "timeout"} }

func command(tb testing.TB, s *memorystore.Store, name string, action store.Action) store.Result {
	tb.Helper()
	result, err := s.Command(context.Background(), store.Command{Name: name, Action: action, By: "oncall"})
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

func TestSyncGivesOneResultAReportInOrder(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	results := s.Sync(context.Background(), []store.Report{
		report("b", "web-1", 1, ok(1)),
		report("", "web-1", 1),
		report("a", "web-1", 1, bad(1)),
		report("b", "web-1", 2, ok(2)),
	})
	if len(results) != 4 {
		t.Fatalf("%d results", len(results))
	}
	if !errors.Is(results[1].Err, store.ErrName) {
		t.Errorf("the bad one: %v", results[1].Err)
	}
	for i, want := range map[int]string{0: "b", 2: "a", 3: "b"} {
		if results[i].Err != nil || results[i].Snapshot.Name != want {
			t.Errorf("result %d: %+v", i, results[i])
		}
	}
	if got := results[3].Snapshot.Totals.Calls; got != 3 {
		t.Errorf("calls of b: %d, want 3", got)
	}
	if results[2].Made == nil || results[2].Made.To != store.Open {
		t.Errorf("a: %+v", results[2])
	}
}

func TestReadingMakesNothing(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	ctx := context.Background()
	for range 2 {
		if got, err := s.Read(ctx, "nobody"); len(got) != 0 || err != nil {
			t.Errorf("Read: %v, %v", got, err)
		}
		if got, err := s.Versions(ctx, "nobody"); len(got) != 0 || err != nil {
			t.Errorf("Versions: %v, %v", got, err)
		}
		if got, err := s.Roster(ctx, "nobody"); len(got) != 0 || err != nil {
			t.Errorf("Roster: %v, %v", got, err)
		}
		if got, err := s.History(ctx, "nobody", 0); len(got) != 0 || err != nil {
			t.Errorf("History: %v, %v", got, err)
		}
		if err := s.Remove(ctx, "nobody"); err != nil {
			t.Errorf("Remove: %v", err)
		}
		if _, err := s.Command(ctx, store.Command{Name: "nobody", Action: store.Trip, By: "oncall"}); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("Command: %v", err)
		}
		result, err := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "nobody"}, Replica: "web-1", Outcome: store.Success})
		if result.Snapshot.Name != "nobody" || err != nil {
			t.Errorf("Settle: %+v, %v", result, err)
		}
		refused := report("nobody", "web-1", 1)
		refused.Known.Generation = store.MaxNumber
		if err := s.Sync(ctx, []store.Report{refused})[0].Err; !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Sync: %v", err)
		}
	}
	if n := memorystore.Entries(s); n != 0 {
		t.Errorf("%d entries are kept", n)
	}
}

func TestReadIsInTheOrderAskedOrByName(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	ctx := context.Background()
	for _, name := range []string{"b", "c", "a"} {
		s.Sync(ctx, []store.Report{report(name, "web-1", 1)})
	}
	names := func(snapshots []store.Snapshot, err error) (out []string) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range snapshots {
			out = append(out, s.Name)
		}
		return out
	}
	if got := names(s.Read(ctx)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("all: %q", got)
	}
	if got := names(s.Read(ctx, "c", "?", "", "a")); !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("asked: %q", got)
	}
	if got, err := s.Versions(ctx); len(got) != 0 || err != nil {
		t.Errorf("no versions were asked for: %v, %v", got, err)
	}
	if got, _ := s.Versions(ctx, "c", "?", "a"); len(got) != 2 || got[0].Name != "c" {
		t.Errorf("versions: %v", got)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	ctx := context.Background()
	_, claim := s.Claim(ctx, store.Claim{Name: "a", ID: "c", Replica: "web-1"})
	_, settle := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "a"}, Replica: "web-1"})
	_, command := s.Command(ctx, store.Command{Name: "a", Action: store.Trip})
	for verb, err := range map[string]error{"Claim": claim, "Settle": settle, "Command": command} {
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if n := memorystore.Entries(s); n != 0 {
		t.Errorf("%d entries are kept", n)
	}
}

// verbs calls each verb and gives its error.
func verbs(ctx context.Context, s *memorystore.Store) map[string]error {
	out := map[string]error{}
	for i, result := range s.Sync(ctx, []store.Report{report("a", "web-1", 1), report("", "", 1)}) {
		out[fmt.Sprint("Sync ", i)] = result.Err
	}
	_, out["Claim"] = s.Claim(ctx, store.Claim{Name: "a", ID: "c", Replica: "web-1", Want: 1})
	_, out["Settle"] = s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "a"}, Replica: "web-1", Outcome: store.Success})
	_, out["Command"] = s.Command(ctx, store.Command{Name: "a", Action: store.Trip, By: "oncall"})
	_, out["Read"] = s.Read(ctx)
	_, out["Versions"] = s.Versions(ctx, "a")
	_, out["Roster"] = s.Roster(ctx, "a")
	_, out["History"] = s.History(ctx, "a", 0)
	out["Watch"] = s.Watch(ctx, func(store.Event) {})
	out["Remove"] = s.Remove(ctx, "a")
	out["Ping"] = s.Ping(ctx)
	return out
}

func TestAfterCloseEveryVerbSaysSo(t *testing.T) {
	s := memorystore.New()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for verb, err := range verbs(context.Background(), s) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestAnEndedContextIsObeyed(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for verb, err := range verbs(ctx, s) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if n := memorystore.Entries(s); n != 0 {
		t.Errorf("%d entries were made", n)
	}
}

func TestNilArgumentsPanicWithASentence(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	for name, call := range map[string]func(){
		"context": func() { _ = s.Ping(nil) }, //nolint:staticcheck // it is what is tested
		"watcher": func() { _ = s.Watch(context.Background(), nil) },
		"clock":   func() { memorystore.WithClock(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); len(text) < 20 {
					t.Errorf("got %q", text)
				}
			}()
			call()
		})
	}
}

func TestItSaysWhatItIs(t *testing.T) {
	s := memorystore.New()
	defer s.Close()
	if got := s.Info(); got != (store.Info{Kind: "memory"}) {
		t.Errorf("info: %+v", got)
	}
	if s.Lane("a") != 0 || s.Lane("b") != 0 {
		t.Error("one process is one lane")
	}
	if err := s.Ping(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestATripIsNeverLostBetweenReplicas: two replicas report at once, one of them failing; the trip must not be overwritten by the
// other's view of a closed breaker.
func TestATripIsNeverLostBetweenReplicas(t *testing.T) {
	const rounds = 200
	s := memorystore.New()
	defer s.Close()
	ctx := context.Background()
	for round := range rounds {
		name := fmt.Sprint("tier-", round)
		var wg sync.WaitGroup
		for i, run := range []store.Run{ok(1), bad(1), ok(1)} {
			wg.Go(func() {
				s.Sync(ctx, []store.Report{report(name, fmt.Sprint("web-", i), 1, run)})
			})
		}
		wg.Wait()
		got, _ := s.Read(ctx, name)
		if got[0].State != store.Open {
			t.Fatal("the trip got lost")
		}
		if all := got[0].Totals; all.Calls+all.Late != 3 {
			t.Fatalf("totals: %+v", all)
		}
	}
}

// TestExactlyProbesAreLeasedWhenAllAskAtOnce: a thousand claims at the end of the open time are answered with as many
// leases as the policy has probes.
func TestExactlyProbesAreLeasedWhenAllAskAtOnce(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := memorystore.New(memorystore.WithClock(func() time.Time { return now }))
	defer s.Close()
	ctx := context.Background()
	s.Sync(ctx, []store.Report{report("tier", "web-0", 1, bad(1))})
	now = now.Add(time.Hour)
	var mu sync.Mutex
	var leases []store.Lease
	made := 0
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			grant, err := s.Claim(ctx, store.Claim{
				Name: "tier", ID: fmt.Sprint("c", i), Policy: policy, Replica: fmt.Sprint("web-", i%4), Want: 2,
			})
			if err != nil {
				t.Error(err)
			}
			if len(grant.Leases) == 0 && (grant.RetryIn < 100*time.Millisecond || grant.RetryIn > 150*time.Millisecond) {
				t.Error("ask again in", grant.RetryIn)
			}
			mu.Lock()
			defer mu.Unlock()
			leases = append(leases, grant.Leases...)
			if grant.Made != nil {
				made++
			}
		})
	}
	wg.Wait()
	if len(leases) != 3 || made != 1 {
		t.Errorf("%d leases, want 3; %d made the transition, want 1", len(leases), made)
	}
}

func TestEverythingAtOnce(t *testing.T) {
	s := memorystore.New()
	ctx := context.Background()
	var wg sync.WaitGroup
	watching := make(chan struct{})
	var once sync.Once
	wg.Go(func() {
		err := s.Watch(ctx, func(e store.Event) {
			once.Do(func() { close(watching) })
			_, _ = s.Read(ctx, e.Transition.Name)
		})
		if !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
	<-watching
	var load sync.WaitGroup
	for worker := range 8 {
		load.Go(func() {
			replica := fmt.Sprint("web-", worker)
			for i := range 300 {
				name := fmt.Sprint("tier-", i%5)
				result := s.Sync(ctx, []store.Report{report(name, replica, uint64(i+1), ok(1), bad(1))})[0]
				if result.Err != nil {
					t.Error(result.Err)
				}
				grant, _ := s.Claim(ctx, store.Claim{Name: name, ID: fmt.Sprint(replica, i), Policy: policy, Replica: replica, Want: 1})
				for _, l := range grant.Leases {
					_, _ = s.Settle(ctx, store.Settlement{Lease: l, Replica: replica, Outcome: store.Success})
				}
				switch i % 7 {
				case 0:
					_, _ = s.Command(ctx, store.Command{Name: name, Action: store.Reset, By: "oncall"})
				case 1:
					_ = s.Remove(ctx, name)
				case 2:
					_, _ = s.Read(ctx)
				case 3:
					_, _ = s.History(ctx, name, 3)
				}
			}
		})
	}
	load.Wait()
	_ = s.Close()
	wg.Wait()
}
