package respfault_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/redistest"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is a server, a proxy before it and a client that sends nothing twice.
func setup(t *testing.T, protocol int) (*redistest.Server, *respfault.Proxy, *redis.Client) {
	t.Helper()
	server := redistest.Start(t)
	p := respfault.Start(t, server.Addr())
	c := redis.NewClient(&redis.Options{
		Addr: p.Addr(), Protocol: protocol, MaxRetries: -1, DisableIdentity: true, ContextTimeoutEnabled: true,
		ReadTimeout: patience,
	})
	t.Cleanup(func() { _ = c.Close() })
	return server, p, c
}

func counter(t *testing.T, server *redistest.Server) string {
	t.Helper()
	text, err := server.Text("GET", "n")
	if err != nil && text != "" {
		t.Fatal(err)
	}
	return text
}

func TestEveryVerbIsKnown(t *testing.T) {
	server := redistest.Start(t)
	p := respfault.Start(t, server.Addr())
	s, err := redisstore.Open(p.URL(), redisstore.WithTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	stood := make(chan store.Event, 8)
	watching.Go(func() { _ = s.Watch(ctx, func(e store.Event) { stood <- e }) })
	<-stood

	for range 2 { // once whole, once by the hash
		policy := store.DefaultPolicy()
		err := errors.Join(
			s.Sync(ctx, []store.Report{{Name: "x", Policy: policy, Replica: "r#1", Seq: 1, MaxAge: time.Second, Runs: []store.Run{{Outcome: store.Success, Count: 1}}}})[0].Err,
			second(s.Claim(ctx, store.Claim{Name: "x", ID: "1", Policy: policy, Replica: "r#1", Want: 1})),
			second(s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "x", ID: "1.1"}, Replica: "r#1", Outcome: store.Success})),
			second(s.Command(ctx, store.Command{Name: "x", Action: store.Trip, By: "me"})),
			second(s.Read(ctx, "x")), second(s.Read(ctx)), second(s.Versions(ctx, "x")), second(s.Roster(ctx, "x")),
			second(s.History(ctx, "x", 1)), s.Ping(ctx), s.Remove(ctx, "x"),
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	if e := <-stood; e.Transition.Action != store.Trip {
		t.Errorf("pushed: %+v; want the trip", e)
	}
	for _, v := range append(respfault.Verbs(), respfault.Index, respfault.Ping, respfault.Setup) {
		if p.Seen(v) == 0 {
			t.Errorf("no %s was seen", v)
		}
	}
	if p.Seen(respfault.Sync) != 3 { // the hash, the source, the hash
		t.Errorf("%d syncs were seen; want 3", p.Seen(respfault.Sync))
	}
	if p.Seen(respfault.Other) > 0 {
		t.Errorf("%d requests are of no verb", p.Seen(respfault.Other))
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhatBecomesOfARequest(t *testing.T) {
	for _, c := range []struct {
		name     string
		rule     respfault.Rule
		reply    string // empty: an error
		executed string
		points   []respfault.Point
	}{
		{"pass", respfault.Rule{}, "1", "1", points(0, 1, 2)},
		{"a", respfault.Rule{Act: respfault.CutBefore}, "", "", points(0)},
		{"b", respfault.Rule{Act: respfault.CutAfter}, "", "1", points(0, 1)},
		{"b, half a reply", respfault.Rule{Act: respfault.CutAfter, Reply: func(_ respfault.Request, r []byte) []byte { return r[:1] }}, "", "1", points(0, 1)},
		{"c, late", respfault.Rule{Wait: 20 * time.Millisecond}, "1", "1", points(0, 1, 2)},
		{"c, twice", respfault.Rule{Act: respfault.Twice}, "2", "2", points(0, 1, 2)},
		{"refuse", respfault.Rule{Act: respfault.Refuse, Reply: respfault.Error("OOM no")}, "", "", points(0, 2)},
		{"lie", respfault.Rule{Reply: func(_ respfault.Request, r []byte) []byte { return append(r[:1:1], "7\r\n"...) }}, "7", "1", points(0, 1, 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, p, client := setup(t, 3)
			var reached []respfault.Point
			c.rule.Times = 1
			c.rule.Hook = func(_ respfault.Request, at respfault.Point) { reached = append(reached, at) }
			p.On(respfault.Other, c.rule)
			reply, err := text(client.Incr(t.Context(), "n"))
			if err == nil != (c.reply != "") || err == nil && reply != c.reply {
				t.Errorf("%s, %v; want %q", reply, err, c.reply)
			}
			if got := counter(t, server); got != c.executed {
				t.Errorf("executed %q times; want %q", got, c.executed)
			}
			if p.Acted(respfault.Other) != 1 {
				t.Errorf("the rule acted %d times; want once", p.Acted(respfault.Other))
			}
			if err := client.Ping(t.Context()).Err(); err != nil { // also: the hook is done
				t.Error(err)
			}
			p.Sever(respfault.Close)
			await.Until(t, "no connection is left", func() bool { now, _ := p.Connections(); return now == 0 })
			if !slices.Equal(reached, c.points) {
				t.Errorf("points %v; want %v", reached, c.points)
			}
		})
	}
}

func points(p ...respfault.Point) []respfault.Point { return p }

func TestAConnectionIsReset(t *testing.T) {
	_, p, _ := setup(t, 3)
	reset := func(how string) {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
			t.Fatal(err)
		}
		if how == "all" {
			if _, err := conn.Read(make([]byte, 7)); err != nil {
				t.Fatal(err)
			}
			p.Sever(respfault.Reset)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v; want a reset", how, err)
		}
	}
	reset("all")
	p.On(respfault.Ping, respfault.Rule{Act: respfault.CutAfter, End: respfault.Reset})
	reset("one")
}

func TestAConnectionThatHangsIsSilentUntilHealed(t *testing.T) {
	server, p, client := setup(t, 3)
	p.On(respfault.Any, respfault.Rule{Act: respfault.CutAfter, End: respfault.Hang})
	failed := make(chan error)
	go func() { failed <- client.Incr(context.Background(), "n").Err() }() // hangs in its first command, HELLO
	await.Until(t, "it hangs", func() bool { return p.Acted(respfault.Any) == 1 })
	p.Heal()
	if err := <-failed; err == nil {
		t.Error("the command on the connection that hung is answered")
	}
	if n, err := client.Incr(t.Context(), "n").Result(); n != 1 || err != nil {
		t.Errorf("%d, %v; want 1", n, err)
	}
	if _, ever := p.Connections(); ever < 2 || counter(t, server) != "1" {
		t.Errorf("%d connections", ever)
	}
}

// The answer that is made here stays in its place among those of the server.
func TestOneOfAPipeline(t *testing.T) {
	_, p, client := setup(t, 2)
	p.On(respfault.Other, respfault.Rule{
		Act: respfault.Refuse, Reply: respfault.Error("MISCONF no"),
		Only: func(r respfault.Request) bool { return r.Place%3 == 2 },
	})
	for range 20 {
		pipe := client.Pipeline()
		for range 9 {
			pipe.Echo(t.Context(), "same")
		}
		cmds, _ := pipe.Exec(t.Context())
		for i, cmd := range cmds {
			if err := cmd.Err(); (err != nil) != (i%3 == 1) || err != nil && !strings.HasPrefix(err.Error(), "MISCONF") {
				t.Fatalf("reply %d: %v", i+1, err)
			}
		}
	}
}

func TestMessagesAreDroppedDoubledReorderedAndForged(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		server, p, client := setup(t, protocol)
		sub := client.Subscribe(t.Context(), "news")
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		held := ""
		p.Pushes(func(payload string) []string {
			switch payload {
			case "dropped":
				return nil
			case "doubled":
				return []string{payload, payload}
			case "late":
				held = payload
				return nil
			}
			return append([]string{payload}, held)
		})
		for _, text := range []string{"dropped", "doubled", "late", "last"} {
			if got, err := server.Command("PUBLISH", "news", text); got != ":1" {
				t.Fatal(got, err)
			}
		}
		got := receive(t, sub, 4)
		p.Push("forged")
		if got = append(got, receive(t, sub, 1)...); !slices.Equal(got, []string{"doubled", "doubled", "last", "late", "forged"}) {
			t.Errorf("protocol %d: %q", protocol, got)
		}
		_ = sub.Close()
	}
}

func receive(t *testing.T, sub *redis.PubSub, n int) (out []string) {
	t.Helper()
	for range n {
		m, err := sub.ReceiveTimeout(t.Context(), patience)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.(*redis.Message).Payload)
	}
	return out
}

func TestSlicesOfOneByteChangeNothing(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		_, p, client := setup(t, protocol)
		p.Slice(1)
		text := strings.Repeat("half\r\n$5\r\n*2\r\n", 50)
		pipe := client.Pipeline()
		for range 10 {
			pipe.Echo(t.Context(), text)
		}
		cmds, err := pipe.Exec(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, cmd := range cmds {
			if got := cmd.(*redis.StringCmd).Val(); got != text {
				t.Fatalf("protocol %d: %q", protocol, got)
			}
		}
	}
}

func TestAListIsTakenApart(t *testing.T) {
	whole := respfault.List(respfault.Bulk("a\r\nb"), []byte(":7\r\n"), respfault.List([]byte("$-1\r\n")))
	parts, ok := respfault.Split(whole)
	if !ok || len(parts) != 3 || !bytes.Equal(respfault.List(parts...), whole) {
		t.Errorf("%q, %v", parts, ok)
	}
	if _, ok := respfault.Split([]byte(":1\r\n")); ok {
		t.Error("a number is a list")
	}
}

func text(cmd *redis.IntCmd) (string, error) {
	if err := cmd.Err(); err != nil {
		return "", err
	}
	return strconv.FormatInt(cmd.Val(), 10), nil
}
