package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// verdicts counts what the checker said.
type verdicts struct {
	legal, illegal, undecided  int
	requests, unknown, granted int
	longest                    time.Duration
}

// histories plays n of them on one server, whose breakers are made under the policy p, or until so many were illegal. A
// check may take so long.
func histories(t *testing.T, scenario *scoreboard.Scenario, n, illegal int, within time.Duration, p store.Policy, breakIt func(store.Store) store.Store) (v verdicts) {
	t.Helper()
	srv := redistest.Start(t)
	pool, rng := connect(t, srv.SocketURL(), breakIt), scenario.Rand()
	for i := 0; i < n && v.illegal < illegal; i++ {
		h := &history{t: t, handles: pool}
		for j := range h.names {
			h.names[j] = fmt.Sprintf("tier-%d-%d", i, j)
		}
		first := h.first(p)
		h.play(rng, 200)
		began := time.Now()
		verdict := h.check(first, within)
		v.longest = max(v.longest, time.Since(began))
		switch verdict {
		case porcupine.Ok:
			v.legal++
		case porcupine.Illegal:
			v.illegal++
		default:
			v.undecided++
		}
		for _, op := range h.ops {
			v.requests++
			out := op.Output.(reply)
			if out.unknown {
				v.unknown++
			}
			v.granted += len(out.leases)
		}
	}
	return v
}

func itself(s store.Store) store.Store { return s }

func TestScenario29LeasesAndCommandsAreLinearizable(t *testing.T) {
	scenario := scoreboard.Start(t, 29, "lease linearizability")
	n := scoreboard.Pick(scenario, 50, 500)
	v := histories(t, scenario, n, n, 2*time.Minute, linearPolicy, itself)
	scenario.AtLeast("histories", v.legal+v.illegal+v.undecided, n)
	scenario.Report("clients", clients)
	scenario.Report("requests", v.requests)
	scenario.Report("of them without a reply, or carried out twice", v.unknown)
	scenario.AtLeast("leases granted", v.granted, n)
	scenario.Zero("histories that no order explains", v.illegal)
	scenario.Zero("histories that the checker gave up", v.undecided)
	scenario.Report("the longest check", v.longest)
}

// Stores that break the rules, so that the checker is seen to see it.
func TestScenario29FaultyStoresAreCaught(t *testing.T) {
	scenario := scoreboard.Start(t, 29, "lease linearizability: faulty stores")
	generous := linearPolicy
	generous.Probes++
	n := scoreboard.Pick(scenario, 1, 10)
	for _, faulty := range []struct {
		name    string
		policy  store.Policy
		breakIt func(store.Store) store.Store
	}{
		{"one place too many", generous, itself},
		{"failed probes count as successes", linearPolicy, func(s store.Store) store.Store { return eager{s} }},
		{"commands are carried out twice", linearPolicy, func(s store.Store) store.Store { return zealous{s} }},
	} {
		v := histories(t, scenario, 50, n, 5*time.Second, faulty.policy, faulty.breakIt)
		scenario.AtLeast("histories that show it: "+faulty.name, v.illegal, n)
		scenario.Report("of so many played", v.legal+v.illegal+v.undecided)
	}
}

// eager takes whatever a probe says for a success.
type eager struct{ store.Store }

func (e eager) Settle(ctx context.Context, s store.Settlement) (store.Result, error) {
	s.Outcome = store.Success
	return e.Store.Settle(ctx, s)
}

// zealous carries out every command twice.
type zealous struct{ store.Store }

func (z zealous) Command(ctx context.Context, c store.Command) (store.Result, error) {
	if result, err := z.Store.Command(ctx, c); err != nil {
		return result, err
	}
	return z.Store.Command(ctx, c)
}
