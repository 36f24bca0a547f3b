package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/lab/process"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestMain(m *testing.M) { Main(m) }

// A replica does what it is told, halts, goes on, and ends in both ways. This is what the scenarios stand on.
func TestAReplicaIsDrivenByLines(t *testing.T) {
	server := redistest.Start(t)
	var called tier.Tier
	config := Config{
		URL: server.URL(), Name: "web-1", Breaker: "tier", Policy: store.Policy{ConsecutiveFailures: 3}, Tier: ServeTier(t, &called),
	}
	r := Start(t, config)
	if calls := r.Do(Request{Do: Call, N: 4}).Calls; calls.Made != 4 || calls.Admitted != 4 || calls.Broken != 0 {
		t.Errorf("4 calls of a well tier: %+v", calls)
	}
	if n := len(called.Ledger().Of(r.Name())); n != 4 {
		t.Errorf("the tier has seen %d calls, want 4", n)
	}
	r.Do(Request{Do: Call, N: 3, Fail: true})
	r.Do(Request{Do: Sync})
	await.Until(t, "the replica hears that it opened the breaker", func() bool {
		for _, e := range r.Events() {
			if e.Transition.To == store.Open && e.Transition.Cause == r.Name() {
				return true
			}
		}
		return false
	})
	if p := r.Do(Request{Do: Acquire}).Permit; p.Admitted || p.Refusal != "open" {
		t.Errorf("an open breaker says %+v", p)
	}
	r.Do(Request{Do: Command, Command: &store.Command{Action: store.Reset, By: "test"}})
	if p := r.Do(Request{Do: Acquire}).Permit; !p.Admitted || p.Probe {
		t.Errorf("a closed breaker says %+v", p)
	}

	r.Stop()
	answer := r.Send(Request{Do: Status})
	r.Cont()
	if _, err := answer(); err != nil {
		t.Errorf("a replica that was halted and goes on gives %v", err)
	}
	if _, err := r.Try(Request{Do: Skew}); err == nil {
		t.Error("a replica that is not built for it moves its clock")
	}

	r.Do(Request{Do: Load, Workers: 2, Every: time.Millisecond})
	await.Until(t, "the load calls", func() bool { return r.Do(Request{Do: Stats}).Calls.Made > 20 })
	closed := r.Term()
	if closed.Error != "" || closed.Calls.Made < 20 || closed.State.Pending != 0 {
		t.Errorf("the end by SIGTERM left %+v", closed)
	}
	if _, err := r.Try(Request{Do: Status}); !errors.Is(err, process.ErrEnded) {
		t.Errorf("a replica that has ended gives %v", err)
	}

	config.Name = "web-2"
	other := Start(t, config)
	other.Kill()
	if _, err := other.Try(Request{Do: Status}); !errors.Is(err, process.ErrEnded) {
		t.Errorf("a replica that was killed gives %v", err)
	}
}
