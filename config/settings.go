package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// The limits of the packages that the settings are for: what a Manager appends to a replica's name is 9 bytes long.
const (
	maxReplica = store.MaxName - 9
	maxPrefix  = 100
	maxTimeout = time.Minute
)

func (s settings) validate() error {
	s = s.withDefaults()
	switch {
	case s.Replica != "" && (store.ValidateName(s.Replica) != nil || len(s.Replica) > maxReplica):
		return &fieldError{"Replica", s.Replica, fmt.Sprintf("1..%d bytes of UTF-8 without control characters", maxReplica)}
	case s.StoreURL != "" && !isStoreURL(s.StoreURL):
		return &fieldError{"StoreURL", s.StoreURL, "redis://host:port/db, rediss://host:port/db or unix:///path"}
	case !isPrefix(s.StorePrefix):
		return &fieldError{"StorePrefix", s.StorePrefix, fmt.Sprintf("1..%d bytes of UTF-8 without braces, quotes, blanks and control characters", maxPrefix)}
	case s.StoreTimeout < time.Millisecond || s.StoreTimeout > maxTimeout:
		return &fieldError{"StoreTimeout", s.StoreTimeout.String(), "1ms..1m"}
	}
	return nil
}

func isPrefix(s string) bool {
	bad := func(r rune) bool {
		return strings.ContainsRune("{}\"'`", r) || !unicode.IsPrint(r) || unicode.IsSpace(r)
	}
	return len(s) <= maxPrefix && utf8.ValidString(s) && !strings.ContainsFunc(s, bad)
}

// isStoreURL accepts the schemes of this module's stores, whether the program imports them or not, and what others have
// registered.
func isStoreURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	if u.Scheme == "memory" {
		return u.User == nil
	}
	known := append([]string{"redis", "rediss", "unix"}, store.Schemes()...)
	return u.Opaque == "" && slices.Contains(known, u.Scheme)
}

// fieldError is one bad field of settings.
type fieldError struct{ field, value, want string }

func (e *fieldError) Error() string { return e.field }
