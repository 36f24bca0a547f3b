package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

const head = `# Reliability: what was attacked, and what held

Each scenario is a fault or an attack that a test injects for real: it breaks something, heals it, and demands that everybody
agrees again. Counts are held to their bars, and a scenario that breaks one has failed. Times are the largest seen and stand
beside what is wanted; they are the machine's too, so they fail no scenario, and if one was longer the table says so.

This page is made from the lines of [lines.jsonl](../tests/chaos/report/lines.jsonl), of each test the newest, by
` + "`go run ./tests/chaos/report`" + `; do not edit it. To play a scenario again, by its number and seed:

    COMMONTRIP_CHAOS=full COMMONTRIP_CHAOS_SEED=7 go test -race -count=1 -v -run 'TestScenario01' ./tests/...

`

// render makes the page of lines, one a test, in order.
func render(lines []scoreboard.Line) string {
	var out strings.Builder
	out.WriteString(head)
	held := 0
	for _, l := range lines {
		if l.Held {
			held++
		}
	}
	fmt.Fprintf(&out, "%d of %d tests held.\n", held, len(lines))
	if missing := missingScenarios(lines); missing != "" {
		fmt.Fprintf(&out, "Scenarios without a line: %s.\n", missing)
	}
	out.WriteString("\nMachines:\n\n")
	machines := machines(lines)
	for i, m := range machines {
		fmt.Fprintf(&out, "- %s: %s\n", letter(i), m)
	}
	out.WriteString("\n| scenario | what | held | numbers | test | profile, seed | commit | machine | took |\n|--:|---|---|---|---|---|---|---|--:|\n")
	for _, l := range lines {
		cells := []string{
			strconv.Itoa(l.Scenario), l.Name, yes(l.Held), numbers(l.Numbers), l.Test, fmt.Sprintf("%s, %d", l.Profile, l.Seed),
			l.Commit, letter(slices.Index(machines, l.Machine)), l.Took,
		}
		for i, c := range cells {
			cells[i] = strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(c)
		}
		fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | "))
	}
	return out.String()
}

// numbers spells figures with their bars.
func numbers(list []scoreboard.Number) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = fmt.Sprintf("%s: %s", n.Name, value(n.Value))
		switch {
		case n.Bar != "" && n.Held:
			parts[i] += fmt.Sprintf(" (bar %s)", n.Bar)
		case !n.Held:
			parts[i] += fmt.Sprintf(" (**not %s**)", n.Bar)
		}
	}
	return strings.Join(parts, "; ")
}

// value writes a whole number without an exponent, as JSON's numbers would have one.
func value(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func missingScenarios(lines []scoreboard.Line) string {
	var missing []string
	for scenario := 1; scenario <= scoreboard.Scenarios; scenario++ {
		if !slices.ContainsFunc(lines, func(l scoreboard.Line) bool { return l.Scenario == scenario }) {
			missing = append(missing, strconv.Itoa(scenario))
		}
	}
	return strings.Join(missing, ", ")
}

// machines lists them in order of appearance.
func machines(lines []scoreboard.Line) (list []string) {
	for _, l := range lines {
		if !slices.Contains(list, l.Machine) {
			list = append(list, l.Machine)
		}
	}
	return list
}

func letter(i int) string { return string(rune('A' + i%26)) }

func yes(held bool) string {
	if held {
		return "yes"
	}
	return "**no**"
}
