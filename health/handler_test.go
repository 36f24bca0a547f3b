package health_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
)

func serve(t *testing.T, h http.Handler, method string) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/ready", nil))
	return w.Code, w.Body.String(), w.Header()
}

func TestTheHandlerIs200OnlyWhereEveryNeededTierIsUp(t *testing.T) {
	fail := func(context.Context) error { return errTier }
	m := monitor(t, health.Config{DownAfter: 1}, []health.Check{
		{Name: "down", Run: fail},
		{Name: "up", Run: func(context.Context) error { return nil }},
		{Name: "unknown", Run: fail},
	})
	times(t, m, "down", 1)
	times(t, m, "up", 1)
	for _, tc := range []struct {
		need []string
		code int
		body string
	}{
		{nil, 200, `"ready":true`},
		{[]string{"up"}, 200, `"ready":true`},
		{[]string{"unknown", "up"}, 503, `"unknown":["unknown"]`},
		{[]string{"down"}, 503, `"down":["down"]`},
		{[]string{"up", "down"}, 503, `"ready":false`},
		{[]string{"up", "misspelt"}, 503, `"missing":["misspelt"]`},
	} {
		code, body, header := serve(t, m.Handler(tc.need...), http.MethodGet)
		if code != tc.code || !strings.Contains(body, tc.body) {
			t.Errorf("%v: %d %s", tc.need, code, body)
		}
		if header.Get("Content-Type") != "application/json" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %v", tc.need, header)
		}
		var parsed struct {
			Checks []struct{ Name, Health, Problem string }
		}
		if err := json.Unmarshal([]byte(body), &parsed); err != nil || len(parsed.Checks) != 3 || parsed.Checks[0].Health != "down" || parsed.Checks[0].Problem != "failed" {
			t.Errorf("%v: %v, %+v", tc.need, err, parsed)
		}
	}
	need := []string{"down"}
	h := m.Handler(need...)
	need[0] = "up"
	if code, _, _ := serve(t, h, http.MethodHead); code != 503 {
		t.Errorf("HEAD, after the caller reused its slice: %d", code)
	}
	if code, _, header := serve(t, m.Handler(), http.MethodPost); code != 405 || header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", code)
	}
}

// A process whose database was never there said 200 before Start, and for 55 s after it.
func TestNothingIsReadyBeforeItHasBeenSeenToWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db, late tier
		db.answer(errTier)
		m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: db.check}, {Name: "late", Run: late.check}})
		want := func(when string, code int, need ...string) {
			t.Helper()
			if got, body, _ := serve(t, m.Handler(need...), http.MethodGet); got != code {
				t.Errorf("%s, %v: %d %s", when, need, got, body)
			}
		}
		want("before Start", 503, "db")
		want("before Start", 503, "late")
		want("before Start", 200)
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want("after the first result", 200, "late")
		for range 60 {
			want("while it was never there", 503, "db")
			want("while it was never there", 503, "late", "db")
			time.Sleep(time.Second)
		}
		db.answer(nil)
		time.Sleep(33 * time.Second)
		want("once it is there", 200, "late", "db")
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		want("closed", 200, "db")
		db.answer(errTier)
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want("started again, without it", 503, "db")
		want("started again", 200, "late")
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Readiness stayed 200 with all breakers open.
func TestATierWhoseBreakerIsOpenIsDownForReadinessIfAskedFor(t *testing.T) {
	b, err := breaker.New("mcp")
	if err != nil {
		t.Fatal(err)
	}
	ok := func(context.Context) error { return nil }
	m := monitor(t, health.Config{}, []health.Check{
		{Name: "mcp", Run: ok, Breaker: b}, {Name: "sdk", Run: ok}, {Name: "nil", Run: ok, Breaker: (*breaker.Breaker)(nil)},
	})
	for _, name := range []string{"mcp", "sdk", "nil"} {
		times(t, m, name, 1)
	}
	want := func(when string, code int, ready health.Readiness) {
		t.Helper()
		got, body, _ := serve(t, m.ReadyHandler(ready), http.MethodGet)
		if got != code || strings.Contains(body, `"open":["mcp"]`) != (code == 503) {
			t.Errorf("%s: %d %s", when, got, body)
		}
	}
	all := []string{"sdk", "mcp", "nil"}
	want("closed", 200, health.Readiness{Need: all, Breakers: true})
	for action, code := range map[breaker.Action]int{breaker.Trip: 503, breaker.ForceOpen: 503, breaker.ForceClosed: 200} {
		if _, err := b.Command(t.Context(), breaker.Command{Action: action, By: "test"}); err != nil {
			t.Fatal(err)
		}
		want(action.String(), code, health.Readiness{Need: all, Breakers: true})
		want(action.String()+", not asked for", 200, health.Readiness{Need: all})
		want(action.String()+", not needed", 200, health.Readiness{Need: []string{"sdk"}, Breakers: true})
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Lift, By: "test"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.Reset, By: "test"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Error texts name addresses and credentials; a readiness page is read by anybody.
func TestNoErrorTextLeavesTheProcess(t *testing.T) {
	for name, tc := range map[string]struct {
		run     func(context.Context) error
		problem string
	}{
		"error":   {func(context.Context) error { return errTier }, "failed"},
		"panic":   {func(context.Context) error { panic(errTier) }, "panic"},
		"timeout": {func(context.Context) error { return fmt.Errorf("%w: %w", errTier, context.DeadlineExceeded) }, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: tc.run}})
			s := times(t, m, "db", 1)
			if !strings.Contains(s.Err.Error(), "hunter2") {
				t.Fatalf("the test's secret is gone: %v", s.Err)
			}
			_, body, _ := serve(t, m.Handler("db"), http.MethodGet)
			alone, err := json.Marshal(s)
			g, _ := m.Guard("db")
			refusal := g.Run(t.Context(), func(context.Context) error { return nil })
			for _, text := range []string{body, string(alone), refusal.Error()} {
				if err != nil || strings.Contains(text, "hunter2") || strings.Contains(text, "6379") {
					t.Errorf("%v: %s", err, text)
				}
			}
			if !strings.Contains(body, fmt.Sprintf("%q:%q", "problem", tc.problem)) {
				t.Errorf("want %s: %s", tc.problem, body)
			}
		})
	}
}

func TestAStatusLogsAsAGroup(t *testing.T) {
	var out bytes.Buffer
	l := slog.New(slog.NewTextHandler(&out, nil))
	l.Info("changed", "tier", health.Status{Name: "db", Health: health.Down, Streak: 3, Took: time.Second, Err: errTier})
	for _, want := range []string{"tier.name=db", "tier.health=down", "tier.streak=3", "tier.took=1s", "tier.err="} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}

// deadlines is an answer that notes how long it may take.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

// TestNoAskerHoldsTheHandler: a body that never came, or an answer that nobody took, held a request for as long as the server
// let it, which is for ever by default.
func TestNoAskerHoldsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := monitor(t, health.Config{}, nil).Handler()
		end := time.Now().Add(10 * time.Second)
		for body, want := range map[string]deadlines{"": {write: end}, "a body": {write: end, read: end}} {
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ready", strings.NewReader(body)))
			if w.read != want.read || w.write != want.write {
				t.Errorf("with %q it may be read until %v and written until %v", body, w.read, w.write)
			}
			if waits := w.Header().Get("Connection") != "close"; waits != want.read.IsZero() {
				t.Errorf("with %q the answer waits for the body: %v", body, waits)
			}
		}
	})
}
