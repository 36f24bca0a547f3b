package chaos

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// Two releases with different policies share a breaker: one policy is in force, the other is shown as a conflict, and
// reports do not turn it over.
func TestScenario32TwoReleases(t *testing.T) {
	scenario := scoreboard.Start(t, 32, "policy, config, version: two releases")
	old, young := calm, calm
	young.ConsecutiveFailures, young.OpenFor = 9, time.Hour
	h := newHarness(t, scenario, plan{replicas: 6, names: names(2), policyOf: func(i int) store.Policy {
		return []store.Policy{old, young}[i%2]
	}})
	h.load(5 * time.Millisecond)
	h.converge()
	before := h.read(h.names[0])
	for _, r := range h.fleet {
		h.eventually(r.Name+" shows the conflict", func() bool {
			return r.Breaker(h.names[0]).Status().Fleet.PolicyConflict && r.Count(ofKind(breaker.PolicyConflict)) > 0
		})
	}
	pass(scoreboard.Pick(scenario, 2*time.Second, time.Minute))
	after := h.read(h.names[0])
	turned, apart := 0, 0
	if after.Rev != before.Rev || after.Policy != before.Policy || after.Policy != young.WithDefaults() {
		turned++
		t.Logf("from %+v to %+v", before, after)
	}
	for _, r := range h.fleet {
		if r.Breaker(h.names[0]).Status().Fleet.Policy != after.Policy {
			apart++
		}
	}
	scenario.Zero("policies turned over by reports", turned)
	scenario.Zero("replicas on another policy", apart)
	scenario.Within("converged", h.converge(), 2*refresh)
	h.promised()
}

// The hash is of a newer schema, and of one that never was: replicas of this release leave it as it is, say why, and
// stand on their own.
func TestScenario32AnotherSchema(t *testing.T) {
	scenario := scoreboard.Start(t, 32, "policy, config, version: another schema")
	h := newHarness(t, scenario, plan{replicas: 3, names: names(3), policy: calm})
	h.load(5 * time.Millisecond)
	forced, strange := h.names[0], h.names[1]
	h.reach(h.command(store.Command{Name: forced, Action: store.ForceOpen}))
	h.converge()
	reached, impolite, changed := h.reached(forced), 0, 0
	for _, schema := range []string{"2", "0", "99999"} {
		for _, name := range []string{forced, strange} {
			h.do("hset", key(name), "v", schema)
		}
		before := fmt.Sprint(h.redis.HGetAll(t.Context(), key(strange)).Val())
		for verb, ask := range asked(t.Context(), h.truth, strange) {
			err := ask()
			if verb == "read" || verb == "versions" || verb == "roster" || verb == "history" || verb == "remove" {
				continue // no script of ours, or of another breaker
			}
			if err == nil || !strings.Contains(err.Error(), "COMMONTRIP") {
				impolite++
				t.Logf("schema %s: %s: %v", schema, verb, err)
			}
		}
		for _, r := range h.fleet {
			h.eventually(r.Name+" stands on its own verdict there, and nowhere else", func() bool {
				return r.Breaker(strange).Status().Verdict == breaker.Own && r.Breaker(h.names[2]).Status().Verdict == breaker.Fleet
			})
		}
		if now := fmt.Sprint(h.redis.HGetAll(t.Context(), key(strange)).Val()); now != before {
			changed++
			t.Logf("from %s to %s", before, now)
		}
		for _, name := range []string{forced, strange} {
			h.do("hset", key(name), "v", "1")
		}
		scenario.Within("converged", h.converge(), 2*refresh)
	}
	scenario.Zero("verbs that do not say which schema they met", impolite)
	scenario.Zero("hashes of another schema changed", changed)
	scenario.Zero("calls through a breaker that is forced open", h.reached(forced)-reached)
	scenario.Zero("wrong verdicts", h.unasked())
	h.promised()
}

// fuzzed is a policy of numbers that nobody means, in some of its fields.
func fuzzed(rng *rand.Rand) store.Policy {
	p := []store.Policy{{}, store.DefaultPolicy(), store.FleetPolicy()}[rng.IntN(3)]
	v := reflect.ValueOf(&p).Elem()
	for range 1 + rng.IntN(4) {
		switch f := v.Field(rng.IntN(v.NumField())); f.Kind() {
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Float64:
			f.SetFloat([]float64{0, 1e-300, 1e-5, 0.00004, 0.5, 1, 1.0000001, -1, math.NaN(), math.Inf(1), math.MaxFloat64}[rng.IntN(11)])
		default:
			f.SetInt([]int64{
				0, 1, -1, 2, 999, 1000, 10_000, 10_001, 1 << 31, math.MaxInt64, math.MinInt64, int64(time.Millisecond), int64(time.Second),
				int64(24 * time.Hour), int64(24*time.Hour) + 1, int64(time.Hour), rng.Int64N(1 << 40),
			}[rng.IntN(17)])
		}
	}
	return p
}

// A policy is refused at the door, with field, value and range, or it is what the store keeps and gives back.
func TestScenario32Policies(t *testing.T) {
	scenario := scoreboard.Start(t, 32, "policy, config, version: policies at the door")
	s := open(t, redistest.Start(t).URL())
	m, err := breaker.NewManager(s, breaker.WithTiming(breaker.Timing{StartTimeout: time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	rng, refused, accepted, wordless, unsafe := scenario.Rand(), 0, 0, 0, 0
	for n := range scoreboard.Pick(scenario, 2000, 50_000) {
		p, name := fuzzed(rng), fmt.Sprint("p-", n)
		bad := p.Validate()
		_, err := breaker.New(name, breaker.WithPolicy(p))
		report := store.Report{Name: name, Policy: p, Replica: "r#1", Seq: 1, MaxAge: time.Second, Runs: []store.Run{{Outcome: store.Failure, Count: 3}}}
		r := s.Sync(t.Context(), []store.Report{report})[0]
		if bad != nil {
			refused++
			var told *store.PolicyError
			if !errors.As(bad, &told) || told.Field == "" || told.Value == "" || told.Range == "" || !errors.Is(r.Err, store.ErrInvalid) || err == nil {
				wordless++
				t.Logf("%+v: %v; breaker.New: %v; Sync: %v", p, bad, err, r.Err)
			}
			continue
		}
		accepted++
		if got := r.Snapshot.Policy; r.Err != nil || err != nil || got != p.WithDefaults() || got.Validate() != nil || got != got.WithDefaults() {
			unsafe++
			t.Logf("%+v: %+v, %v, %v", p, got, r.Err, err)
		}
	}
	scenario.AtLeast("refused", refused, 100)
	scenario.AtLeast("accepted", accepted, 100)
	scenario.Zero("refused without field, value and range, or by one door only", wordless)
	scenario.Zero("accepted but changed, or unsafe", unsafe)
}

// The environment says anything: what is wrong is said by name, and what is accepted is a policy, a timing and a retry
// that validate.
func TestScenario32Environments(t *testing.T) {
	scenario := scoreboard.Start(t, 32, "policy, config, version: environments")
	rng, refused, accepted, wordless, unsafe := scenario.Rand(), 0, 0, 0, 0
	words := []string{
		"", "0", "-1", "1", "5", "30", "1e-300", "NaN", "Inf", "2147483648", "9223372036854775808", "250ms", "1ns", "-5s", "1000000h",
		"0.5", "50%", "true", "maybe", "own-verdict", "\x00", "redis://user:canary@host:6379", strings.Repeat("9", 400),
	}
	variables := config.Variables()
	for range scoreboard.Pick(scenario, 2000, 500_000) {
		var env []string
		for range 1 + rng.IntN(3) {
			env = append(env, variables[rng.IntN(len(variables))].Name+"="+words[rng.IntN(len(words))])
		}
		c, err := config.From(env)
		if err != nil {
			refused++
			var told *config.Error
			if !errors.As(err, &told) || told.Variable == "" || told.Want == "" || strings.Contains(err.Error(), "canary") {
				wordless++
				t.Logf("%q: %v", env, err)
			}
			continue
		}
		accepted++
		if c.PolicyFor("x").Validate() != nil || c.Timing.Validate() != nil || c.Retry.Validate() != nil || c.Health.Validate() != nil {
			unsafe++
			t.Logf("%q: %+v", env, c)
		}
	}
	scenario.AtLeast("refused", refused, 100)
	scenario.AtLeast("accepted", accepted, 100)
	scenario.Zero("refused without a word, or with a secret in it", wordless)
	scenario.Zero("accepted but unsafe", unsafe)
}
