// Package page writes tables and curves: to the terminal, and with -write into the documentation, where each stands
// between two marks.
package page

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/tests/peers/measure"
)

var write = flag.Bool("write", false, "also write tables and curves into docs/performance.md and docs/img")

// docs is the folder of the documentation, seen from a package below tests/peers.
const docs = "../../../docs"

// Show prints a block of Markdown, and with -write puts it into docs/performance.md between
// <!-- name --> and <!-- /name -->, with a line that says on what and when it was measured.
func Show(t testing.TB, name, text string) {
	t.Helper()
	text = strings.TrimSpace(text) + "\n\n*" + measure.Machine() + ".*\n"
	fmt.Printf("\n%s\n", text)
	if !*write {
		return
	}
	file := filepath.Join(docs, "performance.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page, err = Replace(page, name, text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Replace puts text between the marks of that name.
func Replace(page []byte, name, text string) ([]byte, error) {
	begin, end := fmt.Appendf(nil, "<!-- %s -->\n", name), fmt.Appendf(nil, "<!-- /%s -->", name)
	from, to := bytes.Index(page, begin), bytes.Index(page, end)
	if from < 0 || to < from {
		return nil, fmt.Errorf("no marks %q and %q", begin, end)
	}
	from += len(begin)
	return bytes.Join([][]byte{page[:from], []byte("\n" + strings.TrimSpace(text) + "\n\n"), page[to:]}, nil), nil
}

// Draw writes a curve to docs/img with -write, and says so.
func Draw(t testing.TB, file string, c Chart) {
	t.Helper()
	svg := c.SVG()
	if !*write {
		return
	}
	path := filepath.Join(docs, "img", file)
	if err := os.WriteFile(path, svg, 0o644); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("drawn: docs/img/%s\n", file)
}
