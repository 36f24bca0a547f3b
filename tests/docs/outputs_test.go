package docs

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// An output that is shown was one of a real fleet. What in it comes from the program must still come from it: the titles of
// tables, the doctor's checks, and the beginnings of what it says to do.
func TestWhatOutputsShowTheProgramStillSays(t *testing.T) {
	program := programOf(t)
	seen := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.lang != "console" || p.path == "docs/cli.md" { // cli.md is written by the program's own tests
				continue
			}
			for i, line := range b.lines {
				for _, text := range fixed(line) {
					seen++
					if !strings.Contains(program, text) {
						t.Errorf("%s:%d: commontrip says %q nowhere", p.path, b.line+i, text)
					}
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("looked at %d texts only", seen)
	}
}

func programOf(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "cmd", "commontrip", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text.WriteString(read(t, strings.TrimPrefix(filepath.ToSlash(file), root+"/")))
		}
	}
	return text.String()
}

var (
	titles  = regexp.MustCompile(`^[A-Z]+(  +[A-Z]+)+$`)
	finding = regexp.MustCompile(`^(ok|note|problem) +(\w+)`)
	advice  = regexp.MustCompile(`^ +-> (.{11})`) // what follows may name a server or a user
)

// fixed is what of a line is the program's own text.
func fixed(line string) (texts []string) {
	switch {
	case titles.MatchString(line):
		for _, title := range strings.Fields(line) {
			texts = append(texts, `"`+title+`"`)
		}
	case finding.MatchString(line):
		m := finding.FindStringSubmatch(line)
		texts = append(texts, `"`+m[1]+`"`, `"`+m[2])
	case advice.MatchString(line):
		texts = append(texts, advice.FindStringSubmatch(line)[1])
	case strings.HasPrefix(line, "no breakers"):
		fixed, _, _ := strings.Cut(line, "prefix ")
		texts = append(texts, fixed+"prefix ")
	}
	return texts
}
