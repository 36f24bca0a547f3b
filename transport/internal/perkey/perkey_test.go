package perkey

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestWhatFailsToRegisterTakesNoPlace(t *testing.T) {
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := New(m, "test:", 1)
	for _, key := range []string{"a", "b", Shared} {
		if _, err := b.Get(t.Context(), key); !errors.Is(err, breaker.ErrClosed) {
			t.Errorf("%q: %v, want that the manager is closed", key, err)
		}
		if len(b.slots) != 0 || len(*b.known.Load()) != 0 {
			t.Errorf("%q holds a place: %v", key, b.slots)
		}
	}
}

func TestAKeyThatIsMetAgainTakesNoSecondPlace(t *testing.T) {
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(t.Context()) }()
	b := New(m, "test:", 2)
	for range 3 {
		for _, key := range []string{"a", "b"} {
			got, err := b.Get(t.Context(), key)
			if err != nil || got.Name() != "test:"+key {
				t.Fatalf("%q: %v, %v", key, got, err)
			}
		}
	}
	if got := testing.AllocsPerRun(100, func() { _, _ = b.Get(t.Context(), "a") }); got != 0 {
		t.Errorf("a key that is known costs %v allocations, want none", got)
	}
}

func TestAKeyThatIsBeingRegisteredKeepsItsPlaceForOthersWhoAsk(t *testing.T) {
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(t.Context()) }()
	b := New(m, "test:", 1)
	if !b.hold("a") { // a first caller has got so far
		t.Fatal("there is no place")
	}
	for key, want := range map[string]string{"a": "test:a", "b": "test:*"} {
		if got, err := b.Get(t.Context(), key); err != nil || got.Name() != want {
			t.Errorf("%q: %v, %v; want %s", key, got, err, want)
		}
	}
	b.release("a") // the first caller failed after all
	if got, err := b.Get(t.Context(), "a"); err != nil || got.Name() != "test:a" || len(b.slots) != 1 {
		t.Errorf("what one caller registered was given up with the other's failure: %v, %v, %v", got, err, b.slots)
	}
}

// hung is a remote store that answers nothing.
type hung struct{ store.Store }

func (hung) Info() store.Info { return store.Info{Kind: "hung", Remote: true} }

func (hung) Sync(ctx context.Context, reports []store.Report) []store.Result {
	<-ctx.Done()
	results := make([]store.Result, len(reports))
	for i := range results {
		results[i].Err = ctx.Err()
	}
	return results
}

// A store that hangs must not hold up the first call of each host for as long as a service may wait at its start.
func TestAStoreThatHangsHoldsUpAFirstCallForAShortTimeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timing := breaker.Timing{StartTimeout: time.Minute, StaleAfter: 5 * time.Minute}
		m, err := breaker.NewManager(hung{memorystore.New()}, breaker.WithTiming(timing))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close(t.Context()) }() // what is pending cannot be reported
		b := New(m, "test:", 1)
		began := time.Now()
		var got [2]*breaker.Breaker
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				var err error
				if got[i], err = b.Get(t.Context(), "a"); err != nil {
					t.Errorf("a store that hangs is the caller's error: %v", err)
				}
			})
		}
		wg.Wait()
		if waited := time.Since(began); waited > Patience {
			t.Errorf("the first calls waited %v, want at most %v", waited, Patience)
		}
		if got[0] != got[1] {
			t.Error("two first calls have two breakers")
		}
	})
}
