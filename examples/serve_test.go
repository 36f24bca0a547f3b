package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/commontrip/commontrip/tests/await"
)

// backend is a tier that says its name, or that it cannot.
type backend struct {
	*httptest.Server
	down atomic.Bool
	held atomic.Pointer[chan struct{}] // calls wait for it to be closed; nil: they do not
	in   atomic.Int64                  // calls that wait
}

func newBackend(t *testing.T, name string) *backend {
	t.Helper()
	b := new(backend)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if held := b.held.Load(); held != nil {
			b.in.Add(1)
			<-*held
		}
		if b.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(b.Close)
	return b
}

// collector takes spans, as OpenTelemetry's own would.
type collector struct {
	*httptest.Server
	mu   sync.Mutex
	sent bytes.Buffer
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, _ = io.Copy(&c.sent, r.Body)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent.String()
}

// service is the process, and its addresses.
type service struct {
	*exec.Cmd
	outside, inside string
	log             *bufio.Scanner
}

func start(t *testing.T, env []string, args ...string) *service {
	t.Helper()
	s := &service{Cmd: program(t, "service", append(args, "-listen", "127.0.0.1:0", "-inner", "127.0.0.1:0")...)}
	s.Env = append(s.Env, env...)
	stderr, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill() })
	s.log = bufio.NewScanner(stderr)
	for s.log.Scan() {
		var line struct {
			Msg, Callers string
			Pages        string `json:"inner pages"`
		}
		if err := json.Unmarshal(s.log.Bytes(), &line); err != nil {
			t.Errorf("a line of the log is not JSON: %s", s.log.Text())
		}
		if line.Msg == "serving" {
			s.outside, s.inside = line.Callers, line.Pages
			return s
		}
	}
	t.Fatal("it ended, and did not say that it serves")
	return nil
}

// served asks for a quote, which there must be, and says which tier it is from.
func (s *service) served(t *testing.T) (from string) {
	t.Helper()
	status, header, _ := fetch(t, s.outside+"/quote")
	if status != http.StatusOK {
		t.Errorf("there is no quote: status %d", status)
	}
	return header.Get("Quote-From")
}

// This is how deploy/kubernetes runs the service: callers and inner pages apart, and an end that is asked for. Its tiers fail one after
// the other.
func TestTheServiceServesAsLongAsOneTierDoesAndEndsInOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and breaks a whole service: not with -short")
	}
	if runtime.GOOS == "windows" {
		t.Skip("nothing here tells a process to end")
	}
	t.Parallel()
	quotes, mirror, traces := newBackend(t, "to err is human"), newBackend(t, "to forgive divine"), newCollector(t)
	s := start(t, []string{"HEALTH_CHECK_INTERVAL=100ms", "HEALTH_CHECK_DOWN_AFTER=1000", "CIRCUIT_BREAKER_OPEN_FOR=1h", "OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.URL},
		"-tier", quotes.URL, "-mirrors", mirror.URL)

	ready := func() bool { status, _, _ := fetch(t, s.inside+"/readyz"); return status == http.StatusOK }
	await.Until(t, "the service is ready", ready)
	await.Until(t, "the first tier serves", func() bool { return s.served(t) == "quotes" })
	for _, page := range []string{"/metrics", "/breakers/", "/healthz", "/readyz"} {
		if status, _, _ := fetch(t, s.outside+page); status != http.StatusNotFound {
			t.Errorf("callers see %s: status %d", page, status)
		}
	}

	quotes.down.Store(true)
	await.Until(t, "the second tier serves, and the breaker of the first one opens", func() bool {
		return s.served(t) == "mirrors" && !ready()
	})
	mirror.down.Store(true)
	for range 2 { // with their retries not enough to open the mirror's breaker too
		if from := s.served(t); from != "memory" {
			t.Errorf("two tiers are down, and a quote is from %q", from)
		}
	}
	for url, want := range map[string]string{
		s.inside + "/breakers/":             "<html",
		s.inside + "/breakers/api/breakers": `"http:` + strings.TrimPrefix(mirror.URL, "http://"),
		s.inside + "/readyz":                `"open":["quotes"]`,
		s.inside + "/healthz":               "",
		s.inside + "/metrics":               `commontrip_fallback_served_total{chain="quotes",tier="memory"} `,
	} {
		if _, _, body := fetch(t, url); !strings.Contains(body, want) {
			t.Errorf("%s: %.300q; want %q", url, body, want)
		}
	}
	mirror.down.Store(false)
	s.endsInOrder(t, mirror)
	for _, event := range []string{"commontrip.refused", "commontrip.retry", "commontrip.fallback_served"} {
		if !strings.Contains(traces.text(), event) {
			t.Errorf("no span was sent with %s", event)
		}
	}
}

// endsInOrder tells the service to end while a call is under way, which is served all the same.
func (s *service) endsInOrder(t *testing.T, mirror *backend) {
	t.Helper()
	held := make(chan struct{})
	mirror.held.Store(&held)
	last := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.outside+"/quote", nil)
		if err != nil {
			last <- 0
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			last <- 0
			return
		}
		_ = resp.Body.Close()
		last <- resp.StatusCode
	}()
	await.Until(t, "a call is under way", func() bool { return mirror.in.Load() > 0 })
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for s.log.Scan() && !strings.Contains(s.log.Text(), `"msg":"ending"`) {
	}
	close(held)
	if status := <-last; status != http.StatusOK {
		t.Errorf("the last call got %d", status)
	}
	var rest strings.Builder
	for s.log.Scan() {
		rest.WriteString(s.log.Text() + "\n")
	}
	if err := s.Wait(); err != nil {
		t.Errorf("told to end, it ended with %v\n%s", err, rest.String())
	}
}

func fetch(t *testing.T, url string) (status int, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}
