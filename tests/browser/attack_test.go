package browser_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/commontrip/commontrip/dashboard"
)

// attacker is what a page of another site can try on a dashboard that its visitor can reach; TARGET is the address.
const attacker = `<!doctype html><title>attacker</title>
<iframe id="framed" src="TARGET"></iframe>
<iframe name="sink"></iframe>
<form id="form" method="post" target="sink" enctype="text/plain" action="TARGETapi/breakers/mcp/command">
<input name='{"action":"trip","why":"x","' value='":0}'></form>
<script>
const command = 'TARGETapi/breakers/mcp/command';
const body = '{"action":"trip","why":"attack"}';
const results = {};
const attempt = (name, promise) => promise.then((v) => { results[name] = v; }, () => { results[name] = 'refused'; });
const post = (options) => fetch(command, { method: 'POST', credentials: 'include', body, ...options }).then((r) => r.type);
window.done = Promise.all([
  attempt('no-cors', post({ mode: 'no-cors', headers: { 'Content-Type': 'text/plain' } })),
  attempt('cors', post({ headers: { 'Content-Type': 'application/json' } })),
  attempt('cors simple', post({ headers: { 'Content-Type': 'text/plain' } })),
  attempt('beacon', Promise.resolve(String(navigator.sendBeacon(command, new Blob([body], { type: 'text/plain' }))))),
  attempt('read', fetch('TARGETapi/breakers').then((r) => r.text())),
  attempt('image', new Promise((yes, no) => { const i = new Image(); i.onload = () => yes('loaded'); i.onerror = no; i.src = command; })),
  attempt('script', new Promise((yes, no) => { const s = document.createElement('script'); s.onload = () => yes('loaded'); s.onerror = no; s.src = 'TARGETapp.js'; document.head.append(s); })),
  attempt('stream', new Promise((yes, no) => { const e = new EventSource('TARGETapi/events'); e.addEventListener('hello', () => yes('told')); e.onerror = () => { e.close(); no(); }; })),
  attempt('form', new Promise((yes) => { document.querySelector('[name=sink]').onload = () => yes('sent'); document.querySelector('#form').submit(); })),
]).then(() => { window.results = results; });
</script>`

func TestAPageOfAnotherSiteCanNeitherCommandNorReadNorFrame(t *testing.T) {
	page := open(t)
	f := newFleet(t)
	f.report("mcp", "web-1", steady, false, 0, good(10))
	before, _ := f.store.Versions(t.Context(), "mcp")
	address, _ := serve(t, f.store, dashboard.WithOperator(alice))
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, strings.ReplaceAll(attacker, "TARGET", address))
	}))
	defer evil.Close()
	page.do(chromedp.Navigate(strings.Replace(evil.URL, "127.0.0.1", "evil.test", 1)))
	page.await("window.results !== undefined")
	results := evaluate[map[string]string](page, "window.results")
	for _, name := range []string{"cors", "cors simple", "read", "image", "script", "stream"} {
		if results[name] != "refused" {
			t.Errorf("%s: %q", name, results[name])
		}
	}
	if evaluate[bool](page, "(() => { try { return Boolean(document.querySelector('#framed').contentDocument?.querySelector('main')); } catch { return false; } })()") {
		t.Error("the page was framed")
	}
	framed := false
	for _, said := range page.said() {
		framed = framed || strings.Contains(said, "frame-ancestors") || strings.Contains(said, "Framing")
	}
	if !framed {
		t.Errorf("nothing says that the frame was refused: %q", page.said())
	}
	if after, _ := f.store.Versions(t.Context(), "mcp"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v became %v", before, after)
	}
	t.Logf("results %v", results)
}

func TestANameReboundToThisServerReachesNothing(t *testing.T) {
	page := open(t)
	f := newFleet(t)
	f.report("mcp", "web-1", steady, false, 0, good(10))
	before, _ := f.store.Versions(t.Context(), "mcp")
	address, _ := serve(t, f.store, dashboard.WithOperator(alice))
	rebound := strings.Replace(address, "127.0.0.1", "evil.test", 1)
	page.do(chromedp.Navigate(rebound))
	page.await("document.body.textContent.includes('this host is not one of WithHosts')")
	evaluate[string](page, "window.got = '', fetch('api/breakers/mcp/command', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{\"action\":\"trip\",\"why\":\"x\"}'}).then((r) => { window.got = String(r.status); }, (e) => { window.got = String(e); }), ''")
	page.await("window.got !== ''")
	if got := evaluate[string](page, "window.got"); got == "200" {
		t.Errorf("a command by a rebound name: %s", got)
	}
	if after, _ := f.store.Versions(t.Context(), "mcp"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v became %v", before, after)
	}
}
