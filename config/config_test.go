package config_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestAnEmptyEnvironmentGivesTheDefaultsAndAnEmptyPolicy(t *testing.T) {
	want := config.Config{
		Timing: breaker.Timing{}.WithDefaults(),
		Retry:  retry.Policy{}.WithDefaults(),
		Health: health.Config{}.WithDefaults(),
		Store:  config.Store{Prefix: "commontrip", Timeout: time.Second},
	}
	for _, environ := range [][]string{nil, {}, {"PATH=/bin", "CIRCUIT=1", "no equals sign", "=C:=C:\\"}} {
		c := good(t, environ...)
		if got := c.PolicyFor("any"); got != (store.Policy{}) {
			t.Errorf("policy: %+v", got)
		}
		c.Unknown = slices.Clip(c.Unknown)
		if c.Policy != want.Policy || c.Timing != want.Timing || c.Retry != want.Retry || c.Health != want.Health || c.Store != want.Store || c.Unknown != nil || c.Replica != "" || c.StoreDown != breaker.OwnVerdict {
			t.Errorf("%q: %+v", environ, c)
		}
	}
}

func TestTheOldNamesKeepTheirMeaning(t *testing.T) {
	c := good(t,
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=7",
		"CIRCUIT_BREAKER_RECOVERY_TIMEOUT=45.5",
		"CIRCUIT_BREAKER_HALF_OPEN_CALLS=4",
		"CIRCUIT_BREAKER_SUCCESS_THRESHOLD=6",
		"MAX_RETRY_ATTEMPTS=8",
		"RETRY_BASE_DELAY=0.25",
		"RETRY_MAX_DELAY=12.5",
		"RETRY_EXPONENTIAL_BASE=1.5",
		"RETRY_JITTER_ENABLED=false",
		"HEALTH_CHECK_INTERVAL=15",
		"HEALTH_CHECK_TIMEOUT=2.5",
	)
	wantPolicy := store.Policy{ConsecutiveFailures: 7, OpenFor: 45500 * time.Millisecond, Probes: 4, ProbeSuccesses: 6}
	wantRetry := retry.Policy{Attempts: 8, Delay: 250 * time.Millisecond, MaxDelay: 12500 * time.Millisecond, Multiplier: 1.5, Jitter: retry.NoJitter}.WithDefaults()
	wantHealth := health.Config{Interval: 15 * time.Second, Timeout: 2500 * time.Millisecond}.WithDefaults()
	if c.Policy != wantPolicy || c.Retry != wantRetry || c.Health != wantHealth {
		t.Errorf("policy %+v\nretry %+v\nhealth %+v", c.Policy, c.Retry, c.Health)
	}
}

func TestEveryOtherFieldIsReadByItsName(t *testing.T) {
	c := good(t,
		"CIRCUIT_BREAKER_WINDOW_TIME=20",
		"CIRCUIT_BREAKER_CONSECUTIVE_FOR=1.5",
		"CIRCUIT_BREAKER_FAILURE_RATE=0.5",
		"CIRCUIT_BREAKER_SLOW_CALL_RATE=.25",
		"CIRCUIT_BREAKER_SLOW_CALL_AFTER=250ms",
		"CIRCUIT_BREAKER_MIN_CALLS=30",
		"CIRCUIT_BREAKER_REPORTERS=2",
		"CIRCUIT_BREAKER_OPEN_FOR=1m",
		"CIRCUIT_BREAKER_OPEN_FOR_MAX=1h30m",
		"CIRCUIT_BREAKER_PROBES=9",
		"CIRCUIT_BREAKER_PROBE_SUCCESSES=10",
		"CIRCUIT_BREAKER_CONSECUTIVE_FAILURES=11",
		"CIRCUIT_BREAKER_PROBE_LEASE=5",
		"CIRCUIT_BREAKER_RAMP_UP=120",
		"CIRCUIT_BREAKER_OBSERVE=TRUE",
		"CIRCUIT_BREAKER_FLUSH_INTERVAL=0.05",
		"CIRCUIT_BREAKER_REFRESH_INTERVAL=2",
		"CIRCUIT_BREAKER_STALE_AFTER=4",
		"CIRCUIT_BREAKER_START_TIMEOUT=5",
		"CIRCUIT_BREAKER_CLAIM_TIMEOUT=0.2",
		"CIRCUIT_BREAKER_STORE_DOWN=reject-all",
		"CIRCUIT_BREAKER_REPLICA= web-7 ",
		"CIRCUIT_BREAKER_STORE_URL=rediss://db:6380/2",
		"CIRCUIT_BREAKER_STORE_PREFIX=payments-prod",
		"CIRCUIT_BREAKER_STORE_TIMEOUT=0.5",
		"RETRY_ATTEMPTS=2", "RETRY_DELAY=3", "RETRY_MULTIPLIER=1",
		"RETRY_JITTER=equal", "RETRY_MAX_RETRY_AFTER=6", "RETRY_MAX_REFUSAL=4", "RETRY_ATTEMPT_TIMEOUT=7", "RETRY_MAX_ELAPSED=8",
		"HEALTH_CHECK_DOWN_AFTER=4", "HEALTH_CHECK_UP_AFTER=5",
	)
	want := config.Config{
		Policy: store.Policy{
			WindowTime: 20 * time.Second, ConsecutiveFailures: 11, ConsecutiveFor: 1500 * time.Millisecond, FailureRate: 0.5,
			SlowCallRate: 0.25, SlowCallAfter: 250 * time.Millisecond, MinCalls: 30, Reporters: 2, OpenFor: time.Minute,
			OpenForMax: 90 * time.Minute, Probes: 9, ProbeSuccesses: 10, ProbeLease: 5 * time.Second,
			RampUp: 2 * time.Minute, Observe: true,
		},
		Timing: breaker.Timing{
			FlushInterval: 50 * time.Millisecond, RefreshInterval: 2 * time.Second, StaleAfter: 4 * time.Second,
			StartTimeout: 5 * time.Second, ClaimTimeout: 200 * time.Millisecond,
		},
		StoreDown: breaker.RejectAll,
		Replica:   "web-7",
		Retry: retry.Policy{
			Attempts: 2, Delay: 3 * time.Second, MaxDelay: 60 * time.Second, Multiplier: 1, Jitter: retry.EqualJitter,
			MaxRetryAfter: 6 * time.Second, MaxRefusal: 4 * time.Second, AttemptTimeout: 7 * time.Second, MaxElapsed: 8 * time.Second,
		},
		Health: health.Config{Interval: 30 * time.Second, Timeout: 10 * time.Second, DownAfter: 4, UpAfter: 5},
		Store:  config.Store{URL: "rediss://db:6380/2", Prefix: "payments-prod", Timeout: 500 * time.Millisecond},
	}
	if !reflect.DeepEqual(c.Policy, want.Policy) || c.Timing != want.Timing || c.StoreDown != want.StoreDown ||
		c.Replica != want.Replica || c.Retry != want.Retry || c.Health != want.Health || c.Store != want.Store || c.Unknown != nil {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestSecondsAndDurationsAreReadExactly(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, "0.1": 100 * time.Millisecond, "1.": time.Second, ".5": 500 * time.Millisecond,
		"+2": 2 * time.Second, "250ms": 250 * time.Millisecond, "1h30m": 90 * time.Minute,
		"86400": 24 * time.Hour, "0.001": time.Millisecond, "1.001": 1001 * time.Millisecond,
	} {
		if got := good(t, "CIRCUIT_BREAKER_OPEN_FOR="+value).Policy.OpenFor; got != want {
			t.Errorf("%q: %v; want %v", value, got, want)
		}
	}
	if got := good(t, "CIRCUIT_BREAKER_OPEN_FOR= 7\t").Policy.OpenFor; got != 7*time.Second {
		t.Errorf("blanks are not cut off: %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(1, 24*60*60*1000).Draw(t, "ms")
		d := time.Duration(ms) * time.Millisecond
		text := strings.TrimSuffix(d.String(), "s")
		if d >= time.Minute || d < time.Second { // not seconds alone
			text = d.String()
		}
		c, err := config.From([]string{"CIRCUIT_BREAKER_OPEN_FOR=" + text})
		if err != nil || c.Policy.OpenFor != d {
			t.Fatalf("%q: %v, %v", text, c.Policy.OpenFor, err)
		}
	})
}

func TestAnEmptyOrBlankValueIsNotSet(t *testing.T) {
	c := good(t,
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=", "CIRCUIT_BREAKER_OPEN_FOR=  ", "CIRCUIT_BREAKER_STORE_URL=", "RETRY_JITTER_ENABLED=",
		"CIRCUIT_BREAKER__MCP__PROBES=", "CIRCUIT_BREAKER_MISSPELT=", "HEALTH_CHECK_INTERVAL=\t",
	)
	if c.Policy != (store.Policy{}) || c.PolicyFor("mcp") != (store.Policy{}) || c.Unknown != nil || c.Health.Interval != 30*time.Second {
		t.Errorf("%+v", c)
	}
	c = good(t, "CIRCUIT_BREAKER_RECOVERY_TIMEOUT=", "CIRCUIT_BREAKER_OPEN_FOR=5")
	if c.Policy.OpenFor != 5*time.Second {
		t.Errorf("an empty second name hid the first: %v", c.Policy.OpenFor)
	}
}

func TestTheLastOfEqualNamesCounts(t *testing.T) {
	if c := good(t, "RETRY_BASE_DELAY=bad", "RETRY_BASE_DELAY=4"); c.Retry.Delay != 4*time.Second {
		t.Errorf("%v", c.Retry.Delay)
	}
}

func TestOneFieldByTwoNames(t *testing.T) {
	for _, pair := range [][2]string{
		{"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_CONSECUTIVE_FAILURES"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "CIRCUIT_BREAKER_OPEN_FOR"},
		{"CIRCUIT_BREAKER_HALF_OPEN_CALLS", "CIRCUIT_BREAKER_PROBES"},
		{"CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "CIRCUIT_BREAKER_PROBE_SUCCESSES"},
		{"CIRCUIT_BREAKER__MCP__RECOVERY_TIMEOUT", "CIRCUIT_BREAKER__MCP__OPEN_FOR"},
		{"MAX_RETRY_ATTEMPTS", "RETRY_ATTEMPTS"},
		{"RETRY_BASE_DELAY", "RETRY_DELAY"},
		{"RETRY_EXPONENTIAL_BASE", "RETRY_MULTIPLIER"},
	} {
		good(t, pair[0]+"=4", pair[1]+"=4")
		found := bad(t, pair[0]+"=4", pair[1]+"=5")
		if len(found) != 1 || (found[pair[0]] == nil) == (found[pair[1]] == nil) {
			t.Errorf("%q: %v", pair, found)
			continue
		}
		other := map[bool]string{true: pair[1], false: pair[0]}[found[pair[0]] != nil]
		for _, e := range found {
			if !strings.Contains(e.Want, other) {
				t.Errorf("does not name %s: %v", other, e)
			}
		}
	}
	if c := good(t, "CIRCUIT_BREAKER_RECOVERY_TIMEOUT=60", "CIRCUIT_BREAKER_OPEN_FOR=1m"); c.Policy.OpenFor != time.Minute {
		t.Errorf("two spellings of a minute: %v", c.Policy.OpenFor)
	}
}

func TestJitterByEitherOfItsVariables(t *testing.T) {
	for environ, want := range map[string]retry.Jitter{
		"RETRY_JITTER_ENABLED=true": retry.FullJitter, "RETRY_JITTER_ENABLED=False": retry.NoJitter, "RETRY_JITTER_ENABLED=1": retry.FullJitter,
		"RETRY_JITTER=equal": retry.EqualJitter, "RETRY_JITTER=none": retry.NoJitter, "RETRY_JITTER=full": retry.FullJitter,
		"RETRY_JITTER=equal RETRY_JITTER_ENABLED=true": retry.EqualJitter,
		"RETRY_JITTER=none RETRY_JITTER_ENABLED=false": retry.NoJitter,
	} {
		if got := good(t, strings.Fields(environ)...).Retry.Jitter; got != want {
			t.Errorf("%s: %v", environ, got)
		}
	}
	for _, environ := range []string{
		"RETRY_JITTER=none RETRY_JITTER_ENABLED=true",
		"RETRY_JITTER=equal RETRY_JITTER_ENABLED=false",
		"RETRY_JITTER_ENABLED=2",
	} {
		if found := bad(t, strings.Fields(environ)...); len(found) != 1 || found["RETRY_JITTER_ENABLED"] == nil {
			t.Errorf("%s: %v", environ, found)
		}
	}
}

func TestABreakersOwnVariablesStandOverTheCommonOnes(t *testing.T) {
	c := good(t,
		"CIRCUIT_BREAKER_OPEN_FOR=60", "CIRCUIT_BREAKER_FAILURE_RATE=0.5", "CIRCUIT_BREAKER_RAMP_UP=10",
		"CIRCUIT_BREAKER__MCP__OPEN_FOR=5",
		"CIRCUIT_BREAKER__TIER1_MCP__RECOVERY_TIMEOUT=6",
		"CIRCUIT_BREAKER__TIER1_MCP__RAMP_UP=0",
		"CIRCUIT_BREAKER__CARD_NETWORK__PROBES=7",
		"CIRCUIT_BREAKER__CARD_NETWORK__FAILURE_THRESHOLD=8",
		"CIRCUIT_BREAKER__CARD_NETWORK__FAILURE_RATE=0",
		"CIRCUIT_BREAKER__A__B__OPEN_FOR=9",
		"CIRCUIT_BREAKER___X___OPEN_FOR=10",
	)
	common := store.Policy{OpenFor: time.Minute, FailureRate: 0.5, RampUp: 10 * time.Second}
	all := common
	all.ConsecutiveFailures = 5 // nobody has set it
	with := func(change func(*store.Policy)) store.Policy {
		p := all
		change(&p)
		return p
	}
	card := with(func(p *store.Policy) { p.Probes, p.ConsecutiveFailures, p.FailureRate = 7, 8, 0 })
	for name, want := range map[string]store.Policy{
		"other":        all,
		"":             all,
		"mcp":          with(func(p *store.Policy) { p.OpenFor = 5 * time.Second }),
		"MCP":          with(func(p *store.Policy) { p.OpenFor = 5 * time.Second }),
		"tier1_mcp":    with(func(p *store.Policy) { p.OpenFor, p.RampUp = 6*time.Second, 0 }),
		"card-network": card,
		"card.network": card,
		"Card/Network": card,
		"a__b":         with(func(p *store.Policy) { p.OpenFor = 9 * time.Second }),
		"a: b":         with(func(p *store.Policy) { p.OpenFor = 9 * time.Second }),
		"_x_":          with(func(p *store.Policy) { p.OpenFor = 10 * time.Second }),
		"éxé":          with(func(p *store.Policy) { p.OpenFor = 10 * time.Second }),
	} {
		if got := c.PolicyFor(name); got != want {
			t.Errorf("%q: %+v; want %+v", name, got, want)
		}
	}
	if c.Policy != common || c.Unknown != nil {
		t.Errorf("common: %+v, unknown %q", c.Policy, c.Unknown)
	}
	c.Policy.Observe = true
	if got := c.PolicyFor("mcp"); !got.Observe || got.OpenFor != 5*time.Second {
		t.Errorf("what the program changed is not followed: %+v", got)
	}
}

func TestManagerOptionsReachTheManager(t *testing.T) {
	c := good(t, "CIRCUIT_BREAKER_REPLICA=web-7", "CIRCUIT_BREAKER_OPEN_FOR=5", "CIRCUIT_BREAKER_PROBES=4")
	if n := len(c.ManagerOptions()); n != 4 {
		t.Errorf("%d options", n)
	}
	if n := len(good(t).ManagerOptions()); n != 3 {
		t.Errorf("%d options without a replica's name", n)
	}
	m, err := breaker.NewManager(memorystore.New(), c.ManagerOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
