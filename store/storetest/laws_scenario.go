package storetest

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed testdata/*.txt
var scenarios embed.FS

// line is one line of a scenario that does something, with the answer that every store gives.
type line struct {
	number int
	text   string
	answer string
}

// parseScenario reads a scenario: its first comment is its sentence; answers are indented and follow their line.
func parseScenario(text string) (why string, lines []line) {
	var sentence []string
	for i, raw := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(raw)
		switch {
		case trimmed == "":
		case strings.HasPrefix(trimmed, "#"):
			if len(lines) == 0 {
				sentence = append(sentence, strings.TrimSpace(trimmed[1:]))
			}
		case strings.HasPrefix(raw, "  ") && len(lines) > 0:
			if last := &lines[len(lines)-1]; last.answer == "" {
				last.answer = trimmed
			} else {
				last.answer += "\n" + trimmed
			}
		default:
			lines = append(lines, line{number: i + 1, text: trimmed})
		}
	}
	return strings.Join(sentence, " "), lines
}

// lineText writes a line with its answer, as parseScenario reads it.
func lineText(text, answer string) string {
	if answer == "" {
		return text + "\n"
	}
	return text + "\n  " + strings.ReplaceAll(answer, "\n", "\n  ") + "\n"
}

// scenarioRules has a law for each file of testdata.
func scenarioRules() []rule {
	files, err := fs.Glob(scenarios, "testdata/*.txt")
	if err != nil {
		panic(err) // the pattern is constant and well formed
	}
	rules := make([]rule, len(files))
	for i, file := range files {
		text, err := scenarios.ReadFile(file)
		if err != nil {
			panic(err) // it is embedded
		}
		why, lines := parseScenario(string(text))
		rules[i] = rule{
			name: strings.TrimSuffix(path.Base(file), ".txt"),
			why:  why,
			check: func(f *fixture) {
				stage := f.stage(tier)
				for _, l := range lines {
					answer, err := stage.play(l.text)
					if err != nil {
						f.Fatalf("%s:%d: %v", file, l.number, err)
					}
					if answer != l.answer {
						f.Fatalf("%s:%d: %s\n got %s\nwant %s", file, l.number, l.text, indented(answer), indented(l.answer))
					}
				}
			},
		}
	}
	return rules
}

// stage is where a scenario about a breaker is played on the fixture's store.
func (f *fixture) stage(name string) *stage {
	g := newStage(f.store, f.clock, name, nil)
	g.wipe = func() {
		f.wipe()
		g.store = f.store
	}
	return g
}

func indented(answer string) string {
	if answer == "" {
		return "no answer"
	}
	return strings.ReplaceAll(answer, "\n", "\n     ")
}
