package breaker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// TestAKnownThatNoClockCanHaveMadeHealsWithinAMinute: the store's clock jumps a month ahead and back, and then the store loses
// its memory. What the replicas know is then beyond what it takes from anybody.
func TestAKnownThatNoClockCanHaveMadeHealsWithinAMinute(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var ahead atomic.Int64
		f := newFleet(t)
		begin := func() *memorystore.Store {
			return memorystore.New(memorystore.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
		}
		f.backend.now.Store(begin())
		var heard events
		r := f.replica(breaker.WithPolicy(streak), breaker.WithListener(heard.hear))
		idle := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		defer idle.close()
		b, quiet := r.register(t, "tier"), idle.register(t, "tier")
		ahead.Store(int64(30 * 24 * time.Hour))
		time.Sleep(time.Second)
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		ahead.Store(0)
		time.Sleep(2 * time.Second)
		_ = f.backend.now.Swap(begin()).Close()

		wantState(t, b, breaker.Open)
		time.Sleep(5 * time.Second)
		if b.Status().DisownedFor == 0 {
			t.Errorf("while what it knows is refused, its status is %+v", b.Status())
		}
		late := make(chan error, 1)
		go func() {
			_, err := b.Command(t.Context(), breaker.Command{Action: breaker.Lift, By: "oncall"})
			late <- err
		}()
		for range 55 {
			time.Sleep(time.Second)
			_ = b.Run(t.Context(), succeed)
		}
		if err := <-late; err != nil {
			t.Errorf("a command meanwhile: %v", err)
		}
		for _, b := range []*breaker.Breaker{b, quiet} {
			if s := b.Status(); s.Fleet.Mode != store.Auto || s.State != breaker.Closed || s.Verdict != breaker.Fleet || s.DisownedFor != 0 {
				t.Errorf("a minute later its status is %+v", s)
			}
		}
		if n := b.Status().Events[breaker.EventClass{Kind: breaker.Disowned, Here: true}]; n != 1 {
			t.Errorf("it counts %v", b.Status().Events)
		}
		told := 0
		for _, e := range heard.all() {
			t.Log(e)
			if e.Kind == breaker.Disowned {
				told++
			}
		}
		if told != 1 {
			t.Errorf("listeners hear %v", heard.kinds())
		}
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, By: "oncall"}); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		wantState(t, b, breaker.Open)
		wantState(t, quiet, breaker.Open)
	})
}

func TestACommandWithoutADeadlineComesBackFromAStoreThatRefusesEverything(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		r.net.deny.Store(true) // before the store forgets, so that nothing heals it
		f.wipe()
		began := time.Now()
		_, err := b.Command(t.Context(), breaker.Command{Action: breaker.Trip, By: "oncall"})
		if took := time.Since(began); err == nil || took > 20*time.Second { // as long as a store may take to heal
			t.Errorf("it comes back after %v with %v", took, err)
		}
	})
}
