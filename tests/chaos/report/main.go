// Command report makes docs/reliability.md of the lines that the scenarios of the scoreboard leave, or prints them.
//
//	COMMONTRIP_CHAOS=full COMMONTRIP_CHAOS_OUT=/tmp/lines go test -run TestScenario ./tests/...
//	go run ./tests/chaos/report /tmp/lines
//	go run ./tests/chaos/report -show /tmp/lines
//
// The lines kept are tests/chaos/report/lines.jsonl: of each test the newest. Files that are named are merged into them.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

func main() {
	kept := flag.String("lines", "tests/chaos/report/lines.jsonl", "the lines that are kept")
	page := flag.String("page", "docs/reliability.md", "the page that is made of them")
	only := flag.Bool("show", false, "print the lines of the files that are named, and change nothing")
	flag.Parse()
	do := func() error { return run(*kept, *page, flag.Args()) }
	if *only {
		do = func() error { return show(os.Stdout, flag.Args()) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(kept, page string, more []string) error {
	lines, err := readFile(kept)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	added, err := readFiles(more)
	if err != nil {
		return err
	}
	lines = newest(append(lines, added...))
	var text bytes.Buffer
	for _, l := range lines {
		if err := json.NewEncoder(&text).Encode(l); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(kept, text.Bytes(), 0o644), os.WriteFile(page, []byte(render(lines)), 0o644))
}

// show prints what stands in files, in the order of the scenarios.
func show(out io.Writer, paths []string) error {
	lines, err := readFiles(paths)
	if err != nil {
		return err
	}
	slices.SortStableFunc(lines, func(a, b scoreboard.Line) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Name, b.Name))
	})
	return summarize(lines, out)
}

func readFiles(paths []string) (lines []scoreboard.Line, err error) {
	for _, path := range paths {
		add, err := readFile(path)
		if err != nil {
			return nil, err
		}
		lines = append(lines, add...)
	}
	return lines, nil
}

func readFile(path string) ([]scoreboard.Line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lines, nil
}

// read takes one line of JSON each.
func read(r io.Reader) (lines []scoreboard.Line, err error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for n := 1; scanner.Scan(); n++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var l scoreboard.Line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		lines = append(lines, l)
	}
	return lines, scanner.Err()
}

// newest keeps the last line of each test, by scenario and test.
func newest(lines []scoreboard.Line) []scoreboard.Line {
	last := map[string]scoreboard.Line{}
	for _, l := range lines {
		if old, ok := last[l.Test]; !ok || !l.At.Before(old.At) {
			last[l.Test] = l
		}
	}
	return slices.SortedFunc(maps.Values(last), func(a, b scoreboard.Line) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Test, b.Test))
	})
}
