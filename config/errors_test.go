package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/config"
)

func TestEveryBadVariableIsReportedAtOnce(t *testing.T) {
	found := bad(t,
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=five",
		"CIRCUIT_BREAKER_OPEN_FOR=25h",
		"CIRCUIT_BREAKER_PROBES=1001",
		"CIRCUIT_BREAKER_FAILURE_RATE=1.5",
		"CIRCUIT_BREAKER_OBSERVE=perhaps",
		"CIRCUIT_BREAKER__MCP__PROBE_LEASE=soon",
		"CIRCUIT_BREAKER__SDK__REPORTERS=17",
		"CIRCUIT_BREAKER_FLUSH_INTERVAL=1us",
		"CIRCUIT_BREAKER_STORE_DOWN=panic",
		"CIRCUIT_BREAKER_STORE_URL=localhost:6379",
		"CIRCUIT_BREAKER_STORE_PREFIX={a}",
		"CIRCUIT_BREAKER_STORE_TIMEOUT=-1",
		"CIRCUIT_BREAKER_REPLICA=a\x00b",
		"MAX_RETRY_ATTEMPTS=1.5",
		"RETRY_JITTER=some",
		"RETRY_JITTER_ENABLED=yes?",
		"RETRY_EXPONENTIAL_BASE=0.5",
		"HEALTH_CHECK_INTERVAL=never",
		"HEALTH_CHECK_DOWN_AFTER=-3",
	)
	want := []string{
		"CIRCUIT_BREAKER_FAILURE_RATE", "CIRCUIT_BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_FLUSH_INTERVAL", "CIRCUIT_BREAKER_OBSERVE",
		"CIRCUIT_BREAKER_OPEN_FOR", "CIRCUIT_BREAKER_PROBES", "CIRCUIT_BREAKER_REPLICA", "CIRCUIT_BREAKER_STORE_DOWN",
		"CIRCUIT_BREAKER_STORE_PREFIX", "CIRCUIT_BREAKER_STORE_TIMEOUT", "CIRCUIT_BREAKER_STORE_URL",
		"CIRCUIT_BREAKER__MCP__PROBE_LEASE", "CIRCUIT_BREAKER__SDK__REPORTERS",
		"HEALTH_CHECK_DOWN_AFTER", "HEALTH_CHECK_INTERVAL",
		"MAX_RETRY_ATTEMPTS", "RETRY_EXPONENTIAL_BASE", "RETRY_JITTER", "RETRY_JITTER_ENABLED",
	}
	if got := names(found); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestABadValueIsShownWithWhatIsWanted(t *testing.T) {
	for _, tc := range []struct{ variable, value, want string }{
		{"CIRCUIT_BREAKER_OPEN_FOR", "-5", "1ms..24h"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "1e3", "seconds, such as 30"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "1h30", "seconds, such as 30"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "NaN", "seconds, such as 30"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "inf", "seconds, such as 30"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "99999999999999999999", "seconds, such as 30"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "9223372036.9", "seconds, such as 30"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "..", "seconds, such as 30"},
		{"CIRCUIT_BREAKER_FAILURE_RATE", "NaN", "a number from 0 to 1"},
		{"CIRCUIT_BREAKER_FAILURE_RATE", "1e999", "a number from 0 to 1"},
		{"CIRCUIT_BREAKER_FAILURE_RATE", "50%", "a number from 0 to 1"},
		{"CIRCUIT_BREAKER_FAILURE_RATE", "-0.1", "0..1"},
		{"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "9223372036854775808", "a whole number"},
		{"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "-1", "0..1000000"},
		{"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "5.0", "a whole number"},
		{"CIRCUIT_BREAKER_OBSERVE", "2", "true or false"},
		{"CIRCUIT_BREAKER_STORE_DOWN", "open", "own-verdict, admit-all or reject-all"},
		{"CIRCUIT_BREAKER_STORE_URL", "http://db", "redis://host:port/db"},
		{"RETRY_JITTER", "half", "full, equal or none"},
		{"RETRY_MULTIPLIER", "+Inf", "a number"},
		{"HEALTH_CHECK_UP_AFTER", "1001", "1..1000"},
		{"CIRCUIT_BREAKER__MCP__OPEN_FOR", "25h", "1ms..24h"},
	} {
		e := bad(t, tc.variable+"="+tc.value)[tc.variable]
		if e == nil || e.Value != tc.value || !strings.Contains(e.Want, tc.want) {
			t.Errorf("%s=%s: %v", tc.variable, tc.value, e)
		} else if want := fmt.Sprintf("%s is %q; want %s", tc.variable, tc.value, e.Want); e.Error() != want {
			t.Errorf("%v", e)
		}
	}
}

// The structs take 0 for "the default": MAX_RETRY_ATTEMPTS=0 would retry three times.
func TestZeroIsRefusedWhereItWouldSilentlyBeTheDefault(t *testing.T) {
	zeros := map[string]bool{}
	for _, v := range config.Variables() {
		switch v.Unit {
		case "text", "URL", "true or false", "full, equal or none", "own-verdict, admit-all or reject-all":
			continue
		}
		_, err := config.From([]string{v.Name + "=0", "CIRCUIT_BREAKER_FAILURE_THRESHOLD=5", "CIRCUIT_BREAKER_CONSECUTIVE_FAILURES=5", v.Name + "=0"})
		zeros[v.Name] = err == nil
		if says := strings.Contains(v.Doc, "0 = ") || v.Default == "0"; says != (err == nil) && !strings.HasPrefix(v.Doc, "Another name") && v.Name != "CIRCUIT_BREAKER_FAILURE_THRESHOLD" {
			t.Errorf("%s=0: %v, but its line says %q, default %q", v.Name, err, v.Doc, v.Default)
		}
	}
	for _, name := range []string{"MAX_RETRY_ATTEMPTS", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "CIRCUIT_BREAKER_HALF_OPEN_CALLS", "HEALTH_CHECK_TIMEOUT", "RETRY_BASE_DELAY"} {
		e := bad(t, name+"=0")[name]
		if zeros[name] || e == nil || !strings.Contains(e.Want, "unset for the default") {
			t.Errorf("%s=0: %v", name, e)
		}
	}
}

// With every rule at zero a breaker takes the default's rules: what was switched off would be on again.
func TestARuleIsSwitchedOffOnlyBesideAnother(t *testing.T) {
	good(t, "CIRCUIT_BREAKER_FAILURE_THRESHOLD=0", "CIRCUIT_BREAKER_FAILURE_RATE=0.5")
	good(t, "CIRCUIT_BREAKER_FAILURE_THRESHOLD=5", "CIRCUIT_BREAKER_FAILURE_RATE=0")
	good(t, "CIRCUIT_BREAKER_FAILURE_THRESHOLD=5", "CIRCUIT_BREAKER__MCP__FAILURE_RATE=0")
	good(t, "CIRCUIT_BREAKER_FAILURE_RATE=0.5", "CIRCUIT_BREAKER__MCP__FAILURE_RATE=0", "CIRCUIT_BREAKER__MCP__FAILURE_THRESHOLD=5")
	// the default's own rule is left
	good(t, "CIRCUIT_BREAKER_FAILURE_RATE=0")
	good(t, "CIRCUIT_BREAKER__MCP__FAILURE_RATE=0")
	good(t, "CIRCUIT_BREAKER_FAILURE_RATE=0.5", "CIRCUIT_BREAKER__MCP__FAILURE_RATE=0.0")
	good(t, "CIRCUIT_BREAKER_STORE_URL=redis://db", "CIRCUIT_BREAKER_FAILURE_THRESHOLD=0")
	good(t, "CIRCUIT_BREAKER_STORE_URL=redis://db", "CIRCUIT_BREAKER_FAILURE_RATE=0")
	for _, environ := range []string{
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=0",
		"CIRCUIT_BREAKER__MCP__FAILURE_THRESHOLD=0 CIRCUIT_BREAKER_FAILURE_THRESHOLD=5",
		"CIRCUIT_BREAKER__MCP__FAILURE_RATE=0.0 CIRCUIT_BREAKER_FAILURE_RATE=0.5 CIRCUIT_BREAKER_FAILURE_THRESHOLD=0",
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=0 CIRCUIT_BREAKER_FAILURE_RATE=0 CIRCUIT_BREAKER_STORE_URL=redis://db",
	} {
		first, _, _ := strings.Cut(environ, "=")
		if found := bad(t, strings.Fields(environ)...); len(found) < 1 || found[first] == nil || !strings.Contains(found[first].Want, "rule") {
			t.Errorf("%s: %v", environ, found)
		}
	}
}

func TestTheWholeIsJudgedUnderTheVariableThatSetTheField(t *testing.T) {
	for environ, want := range map[string]string{
		"CIRCUIT_BREAKER_WINDOW_CALLS=50 CIRCUIT_BREAKER_WINDOW_TIME=10":              "CIRCUIT_BREAKER_WINDOW_TIME",
		"CIRCUIT_BREAKER_WINDOW_CALLS=50 CIRCUIT_BREAKER__MCP__WINDOW_TIME=10":        "CIRCUIT_BREAKER__MCP__WINDOW_TIME",
		"CIRCUIT_BREAKER__MCP__WINDOW_CALLS=50 CIRCUIT_BREAKER_WINDOW_TIME=10":        "CIRCUIT_BREAKER_WINDOW_TIME",
		"CIRCUIT_BREAKER_SLOW_CALL_RATE=0.5":                                          "CIRCUIT_BREAKER_SLOW_CALL_RATE",
		"CIRCUIT_BREAKER_MIN_CALLS=101":                                               "CIRCUIT_BREAKER_MIN_CALLS",
		"CIRCUIT_BREAKER_RECOVERY_TIMEOUT=60 CIRCUIT_BREAKER_OPEN_FOR_MAX=30":         "CIRCUIT_BREAKER_OPEN_FOR_MAX",
		"CIRCUIT_BREAKER__MCP__RECOVERY_TIMEOUT=300 CIRCUIT_BREAKER_OPEN_FOR_MAX=120": "CIRCUIT_BREAKER_OPEN_FOR_MAX",
		"CIRCUIT_BREAKER_HALF_OPEN_CALLS=1001 CIRCUIT_BREAKER__MCP__OPEN_FOR=5":       "CIRCUIT_BREAKER_HALF_OPEN_CALLS",
		"RETRY_BASE_DELAY=10 RETRY_MAX_DELAY=5":                                       "RETRY_MAX_DELAY",
	} {
		found := bad(t, strings.Fields(environ)...)
		if e := found[want]; len(found) != 1 || e == nil || !strings.Contains(environ, want+"="+e.Value) {
			t.Errorf("%s: %v", environ, found)
		}
	}
	good(t, "CIRCUIT_BREAKER_WINDOW_CALLS=50", "CIRCUIT_BREAKER__MCP__WINDOW_TIME=10", "CIRCUIT_BREAKER__MCP__WINDOW_CALLS=0")
}

func TestAnErrorLeavesNoHalfReadConfig(t *testing.T) {
	c, err := config.From([]string{"CIRCUIT_BREAKER_PROBES=9", "CIRCUIT_BREAKER_OPEN_FOR=x"})
	if err == nil || c.Policy.Probes != 0 || c.Retry.Attempts != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}
