// Command table prints what scenarios of the scoreboard left, a line for each: whether it held, and which of its numbers did
// not.
//
//	go run ./tests/chaos/table bin/chaos.jsonl
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: table FILE")
		os.Exit(2)
	}
	if err := show(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func show(path string, out io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines, err := read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return write(lines, out)
}

// read gives the lines in the order of their scenarios.
func read(in io.Reader) ([]scoreboard.Line, error) {
	var lines []scoreboard.Line
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line scoreboard.Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, line)
	}
	slices.SortStableFunc(lines, func(a, b scoreboard.Line) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Name, b.Name))
	})
	return lines, scanner.Err()
}

func write(lines []scoreboard.Line, out io.Writer) error {
	held := 0
	var text strings.Builder
	for _, line := range lines {
		word := "FAILED"
		if line.Held {
			word = "held"
			held++
		}
		fmt.Fprintf(&text, "%-6s  scenario %2d  %s (%s, %s, SEED=%d)\n", word, line.Scenario, line.Name, line.Took, line.Profile, line.Seed)
		for _, note := range notes(line) {
			fmt.Fprintf(&text, "                %s\n", note)
		}
	}
	fmt.Fprintf(&text, "%d of %d scenarios held\n", held, len(lines))
	_, err := io.WriteString(out, text.String())
	return err
}

// notes are what is worth a look: what is beyond its bar, every time that has one, and how many counts were as they must be.
func notes(line scoreboard.Line) (notes []string) {
	counts := 0
	for _, n := range line.Numbers {
		_, isTime := n.Value.(string)
		switch {
		case n.Bar == "":
		case !n.Held:
			notes = append(notes, fmt.Sprintf("! %s: %v, wanted %s", n.Name, n.Value, n.Bar))
		case isTime:
			notes = append(notes, fmt.Sprintf("%s: %v, wanted %s", n.Name, n.Value, n.Bar))
		default:
			counts++
		}
	}
	return append(notes, fmt.Sprintf("%d counts as they must be", counts))
}
