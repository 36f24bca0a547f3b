package deploy

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
	"github.com/commontrip/commontrip/zaplog"
)

const canary = "cAnaRy-9b1f"

// outputs is whatever was said where a secret must not be.
type outputs struct {
	mu   sync.Mutex
	said map[string]string // by where
}

func (o *outputs) add(where string, texts ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.said[where] += strings.Join(texts, "\n") + "\n"
}

// show adds every printed form of a value.
func (o *outputs) show(where string, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		o.add(where+" "+verb, fmt.Sprintf(verb, v))
	}
	if text, err := json.Marshal(v); err == nil {
		o.add(where+" JSON", string(text))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", v)
	o.add(where+" slog", log.String())
}

// hits are the places that told the canary, in any of the forms that it may take.
func (o *outputs) hits() (hits []string) {
	forms := []string{
		canary, url.QueryEscape(canary), hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("ops:" + canary)),
		base64.RawStdEncoding.EncodeToString([]byte(canary)), strings.ToLower(canary),
	}
	for where, text := range o.said {
		for _, form := range forms {
			if strings.Contains(text, form) {
				hits = append(hits, where)
			}
		}
	}
	return hits
}

// badURLs hold the canary in every place that a secret may have, and most are broken in some way.
var badURLs = []string{
	"redis://ops:CANARY@127.0.0.1:1", "redis://CANARY@127.0.0.1:1", "redis://:CANARY@127.0.0.1:1/0", "rediss://ops:CANARY@127.0.0.1:1",
	"redis://ops:CANARY%zz@127.0.0.1:1", "redis://ops:CANARY@127.0.0.1:port", "redis://ops:CANARY@127.0.0.1:1/db", "http://ops:CANARY@127.0.0.1:1",
	"redis://ops:CANARY@127.0.0.1:1?pool_size=many", "redis://ops:CANARY@127.0.0.1:1?unknown=CANARY", "ops:CANARY@127.0.0.1:1",
	"redis://127.0.0.1:1?password=CANARY", "redis://127.0.0.1:1?master_name=m&sentinel_password=CANARY&bogus=1",
	"redis://127.0.0.1:1?master_name=m&password=CANARY&username=ops", "redis://ops:CANARY@127.0.0.1:1?addr=127.0.0.1:2&bogus=1",
	"redis://ops:CANARY/CANARY@127.0.0.1", "redis://ops:a@CANARY@127.0.0.1:x", "redis:// ops:CANARY@x", "unix://ops:CANARY@/nowhere.sock?db=x",
}

// clientLog is what go-redis itself logs, in this process.
var clientLog clientLogger

type clientLogger struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *clientLogger) Printf(_ context.Context, format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", v...)
}

func (l *clientLogger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func init() { redis.SetLogger(&clientLog) } // before any client is there to read it

// tellAll lets everything that knows a store's URL say all that it can, a replica on that store too if wanted.
func tellAll(t *testing.T, o *outputs, address string, replica bool) {
	t.Helper()
	c, err := config.From([]string{"CIRCUIT_BREAKER_STORE_URL=" + address})
	o.show("config", c)
	if err != nil {
		o.show("config's error", err)
	}
	s, err := redisstore.Open(address, redisstore.WithTimeout(200*time.Millisecond))
	if err != nil {
		o.show("Open", err)
		return
	}
	defer s.Close()
	o.show("store", s)
	o.show("store's info", s.Info())
	ctx, cancel := await.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, readErr := s.Read(ctx)
	_, versionsErr := s.Versions(ctx, "mcp")
	_, claimErr := s.Claim(ctx, store.Claim{Name: "mcp", ID: "c", Policy: store.DefaultPolicy(), Replica: "a#1", Want: 1})
	_, commandErr := s.Command(ctx, store.Command{Name: "mcp", Action: store.Trip, By: "oncall"})
	_, rosterErr := s.Roster(ctx, "mcp")
	_, historyErr := s.History(ctx, "mcp", 0)
	o.show("verbs", errors.Join(s.Ping(ctx), readErr, versionsErr, claimErr, commandErr, rosterErr, historyErr, s.Remove(ctx, "mcp"),
		s.Sync(ctx, []store.Report{{Name: "mcp", Policy: store.DefaultPolicy(), Replica: "a#1", Seq: 1}})[0].Err))
	if replica {
		replicaTells(ctx, t, o, s)
	}
}

// replicaTells does the same with a replica on the store: its events, logs, metrics, page, and a panic on its way through.
func replicaTells(ctx context.Context, t *testing.T, o *outputs, s store.Store) {
	t.Helper()
	var log, zapped bytes.Buffer
	var logging sync.Mutex
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	zapLogger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&zapped), zap.DebugLevel))
	toZap := zaplog.Listener(zapLogger)
	lost := make(chan struct{}, 64)
	m, err := breaker.NewManager(s, breaker.WithReplica("web-1"), breaker.WithPolicy(store.Policy{ConsecutiveFailures: 1, OpenFor: time.Minute}),
		breaker.WithTiming(breaker.Timing{StaleAfter: 100 * time.Millisecond, RefreshInterval: 50 * time.Millisecond, StartTimeout: 100 * time.Millisecond}),
		breaker.WithListener(func(e breaker.Event) {
			logging.Lock()
			defer logging.Unlock()
			logger.Info("event", "event", e)
			toZap(e)
			o.show("event", e)
			if e.Kind == breaker.StoreLost {
				lost <- struct{}{}
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	o.show("manager", m) // now: it is looked into as it is, and has no goroutines yet
	b, err := m.Register(ctx, "mcp")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-lost:
	case <-ctx.Done():
		t.Fatal("a store that does not answer was never said to be lost")
	}
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond) // which Sync waits for in vain
	defer cancel()
	notSynced := m.Sync(short)
	o.show("Sync", notSynced)
	func() {
		defer func() { o.add("panic", fmt.Sprint(recover()), string(debug.Stack())) }()
		_ = b.Run(ctx, func(context.Context) error { panic(notSynced) })
	}()
	o.show("refusal", b.Run(ctx, func(context.Context) error { return nil }))
	o.show("status", m.Status())
	_, err = m.Command(ctx, breaker.Command{Name: "mcp", Action: store.Trip, By: "oncall", Why: "x"})
	o.show("command", err)
	pagesTell(t, o, s, m)
	o.show("Close", m.Close(short))
	logging.Lock()
	defer logging.Unlock()
	o.add("slog", log.String())
	o.add("zap", zapped.String())
}

func pagesTell(t *testing.T, o *outputs, s store.Store, m *breaker.Manager) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(m))
	page, err := dashboard.New(s, dashboard.WithManager(m), dashboard.WithOperator(func(*http.Request) (string, error) { return "ops", nil }),
		dashboard.WithAudit(func(a dashboard.Audit) { o.show("audit", a) }))
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close(context.WithoutCancel(t.Context()))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", page)
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{"/metrics", "/", "/api/breakers", "/api/breakers/mcp", "/api/breakers/mcp/history", "/api/breakers/mcp/roster"} {
		answer, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		o.add("page "+path, string(text), fmt.Sprint(answer.Header))
	}
	answer, err := server.Client().Post(server.URL+"/api/breakers/mcp/command", "application/json", strings.NewReader(`{"action":"trip","why":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	o.add("page's command", string(text))
	streamTells(t, o, server)
}

// streamTells reads a stream as far as its first tick, which says how the store is.
func streamTells(t *testing.T, o *outputs, server *httptest.Server) {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var told strings.Builder
	for piece := make([]byte, 4096); !strings.Contains(told.String(), "event: tick"); {
		n, err := answer.Body.Read(piece)
		told.Write(piece[:n])
		if err != nil {
			t.Errorf("the stream ended before its first tick: %v", err)
			break
		}
	}
	o.add("page's stream", told.String())
}

func TestScenario36ThePasswordIsNowhere(t *testing.T) {
	scenario := scoreboard.Start(t, 36, "secrets: a canary for a password, in every output")
	guarded := redistest.Start(t, "--requirepass", "another")
	o := &outputs{said: map[string]string{}}
	addresses := badURLs
	for _, form := range []string{"redis://ops:CANARY@%s", "redis://:CANARY@%s", "redis://%s?password=CANARY&username=ops", "rediss://:CANARY@%s"} {
		addresses = append(addresses[:len(addresses):len(addresses)], fmt.Sprintf(form, guarded.Addr()))
	}
	for i, address := range addresses {
		tellAll(t, o, strings.ReplaceAll(address, "CANARY", canary), scenario.Full() || i%len(badURLs) < 4)
	}
	o.add("go-redis's log", clientLog.String())
	hits := o.hits()
	if len(hits) > 0 {
		t.Errorf("told by %q", hits)
	}
	bytes := 0
	for _, text := range o.said {
		bytes += len(text)
	}
	scenario.AtLeast("URLs", len(addresses), 20)
	scenario.AtLeast("places looked at", len(o.said), 100)
	scenario.Report("bytes looked through", bytes)
	scenario.Zero("places that told the password", len(hits))
}

// The search finds what is there.
func TestAToldPasswordIsFound(t *testing.T) {
	for _, told := range []string{"x" + canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("ops:" + canary))} {
		o := &outputs{said: map[string]string{}}
		o.show("there", told)
		if len(o.hits()) == 0 {
			t.Errorf("%s was not found", told)
		}
	}
}
