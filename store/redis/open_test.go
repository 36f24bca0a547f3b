package redisstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// An empty URL was documented as "each process for itself", and redisstore.OpenURL("") died of it.
func TestAURLOpensTheStoreThatItNames(t *testing.T) {
	if got := store.Schemes(); !slices.Equal(got, []string{"memory", "redis", "rediss", "unix"}) {
		t.Errorf("schemes: %q", got)
	}
	for _, url := range []string{
		"redis://localhost:1", "rediss://localhost:1/2", "REDIS://localhost:1", "unix:///tmp/redis.sock", "redis://localhost:1?master_name=m",
	} {
		s, err := store.OpenURL(url, store.OpenConfig{Prefix: "team", Timeout: time.Minute})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if _, ok := s.(*redisstore.Store); !ok {
			t.Errorf("%s opens a %T", url, s)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, url := range []string{"", "memory:", "memory://"} {
		s, err := store.OpenURL(url, store.OpenConfig{Prefix: "team"})
		if _, ok := s.(*memorystore.Store); !ok || err != nil {
			t.Errorf("%q opens a %T, %v", url, s, err)
		}
	}
}

func TestAURLThatOpensNothingSaysWhyAndShowsNoSecret(t *testing.T) {
	for _, url := range []string{
		"postgres://u:hunter2@db/x", "hunter2", "hunter2@db:6379", "//hunter2:x", "redis://u:hunter2@db:port", "redis://u:hunter2@db:1?hunter2=1",
	} {
		s, err := store.OpenURL(url, store.OpenConfig{})
		if err == nil || s != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, %v", url, s, err)
		}
		if strings.HasPrefix(url, "postgres") && (!errors.Is(err, store.ErrScheme) || !strings.Contains(err.Error(), "import")) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if s, err := store.OpenURL("redis://localhost:1", store.OpenConfig{Prefix: "a b"}); err == nil || s != nil {
		t.Errorf("a bad prefix opens %v", s)
	}
}

func TestASchemeIsRegisteredOnceAndWell(t *testing.T) {
	open := func(string, store.OpenConfig) (store.Store, error) { return memorystore.New(), nil }
	for scheme, opener := range map[string]store.Opener{"redis": open, "": open, "Redis": open, "a:": open, "mine": nil} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was registered", scheme)
				}
			}()
			store.Register(scheme, opener)
		}()
	}
}
