package config_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/config"
)

// Whatever the environment holds: what is read is valid as a whole, what is refused is refused by name, and reading twice
// gives the same.
func FuzzFrom(f *testing.F) {
	for _, seed := range []string{
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=5\nCIRCUIT_BREAKER_RECOVERY_TIMEOUT=60",
		"CIRCUIT_BREAKER__MCP__OPEN_FOR=5\nCIRCUIT_BREAKER_OPEN_FOR_MAX=1h\nCIRCUIT_BREAKER____=1",
		"RETRY_JITTER_ENABLED=1\nRETRY_JITTER=none\nRETRY_EXPONENTIAL_BASE=NaN\nRETRY_MAX_DELAY=1e309",
		"HEALTH_CHECK_INTERVAL=-0\nHEALTH_CHECK_TIMEOUT=9223372036854775808ns\nHEALTH_CHECK_UP_AFTER=+1",
		"CIRCUIT_BREAKER_STORE_URL=redis://u:p@h:1/0?x=%zz\nCIRCUIT_BREAKER_REPLICA=\xff\nCIRCUIT_BREAKER_FAILURE_RATE=.0000001",
		"CIRCUIT_BREAKER_WINDOW_TIME=0\nCIRCUIT_BREAKER__A__WINDOW_TIME=9m\nCIRCUIT_BREAKER__A__WINDOW_CALLS=0\nX",
	} {
		f.Add(seed, "mcp")
	}
	f.Fuzz(func(t *testing.T, lines, breaker string) {
		environ := strings.Split(lines, "\n")
		c, err := config.From(environ)
		again, errAgain := config.From(slices.Clone(environ))
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || !reflect.DeepEqual(c, again) {
			t.Fatalf("read twice: %v, %v", err, errAgain)
		}
		if err != nil {
			for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
				var e *config.Error
				if !errors.As(one, &e) || e.Want == "" || len(e.Value) > 300 || !strings.Contains(lines, e.Variable) {
					t.Errorf("%#v", one)
				}
			}
			return
		}
		for _, err := range []error{
			c.Policy.Validate(), c.Timing.Validate(), c.Retry.Validate(), c.Health.Validate(), c.PolicyFor(breaker).Validate(), c.PolicyFor("mcp").Validate(),
		} {
			if err != nil {
				t.Errorf("accepted, and invalid: %v", err)
			}
		}
		for _, name := range c.Unknown {
			if !strings.Contains(lines, name+"=") {
				t.Errorf("unknown %q was not there", name)
			}
			if len(name) < 100 && config.Nearest(name) == name {
				t.Errorf("%q is known to Nearest only", name)
			}
		}
	})
}

// What stands before the last "@" of a URL, or in its query, is never shown.
func FuzzNoPasswordIsShown(f *testing.F) {
	f.Add("redis", "ops", "hunter2", "db:6379")
	f.Add("http", "", "a@b/c?d#e%zz", "[::1")
	f.Add("unix", "x", "://", "/run/redis.sock")
	f.Add("redis", "", "@", "db") // an "@" in the query was once taken for the end of the user
	f.Fuzz(func(t *testing.T, scheme, user, password, host string) {
		const mark = "hunter2"
		if strings.ContainsAny(host, "@?") || strings.Contains(scheme, ":") || strings.Contains(scheme+host, mark) {
			t.Skip()
		}
		password = mark + password + mark
		c, err := config.From([]string{"CIRCUIT_BREAKER_STORE_URL=" + scheme + "://" + user + ":" + password + "@" + host + "?p=" + password})
		if err != nil && strings.Contains(err.Error(), mark) {
			t.Errorf("error: %v", err)
		}
		if shown := fmt.Sprintf("%+v", c); strings.Contains(shown, mark) {
			t.Errorf("config: %s", shown)
		}
	})
}
