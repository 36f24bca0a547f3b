package chaos

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
	"github.com/commontrip/commontrip/zaplog"
)

// nasty is what names are made of that mean something to somebody: Redis, a terminal, a log, a page, a shell.
var nasty = []string{
	"tier", "a b", "{", "}", "}{", "{}", "%7b", "%", "\r\n", "\n", "\t", "\x00", "\x1b[31m", "\x1b]0;x\x07", "\u202e", "\u2028", "\u2029",
	"\ufeff", "\xff", "\xc3", "é", "\u0301", "𝕏", "<img src=x onerror=alert(1)>", "</script>", "{{.}}", "*", "[a-z]", "?", "\\", "'", `"`, "`", "$(id)",
	"; FLUSHALL", "--", "../..", "level=ERROR msg=forged", `{"level":"error"}`, ":", "#", "\x7f", "\u0085", "\u00ad", "\u200b", strings.Repeat("x", 100),
}

func draw(rng *rand.Rand) string {
	var s strings.Builder
	for range 1 + rng.IntN(5) {
		s.WriteString(nasty[rng.IntN(len(nasty))])
	}
	return s.String()
}

// tellAll tells an event with this text in every place, and a status with it as a name, to all that write. It gives how many
// wrote more than one line, and how many characters that move a cursor or hide others got through.
func tellAll(s string) (lines, escapes int) {
	e := breaker.Event{
		Kind: breaker.Transitioned, Name: s, Err: errors.New(s),
		Transition: store.Transition{
			Name: s, From: breaker.Closed, To: breaker.Open, Generation: 1, Reason: store.Reason(s), Cause: s, Why: s,
			Errors: []store.ErrorCount{{Label: s, Count: 1}}, Witnesses: []string{s},
		},
	}
	var outs [4]bytes.Buffer
	slog.New(slog.NewTextHandler(&outs[0], nil)).Info(e.String(), "event", e)
	slog.New(slog.NewJSONHandler(&outs[1], nil)).Info(e.String(), "event", e)
	config := zap.NewProductionEncoderConfig()
	for i, encoder := range []zapcore.Encoder{zapcore.NewJSONEncoder(config), zapcore.NewConsoleEncoder(config)} {
		zaplog.Listener(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&outs[2+i]), zap.InfoLevel)))(e)
	}
	for i := range outs {
		text := outs[i].String()
		if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
			lines++
		}
		escapes += strings.Count(text, "\x1b") + strings.Count(text, "\r") + strings.Count(text, "\x00")
	}
	if strings.ContainsFunc(e.String(), moves) {
		escapes++
	}
	return lines, escapes
}

// moves tells characters that move a cursor, turn the direction of writing or end a line.
func moves(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

func FuzzWhatIsLoggedIsOneLineWhateverItHolds(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if lines, escapes := tellAll(s); lines+escapes > 0 {
			t.Fatalf("%q: %d logs with more than one line, %d escapes", s, lines, escapes)
		}
		if store.ValidateName(s) == nil {
			if got := scrape(t, s); got != s {
				t.Fatalf("metrics tell %q as %q", s, got)
			}
		}
	})
}

// only is a Manager's status with one breaker.
type only string

func (o only) Status() breaker.ManagerStatus {
	return breaker.ManagerStatus{Replica: string(o), StoreUp: true, Breakers: []breaker.Status{{Name: string(o)}}}
}

// scrape gives the name that a scrape of one breaker tells, as a parser reads it.
func scrape(t testing.TB, name string) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.NewCollector(only(name)))
	families, err := registry.Gather()
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(text.String()) {
		if i := strings.Index(line, `breaker="`); i >= 0 && !strings.HasPrefix(line, "#") {
			return unescape(line[i+len(`breaker="`):])
		}
	}
	t.Fatalf("no breaker in\n%s", &text)
	return ""
}

// unescape reads a label's value, up to its closing quote.
func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			if s[i] == 'n' {
				out.WriteByte('\n')
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func TestScenario31HostileNames(t *testing.T) {
	scenario := scoreboard.Start(t, 31, "name, replica, reason fuzz; log injection")
	rng := scenario.Rand()
	texts, lines, escapes, changed := scoreboard.Pick(scenario, 5000, 1_000_000), 0, 0, 0
	valid := map[string]bool{}
	for range texts {
		s := draw(rng)
		l, e := tellAll(s)
		lines, escapes = lines+l, escapes+e
		if store.ValidateName(s) == nil && len(valid) < 2000 {
			valid[s] = true
			if scrape(t, s) != s {
				changed++
			}
		}
	}
	outside, lost, shown := throughRedis(t, valid)
	scenario.AtLeast("texts through String, slog as text and JSON, zap as JSON and console", texts, texts)
	scenario.Zero("logs of more than one line an event", lines)
	scenario.Zero("escapes in a log", escapes)
	scenario.AtLeast("names through metrics, Redis and the command line", len(valid), 100)
	scenario.Zero("names that a scrape tells otherwise", changed)
	scenario.Zero("keys outside of their tag", outside)
	scenario.Zero("names, replicas, reasons or labels that came back otherwise", lost)
	scenario.Zero("lines of the command line that are no breaker's", shown)
}

// throughRedis reports names to a Redis, as names, replicas, labels and reasons, and looks at what is then there.
func throughRedis(t *testing.T, names map[string]bool) (outside, lost, shown int) {
	srv := redistest.Start(t)
	s, err := redisstore.Open(srv.URL(), redisstore.WithPrefix("row31"), redisstore.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	for name := range names {
		label := name
		if len(label) > 64 {
			label = ""
		}
		r := store.Report{Name: name, Replica: name, Seq: 1, Policy: store.DefaultPolicy(), MaxAge: time.Second, Runs: []store.Run{
			{Outcome: store.Failure, Count: 1, Label: label},
		}}
		if err := s.Sync(ctx, []store.Report{r})[0].Err; err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if _, err := s.Command(ctx, store.Command{Name: name, Action: store.ForceOpen, By: name, Why: name}); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		lost += differences(t, s, name, label)
	}
	all, err := s.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, snapshot := range all {
		if !names[snapshot.Name] {
			lost++
		}
	}
	lost += len(names) - len(all)
	return keysOutside(t, srv, len(names)), lost, linesBeside(t, srv.URL(), len(names))
}

// differences counts what does not come back as it was sent.
func differences(t *testing.T, s store.Store, name, label string) (n int) {
	t.Helper()
	ctx := context.Background()
	snapshots, err1 := s.Read(ctx, name)
	roster, err2 := s.Roster(ctx, name)
	history, err3 := s.History(ctx, name, 0)
	if err := errors.Join(err1, err2, err3); err != nil || len(snapshots) != 1 || len(roster) != 1 || len(history) != 1 {
		t.Fatalf("%q: %d snapshots, %d replicas, %d entries, %v", name, len(snapshots), len(roster), len(history), err)
	}
	note := snapshots[0].ModeNote
	for _, got := range []string{snapshots[0].Name, roster[0].Name, note.By, note.Why, history[0].Name, history[0].Cause, history[0].Why} {
		if got != name {
			n++
		}
	}
	if label != "" && (len(history[0].Errors) != 1 || history[0].Errors[0].Label != label) {
		n++
	}
	return n
}

// keysOutside counts hashes that are not one tag of the prefix, and those that are too many.
func keysOutside(t *testing.T, srv *redistest.Server, want int) (outside int) {
	t.Helper()
	text, err := srv.Text("EVAL", `return table.concat(redis.call('KEYS', 'row31:{*'), '\n')`, "0")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for line := range strings.Lines(text) {
		key, ok := strings.CutPrefix(strings.TrimSpace(line), "row31:{")
		if !ok {
			continue
		}
		keys++
		if tag, found := strings.CutSuffix(key, "}"); !found || strings.ContainsAny(tag, "{}") {
			outside++
		}
	}
	return outside + max(keys-want, want-keys)
}

// linesBeside runs commontrip list and counts the lines that are too many or too few, and characters that move a cursor.
func linesBeside(t *testing.T, url string, want int) int {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "commontrip")
	if out, err := exec.Command("go", "build", "-o", tool, "github.com/commontrip/commontrip/cmd/commontrip").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(tool, "list", "--url", url, "--prefix", "row31").Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	const header = 1
	beside := strings.Count(text, "\n") - want - header
	moving := strings.Count(strings.Map(func(r rune) rune {
		if moves(r) && r != '\n' {
			return '!'
		}
		return '.'
	}, text), "!")
	if beside != 0 || moving != 0 {
		t.Logf("%.2000s", text)
	}
	return max(beside, -beside) + moving
}
