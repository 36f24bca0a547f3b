package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// settings are the fields of Config that no other package's struct holds, named as their variables are.
type settings struct {
	StoreDown    breaker.StoreDown
	Replica      string
	StoreURL     string
	StorePrefix  string
	StoreTimeout time.Duration
}

func (s settings) withDefaults() settings {
	if s.StorePrefix == "" {
		s.StorePrefix = "commontrip"
	}
	if s.StoreTimeout == 0 {
		s.StoreTimeout = time.Second
	}
	return s
}

// maxReplica leaves room for what a Manager appends to a replica's name.
const maxReplica = store.MaxName - 32

func (s settings) validate() error {
	s = s.withDefaults()
	switch {
	case s.Replica != "" && (store.ValidateName(s.Replica) != nil || len(s.Replica) > maxReplica):
		return &fieldError{"Replica", s.Replica, fmt.Sprintf("1..%d bytes of UTF-8 without control characters", maxReplica)}
	case s.StoreURL != "" && !isStoreURL(s.StoreURL):
		return &fieldError{"StoreURL", s.StoreURL, "redis://host:port/db, rediss://host:port/db or unix:///path"}
	case store.ValidateName(s.StorePrefix) != nil || strings.ContainsAny(s.StorePrefix, "{}"):
		return &fieldError{"StorePrefix", s.StorePrefix, fmt.Sprintf("1..%d bytes of UTF-8 without braces and control characters", store.MaxName)}
	case s.StoreTimeout < time.Millisecond || s.StoreTimeout > 24*time.Hour:
		return &fieldError{"StoreTimeout", s.StoreTimeout.String(), "1ms..24h"}
	}
	return nil
}

func isStoreURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Opaque == "" && slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme)
}

// fieldError is one bad field of settings.
type fieldError struct{ field, value, want string }

func (e *fieldError) Error() string { return e.field }
