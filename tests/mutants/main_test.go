package main

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/parse"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// A mutant whose place has changed would not be a mutant any more.
func TestEveryMutantHasItsPlace(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := mutants(root)
	if err != nil {
		t.Error(err)
	}
	list := exec.CommandContext(t.Context(), "scripts/lists.sh")
	list.Dir = root
	listed, err := list.Output()
	if err != nil {
		t.Errorf("make lists: %v", err)
	}
	if n := strings.Count(string(listed), "\nmutants: "); n != len(all) {
		t.Errorf("make lists names %d mutants of %d", n, len(all))
	}
	names := map[string]bool{}
	for _, m := range all {
		if names[m.name] {
			t.Errorf("two mutants are called %q", m.name)
		}
		names[m.name] = true
		if err := parses(m.file, m.mutated); err != nil {
			t.Errorf("%s: what it makes of %s is not a program: %v", m.name, m.file, err)
		}
	}
}

// parses reads a mutated file as a compiler would. Parts of scripts are whole chunks too.
func parses(file, text string) error {
	if strings.HasSuffix(file, ".lua") {
		_, err := parse.Parse(strings.NewReader(text), file)
		return err
	}
	_, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
	return err
}

func TestTheInmostFailureIsNamed(t *testing.T) {
	for out, want := range map[string]string{
		"--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/3.01_x (0.0s)\n        a.go:1: no\nFAIL\n":        "TestA/3.01_x",
		"panic: test timed out after 3m0s\n\trunning tests:\n\t\tTestB (3m0s)\n\ngoroutine 1:\nFAIL\n": "TestB, by its deadline",
		"panic: oh no\n\ngoroutine 1:\nFAIL\n":                                                         "panic: oh no",
		"FAIL\n":                                                                                       "the exit status",
	} {
		if got := firstFailure(out); got != want {
			t.Errorf("of %q: %q, want %q", out, got, want)
		}
	}
}

func TestScenario38MutantsDie(t *testing.T) {
	scenario := scoreboard.Start(t, 38, "do the tests bite")
	if !scenario.Full() {
		t.Skip("mutants take a quarter of an hour: the full profile, or make mutants")
	}
	all, err := hunt(t.Context(), "", os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	killed, elsewhere := all.count()
	for _, d := range all {
		if d.killer == "" {
			t.Error(d)
		}
	}
	scenario.AtLeast("mutants", len(all), 40)
	scenario.AtLeast("of them killed", killed, len(all))
	scenario.Report("killed by another law than their own", elsewhere)
}
