package redisstore

import (
	"context"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// TestAContextsDeadlineIsTheExchanges: WithTimeout is for contexts without one, whatever the server is.
func TestAContextsDeadlineIsTheExchanges(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	single := redistest.Start(t)
	for name, c := range map[string]struct {
		url     string
		servers []*redistest.Server
	}{
		"one server": {single.URL(), []*redistest.Server{single}},
		"a Cluster":  {redistest.ClusterURL(nodes), nodes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits, mostly
			s, err := Open(c.url, WithTimeout(200*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			report := func(seq uint64) store.Report {
				return store.Report{Name: "x", Policy: store.DefaultPolicy(), Replica: "web-0#1", Seq: seq}
			}
			long, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := s.Sync(long, []store.Report{report(1)})[0].Err; err != nil {
				t.Fatal(err)
			}
			for i, exchange := range []func(context.Context) error{
				func(ctx context.Context) error { return s.Sync(ctx, []store.Report{report(2)})[0].Err },
				func(ctx context.Context) error {
					return s.Sync(ctx, []store.Report{report(3), report(4)})[1].Err
				},
				func(ctx context.Context) error { _, err := s.Read(ctx, "x"); return err },
			} {
				for _, server := range c.servers {
					server.Stop()
				}
				began := time.Now()
				if err := exchange(context.Background()); err == nil {
					t.Errorf("exchange %d is answered by a server that stands still", i)
				}
				time.AfterFunc(time.Second-time.Since(began), func() {
					for _, server := range c.servers {
						server.Cont()
					}
				})
				if err := exchange(long); err != nil {
					t.Errorf("exchange %d with a deadline in a minute, after %v: %v", i, time.Since(began), err)
				}
			}
		})
	}
}
