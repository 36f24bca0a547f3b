package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// summarize prints a line for each scenario: whether it held, and which of its numbers did not.
func summarize(lines []scoreboard.Line, out io.Writer) error {
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
