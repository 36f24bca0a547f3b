package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
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
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
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
