package config_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/commontrip/commontrip/config"
)

// bad reads an environment that must be refused and gives its errors by variable.
func bad(t *testing.T, environ ...string) map[string]*config.Error {
	t.Helper()
	c, err := config.From(environ)
	if err == nil {
		t.Fatalf("%q was accepted: %+v", environ, c)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T joins nothing", err)
	}
	found := map[string]*config.Error{}
	for _, one := range joined.Unwrap() {
		var e *config.Error
		if !errors.As(one, &e) || e.Variable == "" || e.Want == "" {
			t.Errorf("%#v", one)
			continue
		}
		if found[e.Variable] != nil {
			t.Errorf("twice: %v, %v", found[e.Variable], e)
		}
		found[e.Variable] = e
	}
	return found
}

func names(found map[string]*config.Error) []string { return slices.Sorted(maps.Keys(found)) }

func good(t *testing.T, environ ...string) config.Config {
	t.Helper()
	c, err := config.From(environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
