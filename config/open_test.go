package config_test

import (
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// Without a URL, which is documented as "each process for itself", redisstore.Open died.
func TestWithoutAURLTheStoreIsThisProcesssOwn(t *testing.T) {
	for _, environ := range [][]string{nil, {"CIRCUIT_BREAKER_STORE_URL="}, {"CIRCUIT_BREAKER_STORE_URL=memory:"}, {"CIRCUIT_BREAKER_STORE_URL=Memory:"}} {
		s, err := good(t, environ...).Store.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := s.(*memorystore.Store); !ok {
			t.Errorf("%q opens a %T", environ, s)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		c := good(t, append(environ, "CIRCUIT_BREAKER_SLOW_CALL_RATE=0.5", "CIRCUIT_BREAKER_SLOW_CALL_AFTER=1")...)
		if p := c.PolicyFor("db"); p.Reporters > 1 {
			t.Errorf("%q gives the policy of a fleet to a process alone: %+v", environ, p)
		}
	}
}

// opened is what a driver of the test's was asked for.
type opened struct {
	url string
	store.OpenConfig
}

func TestTheStoreIsOpenedByItsDriver(t *testing.T) {
	var got opened
	store.Register("test-driver", func(url string, c store.OpenConfig) (store.Store, error) {
		got = opened{url, c}
		return memorystore.New(), nil
	})
	c := good(t, "CIRCUIT_BREAKER_STORE_URL=test-driver://u:p@db/1", "CIRCUIT_BREAKER_STORE_PREFIX=team", "CIRCUIT_BREAKER_STORE_TIMEOUT=3")
	if _, err := c.Store.Open(); err != nil {
		t.Fatal(err)
	}
	if want := (opened{"test-driver://u:p@db/1", store.OpenConfig{Prefix: "team", Timeout: c.Store.Timeout}}); got != want {
		t.Errorf("opened with %+v; want %+v", got, want)
	}
}

func TestAURLOfNoKnownStoreIsRefused(t *testing.T) {
	bad(t, "CIRCUIT_BREAKER_STORE_URL=mongodb://db")
	bad(t, "CIRCUIT_BREAKER_STORE_URL=memory://u:hunter2@db")
}

// The quotes of an env file silently became a part of the prefix and of the replica's name.
func TestAPairOfQuotesIsStrippedAndAnotherRefused(t *testing.T) {
	for _, quote := range []string{`"`, `'`} {
		c := good(t,
			"CIRCUIT_BREAKER_STORE_PREFIX="+quote+"team"+quote, "CIRCUIT_BREAKER_REPLICA="+quote+"web 7"+quote,
			"CIRCUIT_BREAKER_STORE_URL="+quote+"redis://db"+quote, "CIRCUIT_BREAKER_PROBES="+quote+"7"+quote,
			"RETRY_JITTER="+quote+quote, "CIRCUIT_BREAKER_STORE_DOWN="+quote+"admit-all"+quote,
		)
		if c.Store.Prefix != "team" || c.Replica != "web 7" || c.Store.URL != "redis://db" || c.Policy.Probes != 7 {
			t.Errorf("%s: %+v", quote, c)
		}
	}
	for _, value := range []string{`"team`, `team"`, `'team"`, `""team""`, `te"am`} {
		if e := bad(t, "CIRCUIT_BREAKER_STORE_PREFIX="+value)["CIRCUIT_BREAKER_STORE_PREFIX"]; e == nil || !strings.Contains(e.Want, "quote") {
			t.Errorf("%s: %v", value, e)
		}
	}
	if e := bad(t, `CIRCUIT_BREAKER_STORE_URL="redis://u:hunter2@db`)["CIRCUIT_BREAKER_STORE_URL"]; e == nil || strings.Contains(e.Error(), "hunter2") {
		t.Errorf("a secret is shown: %v", e)
	}
	if c := good(t, "CIRCUIT_BREAKER_REPLICA=Bob's box"); c.Replica != "Bob's box" {
		t.Errorf("%q", c.Replica)
	}
}
