package storetest

import (
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the answers of the pure machine into the scenarios of testdata")

// The goldens are written by the machine only when asked to, and are read and judged by people.
func TestScenariosAreWhatTheMachineAnswers(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			played := playAll(t, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(played), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if played != string(text) {
				t.Errorf("the machine answers otherwise; with -update the file becomes:\n%s", played)
			}
		})
	}
}

// playAll plays a scenario on the machine, and gives it with the machine's answers in place of its own.
func playAll(t *testing.T, text string) string {
	t.Helper()
	c := newClock()
	m := newModel(c)
	stage := newStage(m, c, tier, m.wipe)
	var out strings.Builder
	for raw := range strings.Lines(text) {
		trimmed := strings.TrimSpace(raw)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
			out.WriteString(raw)
		case strings.HasPrefix(raw, "  "):
		default:
			answer, err := stage.play(trimmed)
			if err != nil {
				t.Fatal(err)
			}
			out.WriteString(lineText(trimmed, answer))
		}
	}
	return out.String()
}
