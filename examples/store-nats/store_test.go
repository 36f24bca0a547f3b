package natsstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

func TestLaws(t *testing.T) {
	url := startServer(t)
	js, nc := connect(t, url)
	var buckets atomic.Int64
	storetest.RunParallel(t, func(t testing.TB) storetest.Harness {
		bucket := fmt.Sprintf("law-%d", buckets.Add(1))
		wire := newProxy(t, strings.TrimPrefix(url, "nats://"))
		stream := func(t testing.TB) jetstream.Stream {
			b := natsstore.New(url, bucket)
			defer b.Close()
			_, _, err := b.Look(t.Context(), nil) // makes the bucket if it is missing
			must(t, err)
			s, err := js.Stream(t.Context(), "KV_"+bucket)
			must(t, err)
			return s
		}
		open := func(t testing.TB, opts ...storekit.Option) store.Store {
			// A machine with few cores, on which all laws run at once, takes longer than the second that is the default.
			s, err := storekit.New(natsstore.New("nats://"+wire.addr(), bucket), append(opts, storekit.WithKind("nats"), storekit.WithTimeout(5*time.Second))...)
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

// What no law looks at: a step on several names, beside others on the same, in other numbers than a replica sends.
func TestStepsOnSeveralNamesAreWhole(t *testing.T) {
	b := natsstore.New(startServer(t), "several")
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
	must(t, b.Step(ctx, names, func(int64, []storekit.Record) storekit.Effect { return storekit.Effect{Drop: names[:2]} }))
	_, left, err := b.Look(ctx, names)
	must(t, err)
	if len(left) != 1 || left[0].Name != "c" || string(left[0].Data) != "\n\x00" {
		t.Errorf("after the drop: %v", left)
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended with %v", err)
	}
}

func startServer(t *testing.T) string {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	must(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s.ClientURL()
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
