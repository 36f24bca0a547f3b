package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
)

var shotTime = flag.Duration("shot-time", 0, "how long traffic runs before the screenshots of -update, for the sparklines")

func js(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// traffic lets a small fleet live until ctx ends: most tiers well, one that fails, one that is slow.
func traffic(ctx context.Context, f *fleet) {
	fleetPolicy := store.FleetPolicy()
	backoff := store.Policy{FailureRate: 0.5, MinCalls: 20, Reporters: 2, OpenFor: 90 * time.Second, OpenForMax: 10 * time.Minute}
	slow := store.Policy{FailureRate: 0.5, SlowCallRate: 0.3, SlowCallAfter: 800 * time.Millisecond, MinCalls: 20}
	steady := map[string]int{"card-network": 42, "ledger": 18, "users-api": 65, "fx-rates": 4, "mail": 7, "search/v2": 120, "sms-gateway": 3}
	replicas := []string{"web-1", "web-2", "web-3", "worker-7"}
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	tripped := time.Now().Add(*shotTime * 3 / 4)
	for n := 0; ; n++ {
		for i, replica := range replicas {
			wave := (n*7+i*3)%5 - 2
			for name, rate := range steady {
				calls := max(rate/8+wave*rate/60, 1)
				runs := []store.Run{good(calls)}
				if (n+i+rate)%11 == 0 {
					runs = append(runs, bad(1, "503"))
				}
				f.report(name, replica, fleetPolicy, name == "mail" && replica == "worker-7", 0, runs...)
			}
			f.report("recommender", replica, store.Policy{ConsecutiveFailures: 5, Observe: true}, false, 0, good(2), bad(5, "timeout"))
			f.report("tax-rules", replica, fleetPolicy, true, 2)
			f.report("geo-lookup", replica, slow, false, 0, good(3), store.Run{Outcome: store.Success, Slow: true, Count: 1})
			policy := fleetPolicy
			if replica == "worker-7" {
				policy.MinCalls = 50
			}
			f.report("catalog", replica, policy, false, 0, good(6), bad(2, "deadline"), good(1))
			if time.Now().Before(tripped) {
				f.report("mcp", replica, backoff, false, 0, good(9))
			} else {
				f.failOrRefuse("mcp", replica, backoff, uint64(14+wave))
			}
		}
		if n == 0 {
			f.command(store.Command{Name: "sms-gateway", Action: store.ForceOpen, For: 45 * time.Minute, By: "bob", Why: "INC-42: provider moves its data centre"})
			p := fleetPolicy
			p.FailureRate = 0.3
			f.command(store.Command{Name: "ledger", Action: store.Retune, Policy: p, For: 2 * time.Hour, By: "alice", Why: "watch the migration closely"})
			f.command(store.Command{Name: "fx-rates", Action: store.Trip, For: time.Millisecond, By: "alice", Why: "drill"})
		}
		if n == 2 {
			f.claim("fx-rates", fleetPolicy, store.Ignored)
			f.command(store.Command{Name: "mcp", Action: store.Trip, For: time.Millisecond, By: "alice", Why: "drill before the release"})
		}
		if n == 4 {
			f.claim("mcp", backoff, store.Success)
			f.claim("mcp", backoff, store.Success)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// failOrRefuse reports failures until the breaker is open, and refusals from then on.
func (f *fleet) failOrRefuse(name, replica string, p store.Policy, refused uint64) {
	snapshots, err := f.store.Read(f.t.Context(), name)
	if err == nil && len(snapshots) == 1 && snapshots[0].State == store.Open {
		f.report(name, replica, p, false, refused)
		return
	}
	f.report(name, replica, p, false, 0, bad(6, "connection refused"), bad(2, "503"))
}

// claim takes a probe and settles it.
func (f *fleet) claim(name string, p store.Policy, outcome store.Outcome) {
	const replica = "web-2#1f2e"
	f.seq["claims"]++
	id := "probe-" + strconv.FormatUint(f.seq["claims"], 10)
	grant, err := f.store.Claim(f.t.Context(), store.Claim{Name: name, ID: id, Policy: p, Replica: replica, Want: 1})
	if err != nil || len(grant.Leases) != 1 {
		f.t.Errorf("a claim of %s got %+v, %v", name, grant, err)
		return
	}
	if _, err := f.store.Settle(f.t.Context(), store.Settlement{Lease: grant.Leases[0], Replica: replica, Outcome: outcome}); err != nil {
		f.t.Error(err)
	}
}

func TestScreenshotsShowAFleetInTrouble(t *testing.T) {
	page := open(t)
	f := newFleet(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); traffic(ctx, f) }()
	defer func() { stop(); <-done }() // no cleanup: the test's context has ended by then, and with it what traffic asks
	address, _ := serve(t, f.store, dashboard.WithOperator(alice))

	page.do(chromedp.EmulateViewport(1320, 900), chromedp.Navigate(address))
	page.await(row("mcp") + "?.dataset.state === 'open'")
	page.await(row("fx-rates") + "?.dataset.state === 'half-open'")
	page.await("performance.now() > " + strconv.FormatInt(shotTime.Milliseconds(), 10))
	page.shot("dashboard-light.png")
	page.theme("dark")
	page.shot("dashboard-dark.png")
	page.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	page.await("document.documentElement.scrollWidth <= 390")
	page.shot("dashboard-phone.png")
	page.theme("light")

	page.do(chromedp.EmulateViewport(1320, 1100), chromedp.Navigate(address+"#/b/mcp"))
	page.await("document.querySelectorAll('.timeline li').length > 0 && document.querySelector('.roster table') !== null")
	page.shot("dashboard-breaker.png")
	page.do(chromedp.Click(chromedp.CSS(`button[data-action="retune"]`)))
	page.await("document.querySelector('dialog[open] #p-failure_rate') !== null")
	page.do(chromedp.SetValue(chromedp.CSS("#p-failure_rate"), "30"))
	evaluate[bool](page, "document.querySelector('#p-failure_rate').dispatchEvent(new Event('input', {bubbles: true}))")
	page.await("document.querySelector('.changes').textContent.includes('30 %')")
	page.shot("dashboard-retune.png")
	if said := page.said(); len(said) > 0 {
		t.Errorf("the console said: %q", said)
	}
}

func (t *tab) theme(name string) {
	t.Helper()
	t.await("document.querySelector('#theme').textContent === 'Theme: " + name + "' || document.querySelector('#theme').click() === 0")
}

// shot looks at the page; with -update it keeps what it saw.
func (t *tab) shot(name string) {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.ctx, deadline)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(picture) < 10_000 {
		t.Errorf("%s has %d bytes: an empty page?", name, len(picture))
	}
	if !*update {
		return
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", "img", name), small(t, picture), 0o644); err != nil {
		t.Fatal(err)
	}
}

// small keeps 256 colours, which a quiet page hardly exceeds: of each group of like colours the most frequent, then the
// most frequent of all.
func small(t *tab, picture []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[color.RGBA]int{}
	for y := range from.Bounds().Dy() {
		for x := range from.Bounds().Dx() {
			counts[color.RGBAModel.Convert(from.At(x, y)).(color.RGBA)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var palette, others color.Palette
	groups := map[[3]uint8]bool{}
	for _, c := range frequent {
		if group := [3]uint8{c.R >> 5, c.G >> 5, c.B >> 5}; !groups[group] {
			groups[group] = true
			palette = append(palette, c)
		} else {
			others = append(others, c)
		}
	}
	palette = append(palette, others...)
	palette = palette[:min(len(palette), 256)]
	to := image.NewPaletted(from.Bounds(), palette)
	draw.Draw(to, to.Bounds(), from, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
