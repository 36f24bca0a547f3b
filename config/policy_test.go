package config_test

import (
	"context"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

const shared = "CIRCUIT_BREAKER_STORE_URL=redis://db"

// inForce is the policy of the breaker of that name, on a store that is shared or not.
func inForce(t *testing.T, c config.Config, fleet bool, name string, opts ...breaker.Option) store.Policy {
	t.Helper()
	var s store.Store = memorystore.New()
	if fleet {
		s = memorystore.NewLink(memorystore.New())
	}
	m, err := breaker.NewManager(s, c.ManagerOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	b, err := m.Register(t.Context(), name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if fleet {
		if err := m.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got.Policy
}

// FAILURE_THRESHOLD=5, its documented default, took the rate and the second reporter away from a fleet.
func TestEachVariableSetsItsOwnFieldOfTheDefaultPolicyInUse(t *testing.T) {
	type change = func(*store.Policy)
	for variable, change := range map[string]change{
		"FAILURE_THRESHOLD=5": func(*store.Policy) {},
		"FAILURE_THRESHOLD=7": func(p *store.Policy) { p.ConsecutiveFailures = 7 },
		"FAILURE_RATE=0.3":    func(p *store.Policy) { p.FailureRate = 0.3 },
		"CONSECUTIVE_FOR=3":   func(p *store.Policy) { p.ConsecutiveFor = 3 * time.Second },
		"MIN_CALLS=7":         func(p *store.Policy) { p.MinCalls = 7 },
		"REPORTERS=3":         func(p *store.Policy) { p.Reporters = 3 },
		"OPEN_FOR=7":          func(p *store.Policy) { p.OpenFor, p.OpenForMax = 7*time.Second, 7*time.Second },
		"WINDOW_CALLS=200":    func(p *store.Policy) { p.WindowCalls = 200 },
		"WINDOW_TIME=60":      func(p *store.Policy) { p.WindowCalls, p.WindowTime = 0, time.Minute },
		"SLOW_CALL_AFTER=1":   func(p *store.Policy) { p.SlowCallAfter = time.Second },
		"OBSERVE=true":        func(p *store.Policy) { p.Observe = true },
		"SUCCESS_THRESHOLD=3": func(p *store.Policy) { p.ProbeSuccesses = 3 },
		"RAMP_UP=3":           func(p *store.Policy) { p.RampUp = 3 * time.Second },
	} {
		for fleet, base := range map[bool]store.Policy{false: store.DefaultPolicy(), true: store.FleetPolicy()} {
			want := base
			change(&want)
			for _, prefix := range []string{"CIRCUIT_BREAKER_", "CIRCUIT_BREAKER__MCP__"} {
				environ := []string{prefix + variable}
				if fleet {
					environ = append(environ, shared)
				}
				c := good(t, environ...)
				if got := inForce(t, c, fleet, "mcp", breaker.WithPolicy(c.PolicyFor("mcp"))); got != want {
					t.Errorf("%q:\n%+v; want\n%+v", environ, got, want)
				}
				others := want
				if prefix != "CIRCUIT_BREAKER_" {
					others = base
				}
				if got := inForce(t, c, fleet, "other"); got != others {
					t.Errorf("%q, another breaker:\n%+v; want\n%+v", environ, got, others)
				}
			}
		}
	}
}

func TestAZeroThatMeansOffIsAFieldLikeAnother(t *testing.T) {
	type change = func(*store.Policy)
	for variable, change := range map[string]change{
		"FAILURE_THRESHOLD=0": func(p *store.Policy) { p.ConsecutiveFailures = 0 },
		"FAILURE_RATE=0":      func(p *store.Policy) { p.FailureRate = 0 },
		"CONSECUTIVE_FOR=0":   func(p *store.Policy) { p.ConsecutiveFor = 0 },
	} {
		for _, prefix := range []string{"CIRCUIT_BREAKER_", "CIRCUIT_BREAKER__MCP__"} {
			want := store.FleetPolicy()
			change(&want)
			c := good(t, shared, prefix+variable)
			if got := inForce(t, c, true, "mcp", breaker.WithPolicy(c.PolicyFor("mcp"))); got != want {
				t.Errorf("%s%s:\n%+v; want\n%+v", prefix, variable, got, want)
			}
		}
	}
}

func TestTheSharesNeedNoMoreCallsThanTheWindowHas(t *testing.T) {
	c := good(t, shared, "CIRCUIT_BREAKER_WINDOW_CALLS=8", "CIRCUIT_BREAKER_FAILURE_RATE=0.3")
	want := store.FleetPolicy()
	want.WindowCalls, want.MinCalls, want.FailureRate = 8, 8, 0.3
	if got := inForce(t, c, true, "mcp"); got != want {
		t.Errorf("%+v; want\n%+v", got, want)
	}
}

// Who opens a shared store by other means than the variable says so.
func TestTheDefaultRuleItselfIsNoChangeOnAnyStore(t *testing.T) {
	c := good(t, "CIRCUIT_BREAKER_FAILURE_THRESHOLD=5")
	if got := inForce(t, c, true, "mcp", breaker.WithPolicy(c.PolicyFor("mcp"))); got != store.FleetPolicy() {
		t.Errorf("%+v", got)
	}
	c = good(t, "CIRCUIT_BREAKER_FAILURE_THRESHOLD=7")
	c.Store.URL = "redis://db"
	want := store.FleetPolicy()
	want.ConsecutiveFailures = 7
	if got := inForce(t, c, true, "mcp", breaker.WithPolicy(c.PolicyFor("mcp"))); got != want {
		t.Errorf("%+v", got)
	}
}
