package perkey

import (
	"errors"
	"testing"

	"github.com/commontrip/commontrip/breaker"
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
