package natsstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsstore "github.com/commontrip/commontrip/examples/store-nats"
	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
	"github.com/commontrip/commontrip/store/storetest"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestLaws(t *testing.T) { laws(t, 1) }

// A cluster drops requests while a stream has no leader, and one of its servers hears late of what another one knows.
func TestLawsOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute")
	}
	laws(t, 3)
}

func laws(t *testing.T, servers int) {
	url := startServers(t, servers)
	js, nc := connect(t, url)
	var buckets atomic.Int64
	storetest.RunParallel(t, func(t testing.TB) storetest.Harness {
		bucket := fmt.Sprintf("law-%d", buckets.Add(1))
		wire := newProxy(t, strings.TrimPrefix(url, "nats://"))
		made(t, url, bucket, servers)
		stream := func(t testing.TB) jetstream.Stream {
			made(t, url, bucket, servers)
			s, err := js.Stream(t.Context(), "KV_"+bucket)
			must(t, err)
			return s
		}
		open := func(t testing.TB, opts ...storekit.Option) store.Store {
			// A machine with few cores, on which all laws run at once, takes longer than the second that is the default.
			b := natsstore.New("nats://"+wire.addr(), bucket).WithReplicas(servers)
			s, err := storekit.New(b, append(opts, storekit.WithKind("nats"), storekit.WithTimeout(5*time.Second))...)
			must(t, err)
			return s
		}
		return storetest.Harness{
			Open: func(t testing.TB, now func() time.Time) store.Store { return open(t, storekit.WithClock(now)) },
			Wipe: func(t testing.TB) { must(t, stream(t).Purge(t.Context())) },

			OpenReal: func(t testing.TB) store.Store { return open(t) },
			Names: func(t testing.TB) int {
				info, err := stream(t).Info(t.Context(), jetstream.WithSubjectFilter("$KV."+bucket+".r.>"))
				must(t, err)
				return len(info.State.Subjects)
			},
			// What a client holds here is a batch that it began and never commits.
			Freeze: func(t testing.TB, name string) {
				m := nats.NewMsg("$KV." + bucket + ".r.frozen")
				m.Header.Set("Nats-Batch-Id", "frozen")
				m.Header.Set("Nats-Batch-Sequence", "1")
				_, err := nc.RequestMsg(m, time.Second)
				must(t, err)
			},
			Cut:     func(testing.TB) { wire.cut() },
			Silence: func(testing.TB) { wire.silence() },
		}
	})
}

// made makes the bucket if it is missing. A cluster on a busy machine may take a server for offline for a while, and has no place
// for a bucket then.
func made(t testing.TB, url, bucket string, servers int) {
	b := natsstore.New(url, bucket).WithReplicas(servers)
	defer b.Close()
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		_, _, err := b.Look(t.Context(), nil)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// What no law looks at: a step on several names, beside others on the same, in other numbers than a replica sends.
func TestStepsOnSeveralNamesAreWhole(t *testing.T) {
	b := natsstore.New(startServers(t, 1), "several")
	defer b.Close()
	ready, heard, over := make(chan bool), make(chan string, 1000), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		over <- b.Follow(ctx, func() { close(ready) }, func(m []byte) { heard <- string(m) })
	}()
	<-ready
	names := []string{"a", "b/\u00e9 *>.", "c"}
	const steppers, steps = 4, 10
	var all sync.WaitGroup
	for range steppers {
		all.Go(func() {
			for range steps {
				must(t, b.Step(ctx, names, func(_ int64, held []storekit.Record) storekit.Effect {
					count := 0
					for _, r := range held {
						if r.Generation != held[0].Generation {
							t.Errorf("%s is at %d, %s at %d", r.Name, r.Generation, held[0].Name, held[0].Generation)
						}
						count = int(r.Generation)
					}
					var e storekit.Effect
					for _, name := range names {
						e.Put = append(e.Put, storekit.Record{Name: name, Data: []byte("\n\x00"), Shown: true, Generation: uint64(count + 1)})
					}
					e.Push = [][]byte{fmt.Appendf(nil, " %d ", count+1), bytes.Repeat([]byte("x"), 40<<10), nil}
					return e
				}))
			}
		})
	}
	all.Wait()
	for i := range steppers * steps {
		for _, want := range []string{fmt.Sprintf(" %d ", i+1), strings.Repeat("x", 40<<10), ""} {
			if got := <-heard; got != want {
				t.Fatalf("push of step %d: got %d bytes, %.10q; want %d, %.10q", i+1, len(got), got, len(want), want)
			}
		}
	}
	_, kept, err := b.Look(ctx, names)
	must(t, err)
	if len(kept) != len(names) {
		t.Errorf("%d records are kept: %v", len(kept), kept)
	}
	for _, r := range kept { // in any order
		if !slices.Contains(names, r.Name) || string(r.Data) != "\n\x00" || r.Generation != steppers*steps {
			t.Errorf("after all steps: %v", r)
		}
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended with %v", err)
	}
}

// startServers starts a server, or a cluster of several, and gives the URL of one of them.
func startServers(t *testing.T, n int) string {
	var routes []*url.URL
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free now
		must(t, err)
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		must(t, l.Close())
	}
	var all []*server.Server
	for i, route := range routes {
		o := server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		}
		if n > 1 {
			port, err := strconv.Atoi(route.Port())
			must(t, err)
			o.Cluster, o.Routes = server.ClusterOpts{Name: "laws", Host: "127.0.0.1", Port: port}, routes
		}
		s, err := server.NewServer(&o)
		must(t, err)
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		all = append(all, s)
	}
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		notReady := func(s *server.Server) bool {
			return !s.ReadyForConnections(time.Second) || n > 1 && !s.JetStreamIsCurrent()
		}
		if !slices.ContainsFunc(all, notReady) {
			return all[n-1].ClientURL()
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the servers do not start")
		}
	}
}

func connect(t *testing.T, url string) (jetstream.JetStream, *nats.Conn) {
	nc, err := nats.Connect(url)
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)
	return js, nc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// proxy carries connections to a server, until it is told to end those of now or to carry nothing over them.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	pairs    []*pair
}

type pair struct {
	ends   [2]net.Conn
	silent atomic.Bool
}

func newProxy(t testing.TB, server string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: l}
	t.Cleanup(func() { l.Close(); p.cut() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			c := &pair{ends: [2]net.Conn{client, upstream}}
			p.mu.Lock()
			p.pairs = append(p.pairs, c)
			p.mu.Unlock()
			go c.carry(client, upstream)
			go c.carry(upstream, client)
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pairs {
		c.close()
	}
	p.pairs = nil
}

func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pairs {
		c.silent.Store(true)
	}
}

func (c *pair) close() {
	for _, end := range c.ends {
		end.Close()
	}
}

func (c *pair) carry(to io.Writer, from io.Reader) {
	defer c.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if c.silent.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
