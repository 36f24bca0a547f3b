package config_test

import (
	"slices"
	"testing"

	"github.com/commontrip/commontrip/config"
)

func TestAVariableThatMeansNothingIsListed(t *testing.T) {
	c := good(t,
		"CIRCUIT_BREAKER_OPNE_FOR=60", "RETRY_BASE_DELAYS=1", "MAX_RETRY_ATTEMPT=3", "HEALTH_CHECK_INTERVALL=30",
		"CIRCUIT_BREAKER__MCP__STORE_URL=redis://db", "CIRCUIT_BREAKER__mcp__OPEN_FOR=5", "CIRCUIT_BREAKER__OPEN_FOR=5",
		"CIRCUIT_BREAKER____OPEN_FOR=5", "CIRCUIT_BREAKER__MCP__=5", "CIRCUIT_BREAKER_=5", "CIRCUIT_BREAKER__MCP__OPNE_FOR=bad",
		"OPEN_FOR=60", "circuit_breaker_open_for=60", "CIRCUIT_BREAKERS=60", "MY_CIRCUIT_BREAKER_OPEN_FOR=60",
	)
	want := []string{
		"CIRCUIT_BREAKER_", "CIRCUIT_BREAKER_OPNE_FOR", "CIRCUIT_BREAKER__MCP__", "CIRCUIT_BREAKER__MCP__OPNE_FOR", "CIRCUIT_BREAKER__MCP__STORE_URL",
		"CIRCUIT_BREAKER__OPEN_FOR", "CIRCUIT_BREAKER____OPEN_FOR", "CIRCUIT_BREAKER__mcp__OPEN_FOR",
		"HEALTH_CHECK_INTERVALL", "MAX_RETRY_ATTEMPT", "RETRY_BASE_DELAYS",
	}
	slices.Sort(want)
	if !slices.Equal(c.Unknown, want) {
		t.Errorf("got  %q\nwant %q", c.Unknown, want)
	}
}

func TestNearestFindsWhatWasMeant(t *testing.T) {
	for variable, want := range map[string]string{
		"CIRCUIT_BREAKER_OPNE_FOR":             "CIRCUIT_BREAKER_OPEN_FOR",
		"CIRCUIT_BREAKER_FAILURE_TRESHOLD":     "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
		"CIRCUIT_BREAKER_RECOVERY_TIME_OUT":    "CIRCUIT_BREAKER_RECOVERY_TIMEOUT",
		"CIRCUIT_BREAKER__OPEN_FOR":            "CIRCUIT_BREAKER_OPEN_FOR",
		"CIRCUIT_BREAKER_HALFOPEN_CALL":        "CIRCUIT_BREAKER_HALF_OPEN_CALLS",
		"RETRY_BASEDELAY":                      "RETRY_BASE_DELAY",
		"MAX_RETRY_ATTEMPT":                    "MAX_RETRY_ATTEMPTS",
		"HEALTH_CHECK_INTERVALL":               "HEALTH_CHECK_INTERVAL",
		"CIRCUIT_BREAKER__MCP__OPNE_FOR":       "CIRCUIT_BREAKER__MCP__OPEN_FOR",
		"CIRCUIT_BREAKER__mcp-1__OPEN_FOR":     "CIRCUIT_BREAKER__MCP_1__OPEN_FOR",
		"CIRCUIT_BREAKER_MCP_OPEN_FOR":         "CIRCUIT_BREAKER__MCP__OPEN_FOR",
		"CIRCUIT_BREAKER_MCP__OPEN_FOR_MAX":    "CIRCUIT_BREAKER__MCP__OPEN_FOR_MAX",
		"CIRCUIT_BREAKER__CARD_NETWORK_PROBES": "CIRCUIT_BREAKER__CARD_NETWORK__PROBES",
		"CIRCUIT_BREAKER__MCP__STORE_URL":      "",
		"CIRCUIT_BREAKER_COLOUR_OF_THE_PAGE":   "",
		"RETRY_FRIDAYS":                        "",
		"":                                     "",
	} {
		if got := config.Nearest(variable); got != want {
			t.Errorf("%s: %q; want %q", variable, got, want)
		}
	}
	for _, v := range config.Variables() {
		if got := config.Nearest(v.Name); got != v.Name {
			t.Errorf("%s is itself, not %s", v.Name, got)
		}
	}
}
