package redisstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

// patience bounds what must happen at once; a client left to itself takes longer.
const patience = 3 * time.Second

// openOn opens a store for a test. Unless the test says otherwise it waits for a busy machine as long as a store may.
func openOn(t *testing.T, url string, opts ...Option) *Store {
	t.Helper()
	s, err := Open(url, append([]Option{WithTimeout(time.Minute)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// admin is a client beside the store under test.
func admin(t *testing.T, srv *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: srv.Addr(), MaxRetries: -1})
	t.Cleanup(func() { c.Close() })
	return c
}

func do(t *testing.T, c *redis.Client, args ...any) any {
	t.Helper()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

func failures(name, replica string, seq uint64, n int) store.Report {
	return store.Report{
		Name: name, Policy: store.DefaultPolicy(), Replica: replica, Seq: seq, MaxAge: 3 * time.Second,
		Runs: []store.Run{{Outcome: store.Failure, Count: n, Label: "refused"}},
	}
}

// within fails the test if fn does not return in time.
func within(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	ctx, cancel := await.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatalf("%s does not return", what)
	}
}

// TestAFlushedScriptIsSentAgain is about EVALSHA without a NOSCRIPT path: after a restart of Redis everything was green.
func TestAFlushedScriptIsSentAgain(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	flush := func() { do(t, c, "script", "flush") }

	flush()
	reports := make([]store.Report, 20)
	for i := range reports {
		reports[i] = failures(fmt.Sprintf("b-%d", i), "web#1", 1, 5)
	}
	for i, r := range s.Sync(ctx, reports) {
		if r.Err != nil || r.Snapshot.State != store.Open {
			t.Fatalf("report %d: %v, %v", i, r.Snapshot.State, r.Err)
		}
	}
	flush()
	if _, err := s.Claim(ctx, store.Claim{Name: "b-1", ID: "1", Policy: store.DefaultPolicy(), Replica: "web#1", Want: 1}); err != nil {
		t.Error(err)
	}
	flush()
	if _, err := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "b-1", ID: "1.1"}, Replica: "web#1", Outcome: store.Success}); err != nil {
		t.Error(err)
	}
	flush()
	if _, err := s.Command(ctx, store.Command{Name: "b-1", Action: store.Reset, By: "me"}); err != nil {
		t.Error(err)
	}
	flush()
	if err := s.Remove(ctx, "b-1"); err != nil {
		t.Error(err)
	}
	all, err := s.Read(ctx)
	if err != nil || len(all) != 19 {
		t.Errorf("%d breakers, %v; want 19", len(all), err)
	}
	for _, b := range all {
		if b.Totals.Failures != 5 {
			t.Errorf("%s counts %d failures; want 5, once", b.Name, b.Totals.Failures)
		}
	}
}

func TestOneReportsErrorIsItsOwn(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	do(t, c, "set", s.keys.breaker("taken"), "by something else")
	results := s.Sync(ctx, []store.Report{
		failures("taken", "web#1", 1, 1), failures("fine", "web#1", 1, 1), failures("", "web#1", 1, 1), failures("good", "web#1", 1, 1),
	})
	if err := results[0].Err; err == nil || !strings.Contains(err.Error(), "WRONGTYPE") || errors.Is(err, store.ErrInvalid) {
		t.Errorf("a key of another type: %v", err)
	}
	if !errors.Is(results[2].Err, store.ErrName) {
		t.Errorf("a bad name: %v", results[2].Err)
	}
	for _, i := range []int{1, 3} {
		if r := results[i]; r.Err != nil || r.Snapshot.Totals.Failures != 1 {
			t.Errorf("report %d: %+v", i, r)
		}
	}
	if _, err := s.Read(ctx, "taken"); err == nil {
		t.Error("reading a key of another type is not an error")
	}
}

// TestAnErrorLeavesTheBreakerAsItWas: nothing is half-applied, and the report sent again counts once.
func TestAnErrorLeavesTheBreakerAsItWas(t *testing.T) {
	for _, fault := range []struct {
		name, code string
		on, off    []any
	}{
		{"READONLY", "READONLY", []any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}},
		{"OOM", "OOM", []any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"}},
		{"NOREPLICAS", "NOREPLICAS", []any{"config", "set", "min-replicas-to-write", "1"}, []any{"config", "set", "min-replicas-to-write", "0"}},
		{"BUSY", "BUSY", nil, []any{"script", "kill"}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			srv := redistest.Start(t, "--lua-time-limit", "1") // by its name in 6.2, which later releases know too
			s, c, ctx := openOn(t, srv.URL(), WithTimeout(patience)), admin(t, srv), context.Background()
			if r := s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 4)})[0]; r.Err != nil {
				t.Fatal(r.Err)
			}
			before := do(t, c, "hgetall", s.keys.breaker("x"))
			if fault.on != nil {
				do(t, c, fault.on...)
			} else {
				go admin(t, srv).Eval(ctx, "while true do end", nil)
				waitFor(t, "BUSY", func() bool { return c.Ping(ctx).Err() != nil })
			}
			last := s.Sync(ctx, []store.Report{failures("x", "web#1", 2, 1)})[0]
			if last.Err == nil || !strings.Contains(last.Err.Error(), fault.code) {
				t.Errorf("Sync: %v; want %s", last.Err, fault.code)
			}
			if last.Snapshot.Name != "" {
				t.Errorf("an error with a snapshot: %+v", last.Snapshot)
			}
			do(t, c, fault.off...)
			waitFor(t, "the server answers", func() bool { return c.Ping(ctx).Err() == nil })
			if after := do(t, c, "hgetall", s.keys.breaker("x")); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("the breaker was\n%v\nand is\n%v", before, after)
			}
			again := s.Sync(ctx, []store.Report{failures("x", "web#1", 2, 1)})[0]
			if again.Err != nil || again.Snapshot.State != store.Open || again.Snapshot.Totals.Failures != 5 {
				t.Errorf("sent again: %+v", again)
			}
		})
	}
}

// TestADeniedPushIsToldAndNoError is about a script whose PUBLISH is denied after its HSET: it looked like a failure and
// was counted twice.
func TestADeniedPushIsToldAndNoError(t *testing.T) {
	srv := redistest.Start(t)
	c, ctx := admin(t, srv), context.Background()
	do(t, c, "acl", "setuser", "fleet", "on", ">secret", "~commontrip:*", "resetchannels", "+@all")
	s := openOn(t, strings.Replace(srv.URL(), "//", "//fleet:secret@", 1))
	r := s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 5)})[0]
	if r.Err != nil || r.Made == nil || r.Snapshot.State != store.Open {
		t.Fatalf("%+v", r)
	}
	if got := s.Pushes(); got.Denied != 1 {
		t.Errorf("%+v; want one push denied", got)
	}
	if err := s.Ping(ctx); err != nil {
		t.Error(err)
	}
}

func TestNoErrorShowsThePassword(t *testing.T) {
	const canary = "canary-7f3a"
	srv := redistest.Start(t, "--requirepass", "another")
	ctx := context.Background()
	for _, url := range []string{
		strings.Replace(srv.URL(), "//", "//:"+canary+"@", 1), strings.Replace(srv.URL(), "//", "//user:"+canary+"@", 1), srv.URL(),
	} {
		s := openOn(t, url)
		err := s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 1)})[0].Err
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("Sync with the wrong password: %v", err)
		}
		if err := s.Ping(ctx); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("Ping with the wrong password: %v", err)
		}
	}
	for _, url := range []string{
		"redis://user:" + canary + "@host:port", "redis://user:" + canary + "@[host", "://" + canary, "redis://:" + canary + "@host:6379/x",
		"redis://:" + canary + "@host:6379/1?unknown=1", "http://:" + canary + "@host", "redis://:" + canary + "%zz@host", canary,
		"redis://host?addr=host2&password=" + canary, "redis://:" + canary + "@h?master_name=m&db=x", "redis://h?master_name=m&sentinel_password=" + canary + "&x=1",
		"unix://user:" + canary + "@/sock?db=x", "redis://:" + canary + "@h?dial_timeout=" + canary,
	} {
		_, err := Open(url)
		if err == nil {
			continue // refused later, or not at all
		}
		if strings.Contains(err.Error(), canary) && !strings.Contains(url, "dial_timeout") {
			t.Errorf("%s: %v", strings.ReplaceAll(url, canary, "<canary>"), err)
		}
		if !strings.HasPrefix(err.Error(), "redisstore: ") {
			t.Errorf("%v; want the package's name", err)
		}
	}
}

// TestAHungServerHoldsNobody: a server that is stopped in mid-connection, and a client that ignores contexts.
func TestAHungServerHoldsNobody(t *testing.T) {
	srv := redistest.Start(t)
	ctx := context.Background()
	deaf := redis.NewClient(&redis.Options{Addr: srv.Addr()}) // 5 s, thrice, whatever the context says
	defer deaf.Close()
	wrapped, err := New(deaf, WithTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer wrapped.Close()
	for name, s := range map[string]*Store{"Open": openOn(t, srv.URL(), WithTimeout(100*time.Millisecond)), "New": wrapped} {
		waitFor(t, name+" answers", func() bool { // a busy machine may need more than 100 ms for the first one
			return s.Sync(ctx, []store.Report{failures(name, "web#1", 1, 1)})[0].Err == nil
		})
		srv.Stop()
		within(t, name+": Sync", func() {
			if r := s.Sync(ctx, []store.Report{failures(name, "web#1", 2, 1)})[0]; r.Err == nil {
				t.Error("Sync: no error")
			}
		})
		within(t, name+": Read", func() {
			if _, err := s.Read(ctx, name); err == nil {
				t.Error("Read: no error")
			}
		})
		within(t, name+": a cancelled Claim", func() {
			short, cancel := context.WithCancel(ctx)
			time.AfterFunc(10*time.Millisecond, cancel)
			_, err := s.Claim(short, store.Claim{Name: name, ID: "1", Policy: store.DefaultPolicy(), Replica: "web#1", Want: 1})
			if err == nil {
				t.Error("Claim: no error")
			}
		})
		within(t, name+": more exchanges than there are places", func() {
			var left atomic.Int32
			done := make(chan struct{})
			left.Store(3 * inFlight)
			for range 3 * inFlight {
				go func() {
					_, _ = s.Versions(ctx, name)
					if left.Add(-1) == 0 {
						close(done)
					}
				}()
			}
			<-done
		})
		srv.Cont()
		waitFor(t, name+" answers again", func() bool { return s.Ping(ctx) == nil })
		var r store.Result
		waitFor(t, "the report counts", func() bool {
			r = s.Sync(ctx, []store.Report{failures(name, "web#1", 2, 1)})[0]
			return r.Err == nil
		})
		if r.Snapshot.Totals.Failures != 2 {
			t.Errorf("%s: %d failures; want 2, each once", name, r.Snapshot.Totals.Failures)
		}
	}
}

// TestARetryableErrorRerunsNothing: a client with retries reruns a whole pipeline if its first reply is one.
func TestARetryableErrorRerunsNothing(t *testing.T) {
	var scripts atomic.Int32
	addr := fakeServer(t, func(args []string) string {
		switch strings.ToLower(args[0]) {
		case "evalsha":
			if scripts.Add(1)%3 == 1 {
				return "-LOADING Redis is loading the dataset in memory\r\n"
			}
			return "*1\r\n$7\r\nunknown\r\n"
		case "hello":
			return "-ERR unknown command\r\n"
		default:
			return "+OK\r\n"
		}
	})
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 5, DisableIdentity: true, Protocol: 2})
	defer client.Close()
	s, err := New(client)
	if err != nil {
		t.Fatal(err)
	}
	results := s.Sync(context.Background(), []store.Report{failures("a", "r", 1, 1), failures("b", "r", 1, 1), failures("c", "r", 1, 1)})
	if results[0].Err == nil || !strings.Contains(results[0].Err.Error(), "LOADING") {
		t.Errorf("the first: %v; want LOADING", results[0].Err)
	}
	if _, err := s.Command(context.Background(), store.Command{Name: "a", Action: store.Trip, By: "me"}); err == nil {
		t.Error("a command: no error; want LOADING")
	}
	if n := scripts.Load(); n != 4 {
		t.Errorf("%d scripts were sent; want 4", n)
	}
}

func TestAServerThatIsDownIsAnErrorAndThenForgotten(t *testing.T) {
	srv := redistest.Start(t)
	s, ctx := openOn(t, srv.URL()), context.Background()
	first := s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 5)})[0]
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	srv.Kill()
	within(t, "Sync", func() {
		if r := s.Sync(ctx, []store.Report{failures("x", "web#1", 2, 1)})[0]; r.Err == nil {
			t.Error("no error from a dead server")
		}
	})
	srv.Restart()
	report := failures("x", "web#1", 3, 1)
	report.Known = store.Known{Generation: first.Snapshot.Generation, State: store.Open, RetryIn: time.Minute, Openings: 1}
	var r store.Result
	waitFor(t, "the restarted server answers", func() bool {
		r = s.Sync(ctx, []store.Report{report})[0]
		return r.Err == nil
	})
	if r.Snapshot.State != store.Open || r.Snapshot.Generation != first.Snapshot.Generation {
		t.Errorf("the empty server says %+v; want what the replica knew", r.Snapshot)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	srv := redistest.Start(t)
	s, c, ctx := openOn(t, srv.URL()), admin(t, srv), context.Background()
	s.Sync(ctx, []store.Report{failures("x", "web#1", 1, 1)})
	do(t, c, "hset", s.keys.breaker("x"), "v", "2")
	r := s.Sync(ctx, []store.Report{failures("x", "web#1", 2, 1)})[0]
	if r.Err == nil || !strings.Contains(r.Err.Error(), "schema 2 is newer") {
		t.Errorf("%v; want a refusal that names the schema", r.Err)
	}
}

// waitFor waits for a condition.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	await.Until(t, what, done)
}

// fakeServer answers RESP commands by fn.
func fakeServer(t *testing.T, fn func(args []string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					args, err := readCommand(r)
					if err != nil {
						return
					}
					if _, err := io.WriteString(conn, fn(args)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func readCommand(r *bufio.Reader) ([]string, error) {
	var n int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		var size int
		if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

// indexless hangs whatever is about the index, as if its node of a Cluster hangs.
type indexless struct{ asked *atomic.Int64 }

func (indexless) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (indexless) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h indexless) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "sadd" {
			return next(ctx, cmds)
		}
		h.asked.Add(1)
		<-ctx.Done()
		for _, cmd := range cmds {
			cmd.SetErr(ctx.Err())
		}
		return ctx.Err()
	}
}

// TestAnIndexThatHangsHoldsUpOneRequestAndNotEachOfThem: all breakers of a Cluster were reported a second late while the
// one node with the index hung.
func TestAnIndexThatHangsHoldsUpOneRequestAndNotEachOfThem(t *testing.T) {
	srv := redistest.Start(t)
	s := openOn(t, srv.URL(), WithTimeout(3*time.Second)) // enough for a report on a busy machine; the index takes it all, once
	var asked atomic.Int64
	s.client.AddHook(indexless{&asked})
	for i := range 10 {
		name := fmt.Sprintf("tier-%d", i)
		if r := s.Sync(context.Background(), []store.Report{failures(name, "web", 1, 1)}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Fatalf("the index was asked %d times", n)
	}
}
