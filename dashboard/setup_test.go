package dashboard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline bounds every wait of a test that uses sockets.
const deadline = time.Minute

var policy = store.Policy{ConsecutiveFailures: 3, OpenFor: time.Minute}

// seed makes breakers by one report of three good calls each.
func seed(t testing.TB, names ...string) *memorystore.Store {
	t.Helper()
	s := memorystore.New()
	t.Cleanup(func() { _ = s.Close() })
	for _, name := range names {
		report(t, s, name, 1, store.Run{Outcome: store.Success, Count: 3})
	}
	return s
}

func report(t testing.TB, s store.Store, name string, seq uint64, runs ...store.Run) {
	t.Helper()
	r := store.Report{Name: name, Policy: policy, Replica: "web-1#a1", Seq: seq, MaxAge: time.Minute, Announce: seq == 1, Runs: runs}
	if err := s.Sync(context.Background(), []store.Report{r})[0].Err; err != nil {
		t.Fatal(err)
	}
}

func trip(t testing.TB, s store.Store, name string) {
	t.Helper()
	c := store.Command{Name: name, Action: store.Trip, By: "oncall", Why: "test"}
	if _, err := s.Command(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

func versionOf(t testing.TB, s store.Store, name string) store.Version {
	t.Helper()
	versions, err := s.Versions(context.Background(), name)
	if err != nil || len(versions) != 1 {
		t.Fatalf("versions of %q: %v, %v", name, versions, err)
	}
	return versions[0]
}

func handler(t testing.TB, s store.Store, opts ...dashboard.Option) *dashboard.Handler {
	t.Helper()
	h, err := dashboard.New(s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// byHeader names the operator as the header X-User does; "broken" is an error.
func byHeader(r *http.Request) (string, error) {
	switch user := r.Header.Get("X-User"); user {
	case "broken":
		return "mallory", errors.New("the directory of users is away")
	default:
		return user, nil
	}
}

// audits collects what WithAudit tells.
type audits struct {
	mu   sync.Mutex
	told []dashboard.Audit
}

func (a *audits) add(one dashboard.Audit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, one)
}

func (a *audits) take() []dashboard.Audit {
	a.mu.Lock()
	defer a.mu.Unlock()
	told := a.told
	a.told = nil
	return told
}

// answer is what came back of one request.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask serves one request in process, as for the host 127.0.0.1.
func ask(h http.Handler, method, target, body string, header ...string) answer {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Result().Header, w.Body.String()}
}

func get(h http.Handler, target string) answer { return ask(h, http.MethodGet, target, "") }

func decode[T any](t testing.TB, a answer) T {
	t.Helper()
	var value T
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return value
}

// raw sends text as it is, with HOST replaced by the server's address, and reads one answer.
func raw(t testing.TB, address, text string) answer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, deadline)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(deadline))
	head, body, _ := strings.Cut(strings.ReplaceAll(text, "HOST", address), "\n\n")
	if !strings.Contains(head, "Transfer-Encoding") {
		head += fmt.Sprintf("\nContent-Length: %d", len(body))
	}
	head = strings.ReplaceAll(head, "\n", "\r\n") + "\r\nConnection: close\r\n\r\n"
	go func() { _, _ = io.WriteString(conn, head+body) }() // a server that refuses may not read it all
	method, _, _ := strings.Cut(head, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	var got bytes.Buffer
	_, _ = io.Copy(&got, response.Body)
	return answer{response.StatusCode, response.Header, got.String()}
}
