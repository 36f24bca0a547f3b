package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// A Manager with ten thousand outcomes to report is closed, twice at once, while calls go on and its Redis is well, takes half
// a second for each report, or hangs. Close returns by its deadline, says what it could not report, and the calls go on.
func TestScenario09CloseUnderFire(t *testing.T) {
	scenario := scoreboard.Start(t, 9, "Close under fire")
	for _, fire := range []struct {
		name    string
		closeBy time.Duration
		light   func(*redistest.Server, *respfault.Proxy)
	}{
		{"well", replica.Deadline, func(*redistest.Server, *respfault.Proxy) {}},
		{"slow", 2 * time.Second, func(_ *redistest.Server, p *respfault.Proxy) {
			p.On(respfault.Sync, respfault.Rule{Wait: 500 * time.Millisecond})
		}},
		{"hung", 2 * time.Second, func(s *redistest.Server, _ *respfault.Proxy) { s.Stop() }},
	} {
		left := closeUnderFire(t, scenario, fire.name, fire.closeBy, fire.light)
		if fire.name == "well" {
			scenario.Zero("well: outcomes that were not reported", left)
		}
	}
}

func closeUnderFire(t *testing.T, scenario *scoreboard.Scenario, fire string, closeBy time.Duration, light func(*redistest.Server, *respfault.Proxy)) (left int) {
	t.Helper()
	const outcomes, grace = 10_000, 10 * time.Second
	server := redistest.Start(t)
	proxy := respfault.Start(t, server.Addr())
	fleet := operator(t, server.URL())
	b, m := joinManager(t, proxy.URL(), "web-1", tierName, breaker.WithPolicy(store.Policy{ConsecutiveFailures: 1_000_000}),
		breaker.WithErrorLabel(func(err error) string { return err.Error() }),
		breaker.WithTiming(breaker.Timing{FlushInterval: 900 * time.Millisecond, StaleAfter: replica.Deadline / 2, StartTimeout: replica.Deadline}))
	caller := underFire{b: b}
	light(server, proxy)
	for i := range outcomes {
		caller.call(fmt.Errorf("label %d", i/3%2)) // three outcomes a run: as many as may wait
	}
	before, lostBefore := caller.finished.Load(), b.Status().Lost
	var calling, closing sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		calling.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					caller.call(nil)
				}
			}
		})
	}
	var said [2]error
	var took [2]time.Duration
	start := time.Now()
	for i := range said {
		closing.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), closeBy)
			defer cancel()
			said[i] = m.Close(ctx)
			took[i] = time.Since(start)
		})
	}
	closing.Wait()
	afterClose := caller.finished.Load()
	await.Until(t, "calls go on after Close", func() bool { return caller.finished.Load() > afterClose+100 })
	close(stop)
	calling.Wait()
	proxy.Heal()
	server.Cont()

	name := func(s string) string { return fmt.Sprintf("%s: %s", fire, s) }
	over, silent := 0, 0
	for _, d := range took {
		if d > closeBy+grace {
			over++
		}
	}
	left = int(b.Status().Lost - lostBefore)
	if left > 0 && !strings.Contains(fmt.Sprint(errors.Join(said[:]...)), "not reported") {
		silent++
		t.Logf("%s: Close said %v", fire, said)
	}
	now := truth(t, fleet)
	known := now.Totals.Calls + now.Totals.Late + b.Status().Lost
	scenario.Zero(name("Closes over their deadline"), over)
	scenario.Zero(name("Closes that did not say what is left"), silent)
	scenario.Zero(name("outcomes lost silently"), missing(before, known))
	scenario.Zero(name("calls refused or failed by us"), int(caller.broken.Load()))
	scenario.Report(name("outcomes that Close could not report, and said so"), left)
	scenario.Within(name("longest Close"), max(took[0], took[1]), closeBy+100*time.Millisecond)
	return left
}

// underFire calls, and tells what comes of it.
type underFire struct {
	b                *breaker.Breaker
	finished, broken atomic.Uint64
}

func (u *underFire) call(result error) {
	if err := u.b.Run(context.Background(), func(context.Context) error { return result }); !errors.Is(err, result) {
		u.broken.Add(1)
	}
	u.finished.Add(1)
}
