package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestAURLSaysWhichClient(t *testing.T) {
	for url, kind := range map[string]string{
		"redis://localhost:6379/3":                                             "single",
		"rediss://user:pass@localhost":                                         "single",
		"unix:///run/redis.sock?db=2":                                          "single",
		"redis://a:7000?addr=b:7000&addr=c:7000":                               "cluster",
		"rediss://user:pass@a:7000?addr=a:7000":                                "cluster",
		"redis://s1:26379?master_name=m":                                       "single", // a Sentinel client is a *redis.Client
		"redis://s1:26379/2?master_name=m&addr=s2:26379&username=u&password=p": "single",
	} {
		s, err := Open(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		got := "single"
		if _, ok := s.client.(*redis.ClusterClient); ok {
			got = "cluster"
		}
		if got != kind || s.cluster != (kind == "cluster") {
			t.Errorf("%s gives a %s client; want %s", url, got, kind)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestABadURLIsRefusedWithTheForms(t *testing.T) {
	for _, url := range []string{
		"", "localhost:6379", "http://localhost", "redis://localhost/x", "redis://a?addr=b&unknown=1", "redis://s?master_name=",
		"redis://localhost?dial_timeout=soon", "redis://[::1",
	} {
		_, err := Open(url)
		if err == nil || !strings.Contains(err.Error(), "want redis://") {
			t.Errorf("%q: %v; want a refusal that shows the forms", url, err)
		}
	}
}

func TestAnOwnClientIsSetForShortExchanges(t *testing.T) {
	s, err := Open("redis://localhost:6379?pool_size=7&read_timeout=9s", WithTimeout(300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := s.client.(*redis.Client).Options()
	if !o.ContextTimeoutEnabled || o.MaxRetries > 0 || o.DialTimeout != 300*time.Millisecond || !o.DisableIdentity {
		t.Errorf("%+v", o)
	}
	if o.PoolSize != 7 || o.ReadTimeout != 9*time.Second {
		t.Errorf("what the URL sets does not stand: pool %d, read timeout %v", o.PoolSize, o.ReadTimeout)
	}
}
