package arch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"testing"
)

// machinePaths are places of one machine or one account, which mean nothing on another. Spelled in parts, since this
// file is one of those that are read.
var machinePaths = regexp.MustCompile(strings.Join([]string{
	`(^|[^\w.])/` + `(root|home/\w+|Users/\w+|work/main|work/shared)/`, // home folders and workplaces
	`proxy\.` + `golang\.org`, `sum\.` + `golang\.org`, `deb\.` + `debian\.org`, // where one machine gets its packages
}, "|"))

func TestNoFileNamesTheMachineItWasWrittenOn(t *testing.T) {
	paths := newPhrase(machinePaths)
	for name, f := range tracked(t) {
		for at := range paths.lines(f) {
			line, number := f.line(at)
			t.Errorf("%s:%d names %q", name, number, machinePaths.Find(line))
		}
	}
}

func TestNothingIsLeftForLater(t *testing.T) {
	marks := newPhrase(regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`))
	for name, f := range tracked(t) {
		for at := range marks.lines(f) {
			if line, number := f.line(at); name != ".golangci.yml" {
				t.Errorf("%s:%d says %s: build it, or file it", name, number, bytes.TrimSpace(line))
			}
		}
	}
}

// In the virtual time of testing/synctest a sleep takes no time and ends when it should. Elsewhere it guesses.
func TestNoTestWaitsByTheClockOutsideOfVirtualTime(t *testing.T) {
	sleeps, virtual := map[string]string{}, map[string]bool{}
	for name, f := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		if bytes.Contains(f.text, []byte("time.Sl"+"eep(")) {
			sleeps[name] = filepath.Dir(name)
		}
		if bytes.Contains(f.text, []byte(`"testing/synctest"`)) {
			virtual[filepath.Dir(name)] = true
		}
	}
	for name, folder := range sleeps {
		if !virtual[folder] {
			t.Errorf("%s sleeps: wait for a condition with a deadline, or use testing/synctest", name)
		}
	}
}

// file is what a file of text says, as it stands and in lower case.
type file struct{ text, lower []byte }

// line gives the line that begins at an offset, and its number.
func (f file) line(at int) (line []byte, number int) {
	line, _, _ = bytes.Cut(f.text[at:], []byte("\n"))
	return line, 1 + bytes.Count(f.text[:at], []byte("\n"))
}

// tracked gives the text files that git knows.
func tracked(t *testing.T) map[string]file {
	t.Helper()
	files, err := readTracked()
	if err != nil {
		t.Fatal(err)
	}
	if files == nil {
		t.Skip("not a git clone")
	}
	return files
}

var readTracked = sync.OnceValues(func() (map[string]file, error) {
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		return nil, nil //nolint:nilerr // it is no clone, or git is missing
	}
	files := map[string]file{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not committed yet
		} else if err != nil {
			return nil, err
		}
		if bytes.IndexByte(text, 0) < 0 {
			files[name] = file{text, bytes.ToLower(text)}
		}
	}
	return files, nil
})

// phrase finds the lines that an expression matches. It looks at those only that have a text which each match has, since that
// is found quickly.
type phrase struct {
	expression *regexp.Regexp
	needles    [][]byte // in lower case; each match has one of them
}

func newPhrase(expression *regexp.Regexp) phrase {
	p := phrase{expression: expression}
	tree, err := syntax.Parse(expression.String(), syntax.Perl)
	if err != nil {
		panic(err) // it has been compiled
	}
	for _, needle := range needles(tree) {
		p.needles = append(p.needles, []byte(needle))
	}
	if p.needles == nil {
		panic(fmt.Sprintf("no text is in each match of %s", expression))
	}
	return p
}

// needles gives texts of which each match has one, in lower case; none if it cannot tell.
func needles(tree *syntax.Regexp) (texts []string) {
	switch tree.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(tree.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return needles(tree.Sub[0])
	case syntax.OpConcat: // the part whose shortest text is longest
		for _, part := range tree.Sub {
			if found := needles(part); shortest(found) > shortest(texts) {
				texts = found
			}
		}
	case syntax.OpAlternate:
		for _, way := range tree.Sub {
			found := needles(way)
			if found == nil {
				return nil
			}
			texts = append(texts, found...)
		}
	}
	return texts
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	return len(slices.MinFunc(texts, func(a, b string) int { return len(a) - len(b) }))
}

// lines gives where the lines begin that the expression matches.
func (p phrase) lines(f file) iter.Seq[int] {
	found := map[int]bool{}
	for _, needle := range p.needles {
		for from := 0; ; {
			at := bytes.Index(f.lower[from:], needle)
			if at < 0 {
				break
			}
			begin := bytes.LastIndexByte(f.text[:from+at], '\n') + 1
			line, _ := f.line(begin)
			if p.expression.Match(line) {
				found[begin] = true
			}
			from = begin + len(line)
		}
	}
	return maps.Keys(found)
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
	"cmd/commontrip", "config", "dashboard", "deploy", "examples", "failsafeguard", "fallback", "health", "metrics", "oteltrip", "retry",
	"store/*", "transport", "zaplog", "CONTRIBUTING.md", "Makefile", "README.md", "scripts/*", "docs/cli.md", "docs/composition.md",
	"docs/configuration.md", "docs/guide.md", "docs/metrics.md", "docs/migrate", "docs/opentelemetry.md", "docs/operations.md",
	"docs/production-checklist.md", "docs/semantics.md", "docs/troubleshooting.md",
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
	for _, w := range houseWords {
		word := newPhrase(w.word)
		for name, f := range files {
			switch filepath.Ext(name) {
			case ".json", ".jsonl", ".svg", ".sum":
				continue
			}
			if name == "tests/arch/words_test.go" || name == "CHANGELOG.md" || !isIn(name, w.in) {
				continue
			}
			for at := range word.lines(f) {
				line, number := f.line(at)
				if found := w.word.Find(ownMeaning.ReplaceAll(line, nil)); found != nil {
					t.Errorf("%s:%d says %q; say %s", name, number, found, w.standard)
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
