package browser_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/tests/await"
)

var update = flag.Bool("update", false, "renew the screenshots in docs/img")

// deadline bounds every wait, in the machine's own time.
const deadline = 60 * time.Second

// chromium finds the browser, or skips.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const hint = "no chromium in PATH; get it with scripts/install-chromium.sh"
	if os.Getenv("REQUIRE_CHROMIUM") == "1" {
		t.Fatal(hint)
	}
	t.Skip(hint)
	return ""
}

// shared is the one browser of all tests, started by the first. evil.test is a name of this machine in it.
var shared struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	folder string
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if shared.ctx != nil {
		_ = chromedp.Cancel(shared.ctx) // waits for the browser's end, so that its folder can go
		shared.cancel()
		_ = os.RemoveAll(shared.folder)
	}
	os.Exit(code)
}

// start starts the shared browser.
func start(path string) {
	folder, err := os.MkdirTemp("", "browser")
	if err != nil {
		panic(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(folder), chromedp.WindowSize(1320, 900),
		chromedp.WSURLReadTimeout(time.Hour), // a busy machine starts a browser slowly; the test's own end bounds it
		chromedp.Flag("host-resolver-rules", "MAP evil.test 127.0.0.1"))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	shared.folder, shared.cancel = folder, cancel
	shared.ctx, _ = chromedp.NewContext(ctx)
	if err := chromedp.Do(shared.ctx); err != nil {
		panic(err)
	}
}

// tab is a page that notes what went wrong on it.
type tab struct {
	*testing.T
	ctx   context.Context
	close func()
	mu    sync.Mutex
	bad   []string // what the console said and the page threw
}

func open(t *testing.T) *tab {
	t.Helper()
	path := chromium(t)
	shared.once.Do(func() { start(path) })
	ctx, cancel := chromedp.NewContext(shared.ctx)
	one := &tab{T: t, ctx: ctx, close: cancel}
	t.Cleanup(cancel)
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			one.mu.Lock()
			one.bad = append(one.bad, fmt.Sprintf("%s: %s", m.Type, m.Text))
			one.mu.Unlock()
		}
	}()
	one.do(chromedp.EmulateViewport(1320, 900))
	return one
}

func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.ctx, deadline)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%v\non the console: %q", err, t.said())
	}
}

// said is what the console has said so far.
func (t *tab) said() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string{}, t.bad...)
}

// watchForScripts makes every page that the tab opens from now on note what no page of ours ever does: a dialog, a break of
// its Content-Security-Policy, and calls of hacked, which the texts of the tests would make where any ran.
func (t *tab) watchForScripts() {
	t.Helper()
	t.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
			window.caught = [];
			window.hacked = (what) => { window.caught.push('ran: ' + what); };
			for (const name of ['alert', 'confirm', 'prompt', 'print']) window[name] = () => { window.caught.push(name); };
			window.addEventListener('securitypolicyviolation', (e) => { window.caught.push(e.violatedDirective + ' ' + e.blockedURI); });
		`})
		return chromedp.Void{}, err
	})
}

// caught is what the page noted.
func (t *tab) caught() []string {
	t.Helper()
	return evaluate[[]string](t, "window.caught")
}

// await waits until the expression is true on the page.
func (t *tab) await(expression string) {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.ctx, deadline+*shotTime)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0))); err != nil {
		body, _ := chromedp.Run(t.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("waiting for %s: %v\non the console: %q\non the page: %.2000s", expression, err, t.said(), body)
	}
}

func evaluate[T any](t *tab, expression string) T {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.ctx, deadline)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// serve mounts a dashboard of s below a prefix, as an application would.
func serve(t *testing.T, s store.Store, opts ...dashboard.Option) (address string, h *dashboard.Handler) {
	t.Helper()
	h, err := dashboard.New(s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ops/breakers/", http.StripPrefix("/ops/breakers", h))
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return server.URL + "/ops/breakers/", h
}

func alice(*http.Request) (string, error) { return "alice", nil }

// fleet is replicas that report on breakers, without a Manager.
type fleet struct {
	t     *testing.T
	store *memorystore.Store
	seq   map[string]uint64
}

func newFleet(t *testing.T, opts ...memorystore.Option) *fleet {
	s := memorystore.New(opts...)
	t.Cleanup(func() { _ = s.Close() })
	return &fleet{t, s, map[string]uint64{}}
}

// report lets a replica report runs of the current generation.
func (f *fleet) report(name, replica string, p store.Policy, ownOpen bool, rejected uint64, runs ...store.Run) {
	f.t.Helper()
	versions, err := f.store.Versions(f.t.Context(), name)
	if err != nil {
		f.t.Fatal(err)
	}
	r := store.Report{Name: name, Policy: p, Replica: replica + "#1f2e", MaxAge: time.Minute, Runs: runs, OwnOpen: ownOpen, Rejected: rejected}
	if len(versions) == 1 {
		r.Generation = versions[0].Generation
	}
	f.seq[name+"\x00"+replica]++
	r.Seq = f.seq[name+"\x00"+replica]
	r.Announce = r.Seq == 1 && len(versions) == 0
	if err := f.store.Sync(f.t.Context(), []store.Report{r})[0].Err; err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) command(c store.Command) {
	f.t.Helper()
	if _, err := f.store.Command(f.t.Context(), c); err != nil {
		f.t.Fatal(err)
	}
}

func good(n int) store.Run { return store.Run{Outcome: store.Success, Count: n} }

func bad(n int, label string) store.Run {
	return store.Run{Outcome: store.Failure, Count: n, Label: label}
}

// row is the page's selector of a breaker's row.
func row(name string) string {
	return "[...document.querySelectorAll('li.row')].find((row) => row.dataset.name === " + js(name) + ")"
}
