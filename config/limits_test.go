package config_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	memorystore "github.com/commontrip/commontrip/store/memory"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// What is accepted here and refused a line later would name no variable; what is refused here alone could not be had.
func TestTheStoreAndTheManagerAcceptWhatIsAcceptedHere(t *testing.T) {
	for _, tc := range []struct{ variable, value string }{
		{"CIRCUIT_BREAKER_STORE_URL", "redis://localhost:6379/1"},
		{"CIRCUIT_BREAKER_STORE_URL", "rediss://u:p@db:6380"},
		{"CIRCUIT_BREAKER_STORE_URL", "unix:///run/redis.sock?db=2"},
		{"CIRCUIT_BREAKER_STORE_URL", "redis://a:1?addr=b:2"},
		{"CIRCUIT_BREAKER_STORE_URL", "redis://a:1?master_name=m&addr=b:2"},
		{"CIRCUIT_BREAKER_STORE_URL", "http://db:6379"},
		{"CIRCUIT_BREAKER_STORE_URL", "db:6379"},
		{"CIRCUIT_BREAKER_STORE_URL", "redis://db:port"},
		{"CIRCUIT_BREAKER_STORE_PREFIX", strings.Repeat("é", 50)},
		{"CIRCUIT_BREAKER_STORE_PREFIX", strings.Repeat("x", 101)},
		{"CIRCUIT_BREAKER_STORE_PREFIX", "a b"},
		{"CIRCUIT_BREAKER_STORE_PREFIX", "a{b}"},
		{"CIRCUIT_BREAKER_STORE_PREFIX", "a\u200bb"},
		{"CIRCUIT_BREAKER_STORE_PREFIX", "a\xff"},
		{"CIRCUIT_BREAKER_STORE_TIMEOUT", "1ms"},
		{"CIRCUIT_BREAKER_STORE_TIMEOUT", "0.9ms"},
		{"CIRCUIT_BREAKER_STORE_TIMEOUT", "60"},
		{"CIRCUIT_BREAKER_STORE_TIMEOUT", "60.1"},
		{"CIRCUIT_BREAKER_REPLICA", strings.Repeat("x", 191)},
		{"CIRCUIT_BREAKER_REPLICA", strings.Repeat("x", 192)},
		{"CIRCUIT_BREAKER_REPLICA", "a\u202eb"},
		{"CIRCUIT_BREAKER_FLUSH_INTERVAL", "24h"},
		{"CIRCUIT_BREAKER_FLUSH_INTERVAL", "24h1ms"},
	} {
		_, err := config.From([]string{tc.variable + "=" + tc.value})
		if below := used(t, tc.variable, tc.value); (err == nil) != (below == nil) {
			t.Errorf("%s=%.40q: here %v, at its use %v", tc.variable, tc.value, err, below)
		}
	}
}

func seconds(t *testing.T, value string) time.Duration {
	t.Helper()
	if strings.Trim(value, ".0123456789") == "" {
		value += "s"
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// used gives a value to those whom it is for, past the judgement here.
func used(t *testing.T, variable, value string) error {
	t.Helper()
	var c config.Config
	url, opts := "redis://localhost:6379", []redisstore.Option{}
	switch variable {
	case "CIRCUIT_BREAKER_STORE_URL":
		url = value
	case "CIRCUIT_BREAKER_STORE_PREFIX":
		opts = append(opts, redisstore.WithPrefix(value))
	case "CIRCUIT_BREAKER_STORE_TIMEOUT":
		opts = append(opts, redisstore.WithTimeout(seconds(t, value)))
	case "CIRCUIT_BREAKER_REPLICA":
		c.Replica = value
	case "CIRCUIT_BREAKER_FLUSH_INTERVAL":
		c.Timing.FlushInterval = seconds(t, value)
	}
	s, errStore := redisstore.Open(url, opts...)
	if errStore == nil {
		defer func() { _ = s.Close() }()
	}
	m, errManager := breaker.NewManager(memorystore.New(), c.ManagerOptions()...)
	if errManager == nil {
		defer func() { _ = m.Close(context.Background()) }()
	}
	return errors.Join(errStore, errManager)
}
