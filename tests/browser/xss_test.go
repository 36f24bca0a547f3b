package browser_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
	"github.com/redis/go-redis/v9"
)

// nasty are texts that would run, or break the page, where any were taken for markup. All are legal names.
var nasty = []string{
	`<img src=x onerror="hacked(1)">`,
	`"><script>hacked(2)</script>`,
	`<svg onload=hacked(3)>`,
	`javascript:hacked(4)`,
	`'-hacked(5)-'`,
	`{{constructor.constructor('hacked(6)')()}}`,
	`</title><script>hacked(7)</script>`,
	`<iframe srcdoc="<script>parent.hacked(8)</script>">`,
	"`${hacked(9)}`",
	`<a href="javascript:hacked(10)" autofocus onfocus=hacked(11)>x</a>`,
	`<style>@import'//evil.test/x'</style><base href=//evil.test>`,
	`a}{b}`, `%3Cscript%3Ehacked(12)%3C/script%3E`, `../../api/breakers`, `*[a-z]?`, `__proto__`, `data:,hacked(13)`,
}

// raw are texts that no store of ours would take, and that somebody wrote beside it.
var raw = []string{
	"\x1b[31m<img src=x onerror=hacked(14)>", "a\u202e<svg onload=hacked(15)>b", "a\u2028hacked(16)\u2029", "a\x00<b onclick=hacked(17)>",
	"\xff\xfe<script>hacked(18)</script>", "a\r\nevent: hello\r\ndata: {}\r\n\r\n", "\n\n<script>hacked(19)</script>", "a\tb",
	strings.Repeat("<img src=x onerror=hacked(20)>", 7), strings.Repeat("<i>", 30_000), "",
}

// write puts a text wherever a text can be, as replicas and operators do.
func write(t *testing.T, s store.Store, name, text string) {
	t.Helper()
	once := steady
	once.ConsecutiveFailures = 1
	r := store.Report{
		Name: name, Policy: once, Replica: text, Seq: 1, MaxAge: time.Minute, Announce: true, OwnOpen: true,
		Runs: []store.Run{good(10), bad(1, text[:min(len(text), 64)])},
	}
	if err := s.Sync(t.Context(), []store.Report{r})[0].Err; err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, c := range []store.Command{{Action: store.ForceOpen}, {Action: store.Retune, Policy: once}} {
		c.Name, c.By, c.Why = name, text, text
		if _, err := s.Command(t.Context(), c); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
}

// detail goes to a breaker's own page without loading the document again.
func (t *tab) detail(name string) {
	t.Helper()
	evaluate[string](t, "location.hash = '#/b/' + encodeURIComponent("+js(name)+")")
	t.await("document.querySelector('h1')?.textContent === " + js(name))
}

// markup is how many elements there are that only a text can have become.
const markup = "document.querySelectorAll('main img, main script, main iframe, main style, dialog img, dialog script, dialog iframe, [onerror], [onload], [onfocus], [onclick], [autofocus], base').length"

// showsAsText looks at breakers whose every text is their name: in the list, on their own pages and in a dialog.
func (t *tab) showsAsText(address string, texts []string) (became int) {
	t.Helper()
	t.do(chromedp.Navigate(address))
	for _, text := range texts {
		t.await(row(text) + "?.querySelector('a').textContent === " + js(text))
		t.await(row(text) + ".querySelector('[data-says=\"standing\"]').textContent.includes(" + js(text) + ")")
	}
	became += evaluate[int](t, markup)
	for _, text := range texts {
		t.detail(text)
		t.await("document.querySelector('.timeline').textContent.includes(" + js(text) + ") && document.querySelector('.roster table')?.textContent.includes(" + js(text) + ")")
		became += evaluate[int](t, markup)
	}
	t.do(chromedp.Click(chromedp.CSS(`button[data-action="lift"]`)))
	t.await("document.querySelector('dialog[open]') !== null")
	return became + evaluate[int](t, markup)
}

// still is a store's clock for fleets that report once: who reported for the last time a minute ago is on no roster, and a
// busy browser may need that minute.
func still() func() time.Time {
	now := time.Now()
	return func() time.Time { return now }
}

func TestTextFromTheFleetIsShownAsText(t *testing.T) {
	page := open(t)
	page.watchForScripts()
	f := newFleet(t, memorystore.WithClock(still()))
	for _, text := range nasty {
		write(t, f.store, text, text)
	}
	address, _ := serve(t, f.store, dashboard.WithOperator(alice))
	if n := page.showsAsText(address, nasty); n > 0 {
		t.Errorf("%d elements are made of texts", n)
	}
	if caught := page.caught(); len(caught) > 0 {
		t.Errorf("caught %q", caught)
	}
	if said := page.said(); len(said) > 0 {
		t.Errorf("the console said: %q", said)
	}
}

// marker stands in a hash for a text that is then written over it.
const marker = "MARKER"

// overwrite copies the marker's breaker to a name, with the text for each of its texts, beside the store.
func overwrite(ctx context.Context, t *testing.T, client *redis.Client, name, text string) {
	t.Helper()
	fields, err := client.HGetAll(ctx, "commontrip:{"+marker+"}").Result()
	if err != nil || len(fields) == 0 {
		t.Fatal(fields, err)
	}
	key := "commontrip:{" + strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D").Replace(name) + "}"
	for field, value := range fields {
		if err := client.HSet(ctx, key, strings.ReplaceAll(field, marker, text), strings.ReplaceAll(value, marker, text)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.SAdd(ctx, "commontrip:names", name).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestScenario35StoredTextsNeverRun(t *testing.T) {
	scenario := scoreboard.Start(t, 35, "stored texts in a browser, written by the API and straight into Redis")
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	s, err := redisstore.Open(server.URL(), redisstore.WithTimeout(deadline), redisstore.WithClock(still()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	address, _ := serve(t, s, dashboard.WithOperator(alice))

	page := open(t)
	page.watchForScripts()
	for _, text := range nasty {
		write(t, s, text, text)
	}
	became := page.showsAsText(address, nasty)
	caught := page.caught()

	beside := open(t)
	beside.watchForScripts()
	beside.do(chromedp.Navigate(address))
	shown, refused := 0, 0
	texts := slices.Concat(raw[:scoreboard.Pick(scenario, 4, len(raw))], nasty[:scoreboard.Pick(scenario, 8, len(nasty))])
	for i, text := range texts {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		write(t, s, marker, marker)
		name := fmt.Sprintf("beside-%d", i)
		overwrite(t.Context(), t, client, text, text)
		overwrite(t.Context(), t, client, name, text)
		evaluate[string](beside, "location.hash = '#/'")
		if _, err := s.Read(t.Context(), name); err != nil { // as no hash of ours
			if _, ok := errors.AsType[*store.UnreadableError](err); !ok {
				t.Fatal(err)
			}
			refused++
			beside.await("document.querySelector('#banner').textContent.includes(" + js(name) + ")")
			became += evaluate[int](beside, markup)
			continue
		}
		shown++
		beside.await(row(name) + " !== undefined")
		became += evaluate[int](beside, markup)
		beside.detail(name)
		beside.await("document.querySelectorAll('.timeline li').length > 0 && document.querySelector('.roster').children.length > 0")
		became += evaluate[int](beside, markup)
	}
	caught = append(caught, beside.caught()...)
	if len(caught) > 0 {
		t.Errorf("caught %q", caught)
	}
	scenario.AtLeast("texts written by the API", len(nasty), 15)
	scenario.AtLeast("texts written straight into Redis", len(texts), 10)
	scenario.AtLeast("of those shown", shown, len(texts)-len(raw))
	scenario.Report("of those refused, as what no store of ours writes", refused)
	scenario.Zero("scripts run, dialogs, violations of the policy", len(caught))
	scenario.Zero("elements made of texts", became)
}
