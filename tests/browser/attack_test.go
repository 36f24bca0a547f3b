package browser_test

import (
	_ "embed"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

//go:embed attacker.html
var attacker string

// target is a dashboard that an operator's browser can reach, and whose commands that browser may give.
type target struct {
	*fleet
	address string
	before  store.Version
	carried atomic.Int64 // commands that were carried out
}

func newTarget(t *testing.T) *target {
	t.Helper()
	x := &target{fleet: newFleet(t)}
	x.report("mcp", "web-1", steady, false, 0, good(10))
	x.before = x.version()
	x.address, _ = serve(t, x.store, dashboard.WithOperator(alice), dashboard.WithAudit(func(a dashboard.Audit) {
		if a.Err == nil {
			x.carried.Add(1)
		}
	}))
	return x
}

func (x *target) version() store.Version {
	x.t.Helper()
	versions, err := x.store.Versions(x.t.Context(), "mcp")
	if err != nil || len(versions) != 1 {
		x.t.Fatal(versions, err)
	}
	return versions[0]
}

// unharmed says so where an attack changed something.
func (x *target) unharmed(by string) bool {
	x.t.Helper()
	if after := x.version(); after != x.before || x.carried.Load() > 0 {
		x.t.Errorf("%s: %v became %v, by %d commands", by, x.before, after, x.carried.Load())
		return false
	}
	return true
}

// blind are attempts that another site's page may make without being told what became of them.
var blind = []string{
	"opaque", // a fetch that cannot be looked into
	"sent",   // a form or a beacon
}

// assail opens another site's page and lets it try all it can.
func (x *target) assail(page *tab) (attempts, succeeded int) {
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, strings.ReplaceAll(attacker, "TARGET", x.address))
	}))
	defer evil.Close()
	page.do(chromedp.Navigate(strings.Replace(evil.URL, "127.0.0.1", "evil.test", 1)))
	page.await("window.results !== undefined")
	results := evaluate[map[string]string](page, "window.results")
	for _, name := range slices.Sorted(maps.Keys(results)) {
		attempts++
		if got := results[name]; got != "refused" && !slices.Contains(blind, got) {
			succeeded++
			page.Errorf("%s: %q", name, got)
		}
	}
	if !x.unharmed("another site's page") {
		succeeded++
	}
	framed := slices.ContainsFunc(page.said(), func(said string) bool {
		return strings.Contains(said, "frame-ancestors") || strings.Contains(said, "Framing")
	})
	if !framed {
		page.Errorf("nothing says that the frame was refused: %q", page.said())
	}
	return attempts, succeeded
}

func TestAPageOfAnotherSiteCanNeitherCommandNorReadNorFrame(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes the browser for long; the handler refuses the same requests in package dashboard")
	}
	page := open(t)
	if attempts, _ := newTarget(t).assail(page); attempts < 30 {
		t.Errorf("%d attempts; the page did not make all of them", attempts)
	}
}

// rebound are requests of a page whose own name points at the dashboard.
var rebound = []string{
	"fetch('api/breakers')",
	"fetch('api/breakers/mcp')",
	"fetch('api/breakers/mcp/history')",
	"fetch('app.js')",
	"fetch('api/events')",
	"fetch('api/breakers/mcp/command', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{\"action\":\"trip\",\"why\":\"x\"}'})",
}

// rebind opens the dashboard by a name that is none of its own.
func (x *target) rebind(page *tab) (attempts, succeeded int) {
	page.do(chromedp.Navigate(strings.Replace(x.address, "127.0.0.1", "evil.test", 1)))
	page.await("document.body.textContent.includes('this host is not one of WithHosts')")
	for _, request := range rebound {
		attempts++
		evaluate[string](page, "window.got = '', "+request+".then((r) => { window.got = String(r.status); }, (e) => { window.got = String(e); }), ''")
		page.await("window.got !== ''")
		if got := evaluate[string](page, "window.got"); got != "403" {
			succeeded++
			page.Errorf("%s by a rebound name: %s", request, got)
		}
	}
	if !x.unharmed("a rebound name") {
		succeeded++
	}
	return attempts, succeeded
}

func TestANameReboundToThisServerReachesNothing(t *testing.T) {
	page := open(t)
	newTarget(t).rebind(page)
}

func TestScenario34AnotherSitesPageGetsNowhereInABrowser(t *testing.T) {
	scenario := scoreboard.Start(t, 34, "dashboard: another site's page, and a rebound name, in a browser")
	page := open(t)
	x := newTarget(t)
	attempts, succeeded := x.assail(page)
	more, alsoSucceeded := x.rebind(open(t))
	scenario.AtLeast("attacks", attempts+more, 30)
	scenario.Zero("attacks that succeeded", succeeded+alsoSucceeded)

	own := open(t)
	own.watchForScripts()
	own.do(chromedp.Navigate(x.address), chromedp.Click(chromedp.CSS("li.row a")))
	own.await("document.querySelector('h1')?.textContent === 'mcp' && document.querySelectorAll('.policy tr').length > 0")
	scenario.Zero("violations of its own policy by the page", len(own.caught()))
}
