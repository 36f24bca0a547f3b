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
	"time"

	"github.com/commontrip/commontrip/health"
)

func serve(t *testing.T, h http.Handler, method string) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/ready", nil))
	return w.Code, w.Body.String(), w.Header()
}

func TestTheHandlerIs503OnlyWhereANeededTierIsDown(t *testing.T) {
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
		{[]string{"unknown", "up"}, 200, `"ready":true`},
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
