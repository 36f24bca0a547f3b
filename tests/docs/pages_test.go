package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// page is a document.
type page struct {
	path   string // from the root
	lines  []string
	blocks []block
}

// block is what stands between two fences.
type block struct {
	page  string
	line  int    // of its first line, from 1
	lang  string // "" if the fence names none
	lines []string
}

func (b block) text() string { return strings.Join(b.lines, "\n") + "\n" }

var notDocs = regexp.MustCompile(`(^|/)testdata/|^CHANGELOG\.md$`)

// pages reads every document that the repository has.
func pages(t *testing.T) (all []page) {
	t.Helper()
	for _, glob := range []string{"*.md", "docs/*.md", "docs/migrate/*.md", "examples/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			path, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			if path = filepath.ToSlash(path); !notDocs.MatchString(path) {
				all = append(all, readPage(t, path))
			}
		}
	}
	if len(all) < 8 {
		t.Fatalf("found %d documents only", len(all))
	}
	return all
}

// readPage splits a document into its prose and its blocks. In the prose, a line of a block is "".
func readPage(t *testing.T, path string) page {
	t.Helper()
	p := page{path: path}
	var open *block
	for i, line := range strings.Split(read(t, path), "\n") {
		lang, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{page: path, line: i + 2, lang: lang}
		case fence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, line)
		default:
			p.lines = append(p.lines, line)
			continue
		}
		p.lines = append(p.lines, "")
	}
	if open != nil {
		t.Fatalf("%s:%d: a block that nothing ends", path, open.line)
	}
	return p
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var spans = regexp.MustCompile("`[^`]+`")

// quoted calls fn for each piece of code within the prose; line counts from 1. A span may be broken over two lines.
func (p page) quoted(fn func(line int, text string)) {
	prose := strings.Join(p.lines, "\n")
	for _, at := range spans.FindAllStringIndex(prose, -1) {
		text := strings.Join(strings.Fields(strings.Trim(prose[at[0]:at[1]], "`")), " ")
		fn(1+strings.Count(prose[:at[0]], "\n"), text)
	}
}
