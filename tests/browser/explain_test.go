package browser_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
)

// says is the page's expression for a line of a row's explanation.
func says(name, what string) string {
	return row(name) + `?.querySelector('[data-says="` + what + `"]').textContent`
}

// inZone lets the page live in a time zone.
func (t *tab) inZone(zone string) {
	t.Helper()
	t.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		return chromedp.Void{}, err
	})
}

// TestARowSaysWhatTrippedItAfterAReload, since when, what comes next, and what the replicas do on their own. It once had
// "0 % of 50 %, 0 of 20 calls" as its biggest number, and forgot labels and witnesses.
func TestARowSaysWhatTrippedItAfterAReload(t *testing.T) {
	page := open(t)
	page.inZone("Asia/Kolkata")
	f := newFleet(t)
	quick := store.Policy{ConsecutiveFailures: 3, OpenFor: time.Minute}
	f.report("mcp", "web-1", quick, false, 0, good(10))
	f.report("mcp", "web-1", quick, true, 0, bad(3, "503"))
	address, _ := serve(t, f.store)
	page.do(chromedp.Navigate(address))
	for _, when := range []string{"opened", "loaded again"} {
		page.await(says("mcp", "cause") + " === 'mcp opened because 3 calls in a row failed; errors: 3 x 503; seen by web-1'")
		page.await(says("mcp", "own") + " === '1 of 1 replica refuses by its own verdict'")
		text := evaluate[string](page, row("mcp")+".innerText")
		s, err := f.store.Read(t.Context(), "mcp")
		if err != nil {
			t.Fatal(err)
		}
		local := s[0].Since.Add(5*time.Hour + 30*time.Minute).UTC().Format("3:04:05 PM here")
		for _, want := range []string{s[0].Since.UTC().Format("not closed since 15:04:05 UTC"), local, "Next: the first probe may go at "} {
			if !strings.Contains(strings.ReplaceAll(text, "\u202f", " "), want) {
				t.Errorf("%s, the row lacks %q: %s", when, want, text)
			}
		}
		if strings.Contains(text, "0 of 10 calls") {
			t.Errorf("%s, the row shows how near it is to a threshold: %s", when, text)
		}
		page.do(chromedp.Reload())
	}
	page.await("document.title === '(1 open) Breakers' && document.querySelector('#icon').href.endsWith('icon-open.svg')")
	f.command(store.Command{Name: "mcp", Action: store.Trip, For: time.Millisecond, By: "alice", Why: "drill"})
	await.Until(t, "the open time is over", func() bool {
		s, err := f.store.Read(t.Context(), "mcp")
		return err == nil && s[0].RetryIn == 0
	})
	f.claim("mcp", quick, store.Success)
	page.await(says("mcp", "next") + " === 'Next: 1 of 2 probes succeeded, 0 under way: it closes after 1 more, or opens again for 1 min if probes fail'")
	f.claim("mcp", quick, store.Success)
	page.await("document.title === 'Breakers' && document.querySelector('#icon').href.endsWith('icon.svg') && " + says("mcp", "next") + " === ''")
	if said := page.said(); len(said) > 0 {
		t.Errorf("the console said: %q", said)
	}
}

// TestABreakerThatOnlyObservesIsNotRed: it refuses nobody.
func TestABreakerThatOnlyObservesIsNotRed(t *testing.T) {
	page := open(t)
	f := newFleet(t)
	f.report("dry", "web-1", store.Policy{ConsecutiveFailures: 3, Observe: true}, false, 0, bad(3, "503"))
	f.report("real", "web-1", store.Policy{ConsecutiveFailures: 3}, false, 0, bad(3, "503"))
	address, _ := serve(t, f.store)
	page.do(chromedp.Navigate(address))
	page.await(row("dry") + "?.dataset.state === 'observed' && " + row("real") + "?.dataset.state === 'open'")
	page.await(row("dry") + ".innerText.includes('but it only observes and refuses no call')")
	colour := func(name string) string {
		return evaluate[string](page, "getComputedStyle("+row(name)+".querySelector('.badge')).color")
	}
	if dry, open := colour("dry"), colour("real"); dry == open {
		t.Errorf("both are %s", dry)
	}
	page.await("document.title === '(1 open) Breakers'")
}

// TestPoliciesThatDifferAreNamedByTheirFields: it once said no more than "policies differ".
func TestPoliciesThatDifferAreNamedByTheirFields(t *testing.T) {
	page := open(t)
	f := newFleet(t)
	m, err := breaker.NewManager(f.store, breaker.WithReplica("web-9"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.WithoutCancel(t.Context()))
	if _, err := m.Register(t.Context(), "mcp", breaker.WithPolicy(steady)); err != nil {
		t.Fatal(err)
	}
	other := steady
	other.ConsecutiveFailures = 9
	r := store.Report{Name: "mcp", Policy: other, Replica: "web-1#1f2e", Seq: 1, MaxAge: time.Minute, Announce: true}
	for _, result := range f.store.Sync(t.Context(), []store.Report{r}) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	address, _ := serve(t, f.store, dashboard.WithManager(m))
	page.do(chromedp.Navigate(address))
	page.await(says("mcp", "policies") + ".includes('ConsecutiveFailures 1000 here, 9 agreed')")
	page.do(chromedp.Navigate(address + "#/b/mcp"))
	page.await("document.querySelector('.detail [data-says=\"policies\"]')?.textContent.includes('ConsecutiveFailures 1000 here, 9 agreed')")
	page.await("document.querySelector('.detail [data-says=\"differences\"]')?.textContent === 'ConsecutiveFailures 1000 here, 9 agreed'")
}
