package arch

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// machinePaths are places of one machine or one account, which mean nothing on another. Spelled in parts, since this
// file is one of those that are read.
var machinePaths = regexp.MustCompile(strings.Join([]string{
	`(^|[^\w.])/` + `(root|home/\w+|Users/\w+|work/main|work/shared)/`, // home folders and workplaces
	`proxy\.` + `golang\.org`, `sum\.` + `golang\.org`, `deb\.` + `debian\.org`, // where one machine gets its packages
}, "|"))

func TestNoFileNamesTheMachineItWasWrittenOn(t *testing.T) {
	for name, text := range tracked(t) {
		for i, line := range bytes.Split(text, []byte("\n")) {
			if found := machinePaths.Find(line); found != nil {
				t.Errorf("%s:%d names %q", name, i+1, found)
			}
		}
	}
}

func TestNothingIsLeftForLater(t *testing.T) {
	marks := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	for name, text := range tracked(t) {
		if found := marks.Find(text); found != nil && name != ".golangci.yml" {
			t.Errorf("%s says %s: build it, or file it", name, found)
		}
	}
}

// In the virtual time of testing/synctest a sleep takes no time and ends when it should. Elsewhere it guesses.
func TestNoTestWaitsByTheClockOutsideOfVirtualTime(t *testing.T) {
	sleeps, virtual := map[string]string{}, map[string]bool{}
	for name, text := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		if bytes.Contains(text, []byte("time.Sl"+"eep(")) {
			sleeps[name] = filepath.Dir(name)
		}
		if bytes.Contains(text, []byte(`"testing/synctest"`)) {
			virtual[filepath.Dir(name)] = true
		}
	}
	for name, folder := range sleeps {
		if !virtual[folder] {
			t.Errorf("%s sleeps: wait for a condition with a deadline, or use testing/synctest", name)
		}
	}
}

// tracked reads the text files that git knows.
func tracked(t *testing.T) map[string][]byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git clone: %v", err)
	}
	files := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not committed yet
		} else if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) < 0 {
			files[name] = text
		}
	}
	return files
}

// houseWords are words of this project alone that were given up for those of the field. Each would make a newcomer ask.
// What is not listed behind a word has not been put into plain words yet.
var houseWords = []struct {
	word     *regexp.Regexp
	standard string
	in       []string // folders and files
}{
	{regexp.MustCompile(`(?i)\bpassages?\b|\bturns?\b|\bwalk(s|ed)?\b`), "guarded call, use, tracer", []string{"fallback"}},
	{regexp.MustCompile(`(?i)\bcourse\b`), "attempts", []string{"retry"}},
	{regexp.MustCompile(`\bTestRow\d|\bboard\.(Start|Pick|Row)\b|\bROW=`), "scenario, scoreboard", []string{"."}},
	{regexp.MustCompile(`(?i)\b(new)?worlds?\b`), "fixture, harness", []string{"store", "tests/chaos", "tests/integration"}},
	{regexp.MustCompile(`(?i)sabot(eur|age)`), "faulty store", []string{"store", "tests", "docs", "CONTRIBUTING.md"}},
	{regexp.MustCompile(`(?i)\b(towns?|roads?|islands?)\b`), "network, route, namespace", []string{"tests/chaos", "tests/integration"}},
	{regexp.MustCompile(`(?i)\bnewFar\b|(type|[*&]) ?\bfar\b`), "remote store", []string{"breaker", "metrics", "tests/chaos", "tests/deploy", "tests/integration"}},
	{regexp.MustCompile(`(?i)\bbubbles?\b`), "virtual time", []string{
		"breaker", "dashboard", "docs", "fallback", "metrics", "retry", "store", "tests/chaos", "tests/peers", "transport",
	}},
	{regexp.MustCompile(`(?i)\banew\b`), "again", plainWords},
	{regexp.MustCompile(`(?i)\bherds?\b`), "thundering herd", plainWords},
	{regexp.MustCompile(`(?i)operator's word`), "command", plainWords},
	{regexp.MustCompile(`\b(is|are|was|were) no [\w']+`), "is not a", plainWords},
	{regexp.MustCompile(`(?i)\bso (many|much|long|few)\b`), "n, this many, that long", plainWords},
	{regexp.MustCompile(`(?i)\bwhoever\b`), "the caller, the replica that", plainWords},
	{regexp.MustCompile(`(?i)\bwhere\b`), "if", plainWords},
}

// plainWords are the folders whose comments and texts have been put into plain words.
var plainWords = []string{
	"cmd/commontrip", "config", "dashboard", "deploy", "examples", "fallback", "health", "metrics", "retry", "store/*", "transport",
	"zaplog", "CONTRIBUTING.md", "Makefile", "README.md", "scripts/*", "docs/cli.md", "docs/configuration.md", "docs/guide.md",
	"docs/metrics.md", "docs/operations.md", "docs/production-checklist.md", "docs/semantics.md", "docs/troubleshooting.md",
}

// ownMeaning are uses that mean what the word says: a place, a time that is over, an absence, the field's own term.
var ownMeaning = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`\b(is|are|was|were) no (longer|more|such|other)\b`, `\bthere (is|are|was|were) no\b`, `thundering herds?\b`,
	`\b(is|says|place|said|out) where\b`, `\bwhere (to look|it is registered|your inner pages|the cluster and its Prometheus|Debian|it is given|Redis runs it|ejecting|it was|the fleet's verdict is|the board|its meaning|there was nothing|it counts like|two readings|each came)`,
	`(as|not) so (many|much|long|few)\b`, `bubbles: true`, `(?-i:WHERE)`, // of SQL
}, "|"))

func TestHouseWordsDoNotComeBack(t *testing.T) {
	files := tracked(t)
	for _, w := range houseWords {
		for _, place := range w.in {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(name string) bool { return isIn(name, []string{place}) }) {
				t.Errorf("%s is kept out of %s, which is not there any more", w.word, place)
			}
		}
	}
	for name, text := range files {
		switch filepath.Ext(name) {
		case ".json", ".jsonl", ".svg", ".sum":
			continue
		}
		if name == "tests/arch/words_test.go" || name == "CHANGELOG.md" {
			continue
		}
		for _, w := range houseWords {
			if !isIn(name, w.in) {
				continue
			}
			for _, at := range w.word.FindAllIndex(text, -1) {
				begin := bytes.LastIndexByte(text[:at[0]], '\n') + 1
				line, _, _ := bytes.Cut(text[begin:], []byte("\n"))
				if found := w.word.Find(ownMeaning.ReplaceAll(line, nil)); found != nil {
					t.Errorf("%s:%d says %q; say %s", name, 1+bytes.Count(text[:begin], []byte("\n")), found, w.standard)
				}
			}
		}
	}
}

// isIn reports whether a file is one of those, or below one of them; of a place that ends in "/*", right in it.
func isIn(name string, places []string) bool {
	return slices.ContainsFunc(places, func(place string) bool {
		folder, direct := strings.CutSuffix(place, "/*")
		return place == "." || direct && filepath.Dir(name) == folder || within(name, place)
	})
}
