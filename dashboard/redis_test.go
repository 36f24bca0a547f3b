package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

// Over a real Redis, with the command on another replica's handle; then with Redis away, and back.
func TestARedisFleetIsShownLiveAndThroughAnOutage(t *testing.T) {
	server := redistest.Start(t)
	open := func() *redisstore.Store {
		s, err := redisstore.Open(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	elsewhere := open()
	report(t, elsewhere, "mcp", 1, store.Run{Outcome: store.Success, Count: 3})
	web := httptest.NewServer(handler(t, open()))
	defer web.Close()
	ctx, cancel := await.WithTimeout(t.Context(), deadline)
	defer cancel()
	next := stream(ctx, t, web.URL+"/api/events")
	wait := func(what string, is func(told) bool) {
		t.Helper()
		for !is(next()) {
			if ctx.Err() != nil {
				t.Fatalf("no %s in %v", what, deadline)
			}
		}
	}
	wait("read", func(e told) bool { return len(e.Rows) == 1 && e.Rows[0].Totals.Calls == 3 })
	trip(t, elsewhere, "mcp")
	wait("transition", func(e told) bool { return e.Transition != nil && e.Transition.To == store.Open })
	server.Kill()
	wait("outage", func(e told) bool { return e.Kind == "tick" && !*e.Store.Up && len(e.Gone) == 0 })
	server.Restart()
	wait("return", func(e told) bool { return e.Kind == "tick" && *e.Store.Up })
}

// stream follows a stream over a connection, an event a call.
func stream(ctx context.Context, t *testing.T, address string) (next func() told) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = response.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return func() (e told) {
		kind := ""
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				kind = name
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				e.Kind = kind
				return e
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return e
	}
}

// trips counts a client's round trips: what it sends at once, alone or as a pipeline.
type trips struct{ alone, pipelines, commands atomic.Int64 }

func (c *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.alone.Add(1)
		return next(ctx, cmd)
	}
}

func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); name != "hello" && name != "client" { // with which a new connection says who it is
			c.pipelines.Add(1)
			c.commands.Add(int64(len(cmds)))
		}
		return next(ctx, cmds)
	}
}

// However many breakers there are, the list is the index of names and one pipeline.
func TestTheListOfAThousandBreakersIsOnePipeline(t *testing.T) {
	const breakers = 1000
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer client.Close()
	s, err := redisstore.New(client, redisstore.WithTimeout(deadline))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	reports := make([]store.Report, breakers)
	for i := range reports {
		reports[i] = store.Report{
			Name: fmt.Sprintf("tier-%04d", i), Policy: policy, Replica: "web-1#a1", Seq: 1, MaxAge: time.Minute, Announce: true,
			Runs: []store.Run{{Outcome: store.Success, Count: 3}},
		}
	}
	for _, result := range s.Sync(t.Context(), reports) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	h := handler(t, s)
	get(h, "/api/breakers") // the first may find its script unknown, and send it
	sent := &trips{}
	client.AddHook(sent)
	var list answer
	await.Until(t, "the store answers the page in time", func() bool {
		sent.alone.Store(0)
		sent.pipelines.Store(0)
		sent.commands.Store(0)
		list = get(h, "/api/breakers")
		return list.status != http.StatusServiceUnavailable
	})
	if rows := decode[[]store.Snapshot](t, list); len(rows) != breakers {
		t.Fatalf("%d breakers; want %d", len(rows), breakers)
	}
	if alone, pipelines, commands := sent.alone.Load(), sent.pipelines.Load(), sent.commands.Load(); alone != 1 || pipelines != 1 || commands != breakers+1 {
		t.Errorf("%d commands alone, and %d pipelines of %d; want the index, and one pipeline of the breakers and the time", alone, pipelines, commands)
	}
}
