package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
)

func TestTheAPIGivesTheStoresOwnJSON(t *testing.T) {
	s := seed(t, "b", "a")
	trip(t, s, "b")
	h := handler(t, s)
	all := decode[[]store.Snapshot](t, get(h, "/api/breakers"))
	if len(all) != 2 || all[0].Name != "a" || all[1].State != store.Open || all[1].Totals.Calls != 3 {
		t.Errorf("all: %+v", all)
	}
	if one := decode[store.Snapshot](t, get(h, "/api/breakers/b")); one.Name != "b" || one.RetryIn <= 0 {
		t.Errorf("one: %+v", one)
	}
	history := decode[[]store.Transition](t, get(h, "/api/breakers/b/history?limit=1"))
	if len(history) != 1 || history[0].Action != store.Trip || history[0].Cause != "oncall" || history[0].Why != "test" {
		t.Errorf("history: %+v", history)
	}
	roster := decode[[]map[string]any](t, get(h, "/api/breakers/b/roster"))
	if len(roster) != 1 || roster[0]["name"] != "web-1#a1" || roster[0]["calls"] != 3.0 || roster[0]["conflict"] != false {
		t.Errorf("roster: %+v", roster)
	}
}

func TestWhatIsNotThereIsNotFoundAndWhatIsEmptyIsAnArray(t *testing.T) {
	h := handler(t, seed(t))
	if got := get(h, "/api/breakers"); got.status != 200 || got.body != "[]\n" {
		t.Errorf("no breakers: %d %q", got.status, got.body)
	}
	for _, route := range []string{"/api/breakers/x", "/api/breakers/x/history", "/api/breakers/x/roster", "/api/breakers/", "/api/", "/api/x"} {
		if got := get(h, route); got.status != 404 || !strings.Contains(got.body, `"error"`) {
			t.Errorf("%s: %d %s", route, got.status, got.body)
		}
	}
	h = handler(t, seed(t, "quiet"))
	if got := get(h, "/api/breakers/quiet/history"); got.status != 200 || got.body != "[]\n" {
		t.Errorf("a breaker without history: %d %q", got.status, got.body)
	}
}

// names are legal and nasty.
var names = []string{
	"a/b", "a//b", "/", "%2F", "%", "a%zz", "a b", "?x=1", "#top", "a&b=c", "..", ".", "../../etc", "ключ", "{tag}", "*[", "~", "-",
	`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `{{constructor}}`, `'`, `\`, "a;b", "command", "é", "\U0001F600",
}

func TestAnyNameCanBeAskedForAndCommanded(t *testing.T) {
	s := seed(t, names...)
	h := handler(t, s, dashboard.WithOperator(func(*http.Request) (string, error) { return "alice", nil }))
	for _, prefix := range []string{"", "/ops/breakers"} {
		mux := http.NewServeMux()
		mux.Handle(prefix+"/", http.StripPrefix(prefix, h))
		for _, name := range names {
			path := prefix + "/api/breakers/" + url.PathEscape(name)
			query := ""
			if name == "." || name == ".." { // no browser or mux lets these be a segment
				path, query = prefix+"/api/breakers/-", "?name="+url.QueryEscape(name)
			}
			if one := decode[store.Snapshot](t, get(mux, path+query)); one.Name != name {
				t.Errorf("%s gave %q, want %q", path, one.Name, name)
			}
			got := ask(mux, http.MethodPost, path+"/command"+query, `{"action":"trip","why":"test"}`, "Content-Type", "application/json")
			if one := decode[store.Snapshot](t, got); one.Name != name || one.State != store.Open {
				t.Errorf("a command to %q gave %+v", name, one)
			}
		}
	}
}

func TestACommandIsSignedByTheOperatorFunctionWhateverTheBodySays(t *testing.T) {
	s := seed(t, "mcp")
	var heard audits
	h := handler(t, s, dashboard.WithOperator(byHeader), dashboard.WithAudit(heard.add))
	body := `{"name":"mcp","action":"force-open","for_ms":60000,"by":"mallory","why":"INC-42"}`
	got := ask(h, http.MethodPost, "/api/breakers/mcp/command", body, "Content-Type", "application/json; charset=utf-8", "X-User", "alice")
	after := decode[store.Snapshot](t, got)
	if after.Mode != store.ForcedOpen || after.ModeNote.By != "alice" || after.ModeNote.Why != "INC-42" || !after.ModeNote.Timed {
		t.Errorf("after it: %+v", after)
	}
	told := heard.take()
	want := store.Command{Name: "mcp", Action: store.ForceOpen, For: time.Minute, By: "alice", Why: "INC-42"}
	if len(told) != 1 || told[0].Command != want || told[0].Err != nil || told[0].Status != 200 {
		t.Errorf("audit: %+v", told)
	}
	if text := told[0].LogValue().String(); !strings.Contains(text, "force-open") || !strings.Contains(text, "alice") {
		t.Errorf("in a log: %s", text)
	}
}

func TestEveryActionCanBeGiven(t *testing.T) {
	s := seed(t, "mcp")
	h := handler(t, s, dashboard.WithOperator(func(*http.Request) (string, error) { return "alice", nil }))
	for _, step := range []struct {
		body string
		want func(store.Snapshot) bool
	}{
		{`{"action":"force-closed","why":"x"}`, func(s store.Snapshot) bool { return s.Mode == store.ForcedClosed && !s.ModeNote.Timed }},
		{`{"action":"lift","why":"x"}`, func(s store.Snapshot) bool { return s.Mode == store.Auto }},
		{`{"action":"trip","why":"x","for_ms":5000}`, func(s store.Snapshot) bool { return s.State == store.Open && s.RetryIn <= 5*time.Second }},
		{`{"action":"reset","why":"x"}`, func(s store.Snapshot) bool { return s.State == store.Closed }},
		{`{"action":"retune","why":"x","policy":{"failure_rate":0.25}}`, func(s store.Snapshot) bool { return s.Retuned && s.Policy.FailureRate == 0.25 }},
		{`{"action":"restore","why":"x"}`, func(s store.Snapshot) bool { return !s.Retuned }},
	} {
		got := ask(h, http.MethodPost, "/api/breakers/mcp/command", step.body, "Content-Type", "application/json")
		if after := decode[store.Snapshot](t, got); !step.want(after) {
			t.Errorf("%s gave %+v", step.body, after)
		}
	}
}

func TestABadPolicyIsRefusedWithItsFieldAndRange(t *testing.T) {
	h := handler(t, seed(t, "mcp"), dashboard.WithOperator(func(*http.Request) (string, error) { return "alice", nil }))
	got := ask(h, http.MethodPost, "/api/breakers/mcp/command", `{"action":"retune","why":"x","policy":{"probes":5000}}`, "Content-Type", "application/json")
	var problem struct{ Error, Field, Range string }
	if err := json.Unmarshal([]byte(got.body), &problem); err != nil || got.status != 400 || problem.Field != "Probes" || !strings.HasPrefix(problem.Range, "1..1000") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestWithoutAnOperatorFunctionItIsReadOnly(t *testing.T) {
	s := seed(t, "mcp")
	before := versionOf(t, s, "mcp")
	got := ask(handler(t, s), http.MethodPost, "/api/breakers/mcp/command", `{"action":"trip","why":"x"}`, "Content-Type", "application/json")
	if got.status != 403 || !strings.Contains(got.body, "read-only") || versionOf(t, s, "mcp") != before {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestHostsAreAddressesLocalhostAndWhatIsAllowed(t *testing.T) {
	s := seed(t)
	h := handler(t, s, dashboard.WithHosts("Ops.Example.org."))
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "[::1]": 200, "10.1.2.3:80": 200, "localhost": 200, "LOCALHOST:1": 200,
		"app.localhost": 200, "ops.example.org": 200, "OPS.example.org.:443": 200, "ops.example.org.evil.test": 403, "evil.test": 403, "": 403,
		"example.com": 200, // httptest's own name, in a request that no server took in
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q: %d, want %d", host, w.Code, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "anything.test"
	w := httptest.NewRecorder()
	handler(t, s, dashboard.WithHosts("*")).ServeHTTP(w, r)
	if w.Code != 200 {
		t.Errorf("* does not admit %q: %d", r.Host, w.Code)
	}
}

func TestThePageIsReachedWithoutItsFinalSlash(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/ops/breakers", http.StripPrefix("/ops/breakers", handler(t, seed(t))))
	got := get(mux, "/ops/breakers")
	if got.status != http.StatusPermanentRedirect || got.header.Get("Location") != "./breakers/" {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
}

// brokenStore is a store that does not answer.
type brokenStore struct {
	store.Store
	err error
}

func (s brokenStore) Read(context.Context, ...string) ([]store.Snapshot, error) { return nil, s.err }

func TestAStoreThatIsAwayIsSaidWithoutItsAddress(t *testing.T) {
	h := handler(t, brokenStore{seed(t), errors.New("dial tcp 10.9.8.7:6379: refused")})
	for _, route := range []string{"/api/breakers", "/api/breakers/x"} {
		got := get(h, route)
		if got.status != 503 || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "10.9.8.7") {
			t.Errorf("%s: %d %s", route, got.status, got.body)
		}
	}
}

func TestAReplicasOwnViewIsAdded(t *testing.T) {
	s := seed(t)
	m, err := breaker.NewManager(s, breaker.WithReplica("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	b, err := m.Register(t.Context(), "mcp")
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Run(t.Context(), func(context.Context) error { return nil })
	h := handler(t, s, dashboard.WithManager(m))
	one := decode[struct {
		Name string
		Here *struct{ State, Verdict string }
	}](t, get(h, "/api/breakers/mcp"))
	if one.Name != "mcp" || one.Here == nil || one.Here.State != "closed" || one.Here.Verdict != "fleet" {
		t.Errorf("%+v", one)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	s := seed(t)
	for name, opt := range map[string]dashboard.Option{
		"a nil option": nil, "no manager": dashboard.WithManager(nil), "no monitor": dashboard.WithHealth(nil),
		"no operator": dashboard.WithOperator(nil), "no audit": dashboard.WithAudit(nil),
		"a host with a scheme": dashboard.WithHosts("https://ops.example.org"), "an empty host": dashboard.WithHosts(""),
		"no streams": dashboard.WithMaxStreams(0),
	} {
		if _, err := dashboard.New(s, opt); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := dashboard.New(nil); err == nil {
		t.Error("no store was taken")
	}
}

func TestReadingChangesNothing(t *testing.T) {
	s := seed(t, "mcp")
	trip(t, s, "mcp")
	before := versionOf(t, s, "mcp")
	h := handler(t, s)
	for range 20 {
		for _, route := range []string{"/", "/api/breakers", "/api/breakers/mcp", "/api/breakers/mcp/history", "/api/breakers/mcp/roster"} {
			if got := get(h, route); got.status != 200 {
				t.Fatalf("%s: %d", route, got.status)
			}
		}
	}
	if after := versionOf(t, s, "mcp"); after != before {
		t.Errorf("%v became %v", before, after)
	}
}

// The page's own sources: what its Content-Security-Policy forbids must not be there, since it would not work.
func TestThePageHasNothingInlineAndMakesNoMarkupOfText(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.srcdoc|DOMParser|createContextualFragment`)
	inline := regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+=|javascript:`)
	elsewhere := regexp.MustCompile(`https?://[^w]|//cdn|@import`)
	err := fs.WalkDir(os.DirFS("ui"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile("ui/" + path)
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s uses %s", path, found)
		}
		if found := inline.Find(text); found != nil && strings.HasSuffix(path, ".html") {
			t.Errorf("%s has %s", path, found)
		}
		if found := elsewhere.Find(text); found != nil {
			t.Errorf("%s fetches from elsewhere: %s", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheRetuneFormKnowsEveryFieldOfAPolicyAndItsRange(t *testing.T) {
	var fields []struct {
		Key, Field, Unit, Zero string
		Min, Max               float64
	}
	if err := json.Unmarshal([]byte(get(handler(t, seed(t)), "/policy.json").body), &fields); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(store.Policy{}.WithDefaults())
	var known map[string]any
	if err := json.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if _, ok := known[f.Key]; !ok {
			t.Errorf("a policy has no %q", f.Key)
		}
		delete(known, f.Key)
		if f.Unit == "yes" {
			continue
		}
		for value, good := range map[float64]bool{f.Min: true, f.Max: true, f.Max + 1: false, -1: false} {
			err := policyWith(t, f.Key, value).Validate()
			var bad *store.PolicyError
			if errors.As(err, &bad) && bad.Field != f.Field || good != (err == nil) {
				t.Errorf("%s = %v: %v", f.Key, value, err)
			}
		}
	}
	if len(known) > 0 {
		t.Errorf("the form lacks %v", known)
	}
}

// policyWith sets one field beside what lets it have its whole range.
func policyWith(t *testing.T, key string, value float64) store.Policy {
	t.Helper()
	fields := map[string]any{key: value}
	switch key {
	case "min_calls": // of a window of calls, at most that
		fields["window_time_ms"] = 1000
	case "slow_call_rate":
		fields["slow_call_after_ms"] = 1
	case "open_for_max_ms":
		fields["open_for_ms"] = 1
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var p store.Policy
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}
