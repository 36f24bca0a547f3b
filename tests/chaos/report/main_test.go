package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The page is never edited by hand, nor forgotten after a run.
func TestThePageIsMadeOfTheLines(t *testing.T) {
	lines, err := readFile("lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(newest(lines)) != len(lines) {
		t.Error("lines.jsonl holds two lines of one test")
	}
	if string(page) != render(newest(lines)) {
		t.Error("docs/reliability.md is not what is made of lines.jsonl: go run ./tests/chaos/report")
	}
}

const (
	older = `{"scenario":2,"name":"a|b","test":"TestScenario02A","profile":"quick","seed":1,"commit":"c1","machine":"m1","at":"2026-01-01T00:00:00Z","took":"1s","held":false,"numbers":[{"name":"n","value":3,"bar":"0","held":false}]}`
	newer = `{"scenario":2,"name":"a|b","test":"TestScenario02A","profile":"full","seed":7,"commit":"c2","machine":"m2","at":"2026-01-02T00:00:00Z","took":"2s","held":true,"numbers":[{"name":"n","value":12345678,"bar":"<= 20000000","held":true},{"name":"late","value":"3s","bar":"<= 1s","held":false}]}`
	other = `{"scenario":1,"name":"x","test":"TestScenario01X","profile":"full","seed":7,"commit":"c2","machine":"m2","at":"2026-01-02T00:00:00Z","took":"2s","held":true,"numbers":null}`
)

func TestTheNewestLineOfATestWins(t *testing.T) {
	dir := t.TempDir()
	kept, page, more := filepath.Join(dir, "kept"), filepath.Join(dir, "page"), filepath.Join(dir, "more")
	for path, text := range map[string]string{kept: newer + "\n", more: older + "\n\n" + other + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // merging the same lines again changes nothing
		if err := run(kept, page, []string{more}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(kept); err != nil || strings.Count(string(got), "\n") != 2 {
			t.Errorf("kept %s, %v", got, err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 of 2 tests held.", "Scenarios without a line: 3, 4,", "- A: m2",
		"| 2 | a\\|b | yes | n: 12345678 (bar &lt;= 20000000); late: 3s (**not &lt;= 1s**) | TestScenario02A | full, 7 | c2 | A | 2s |",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if bytes.Index(got, []byte("TestScenario01X")) > bytes.Index(got, []byte("TestScenario02A")) {
		t.Error("the scenarios are not in order")
	}
}

func TestALineThatIsNoneIsSaidToBe(t *testing.T) {
	if _, err := read(strings.NewReader(other + "\n{oops\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
}

func Example_show() {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "chaos.jsonl")
	lines := `{"scenario":21,"name":"push dead only","profile":"quick","seed":7,"took":"2s","held":false,"numbers":[{"name":"told twice","value":1,"bar":"0","held":false}]}
{"scenario":7,"name":"kill -9 of Redis","profile":"full","seed":1,"took":"9s","held":true,"numbers":[{"name":"errors","value":0,"bar":"0","held":true},{"name":"largest delay","value":"3ms","bar":"<= 100ms","held":true},{"name":"calls","value":12,"held":true}]}
`
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		panic(err)
	}
	if err := show(os.Stdout, []string{path}); err != nil {
		panic(err)
	}
	// Output:
	// held    scenario  7  kill -9 of Redis (9s, full, SEED=1)
	//                 largest delay: 3ms, wanted <= 100ms
	//                 1 counts as they must be
	// FAILED  scenario 21  push dead only (2s, quick, SEED=7)
	//                 ! told twice: 1, wanted 0
	//                 0 counts as they must be
	// 1 of 2 scenarios held
}
