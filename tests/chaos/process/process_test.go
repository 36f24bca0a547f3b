package process

import (
	"errors"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica/wire"
	"github.com/commontrip/commontrip/tests/chaos/tier"
	"github.com/commontrip/commontrip/tests/redistest"
)

// A replica does what it is told, halts, goes on, and ends in both ways. This is what the scenarios stand on.
func TestAReplicaIsDrivenByLines(t *testing.T) {
	server := redistest.Start(t)
	var called tier.Tier
	config := wire.Config{
		URL: server.URL(), Name: "web-1", Breaker: tierName, Policy: store.Policy{ConsecutiveFailures: 3}, Tier: called.Serve(t),
	}
	r := Start(t, config)
	if calls := r.Do(wire.Request{Do: wire.Call, N: 4}).Calls; calls.Made != 4 || calls.Admitted != 4 || calls.Broken != 0 {
		t.Errorf("4 calls of a well tier: %+v", calls)
	}
	if n := len(called.Ledger().Of(r.Name())); n != 4 {
		t.Errorf("the tier has seen %d calls, want 4", n)
	}
	r.Do(wire.Request{Do: wire.Call, N: 3, Fail: true})
	r.Do(wire.Request{Do: wire.Sync})
	await.Until(t, "the replica hears that it opened the breaker", func() bool {
		for _, e := range r.Events() {
			if e.Transition.To == store.Open && e.Transition.Cause == r.Name() {
				return true
			}
		}
		return false
	})
	if p := r.Do(wire.Request{Do: wire.Acquire}).Permit; p.Admitted || p.Refusal != "open" {
		t.Errorf("an open breaker says %+v", p)
	}
	r.Do(wire.Request{Do: wire.Command, Command: &store.Command{Action: store.Reset, By: "test"}})
	if p := r.Do(wire.Request{Do: wire.Acquire}).Permit; !p.Admitted || p.Probe {
		t.Errorf("a closed breaker says %+v", p)
	}

	r.Stop()
	answer := r.Send(wire.Request{Do: wire.Status})
	select {
	case line := <-answer:
		t.Fatalf("a halted replica says %+v", line)
	case <-time.After(100 * time.Millisecond):
	}
	r.Cont()
	<-answer
	if _, err := r.Try(wire.Request{Do: wire.Skew}); err == nil {
		t.Error("a replica that is not built for it moves its clock")
	}

	r.Do(wire.Request{Do: wire.Load, Workers: 2, Every: time.Millisecond})
	await.Until(t, "the load calls", func() bool { return r.Do(wire.Request{Do: wire.Stats}).Calls.Made > 20 })
	closed := r.Term()
	if closed.Error != "" || closed.Calls.Made < 20 || closed.State.Pending != 0 {
		t.Errorf("the end by SIGTERM left %+v", closed)
	}
	if _, err := r.Try(wire.Request{Do: wire.Status}); !errors.Is(err, ErrGone) {
		t.Errorf("a replica that has ended gives %v", err)
	}

	config.Name = "web-2"
	other := Start(t, config)
	other.Kill()
	if _, err := other.Try(wire.Request{Do: wire.Status}); !errors.Is(err, ErrGone) {
		t.Errorf("a replica that was killed gives %v", err)
	}
}
