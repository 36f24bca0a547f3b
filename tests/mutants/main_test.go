package main

import (
	"os"
	"testing"

	"github.com/commontrip/commontrip/tests/chaos/board"
)

// A mutant whose text has changed would be no mutant any more.
func TestEveryMutantHasItsPlace(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range mutants() {
		if names[m.name] {
			t.Errorf("two mutants are called %q", m.name)
		}
		names[m.name] = true
		if _, err := m.text(root); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
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

func TestRow38MutantsDie(t *testing.T) {
	row := board.Start(t, 38, "do the tests bite")
	if !row.Full() {
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
	row.AtLeast("mutants", len(all), 40)
	row.AtLeast("of them killed", killed, len(all))
	row.Report("killed by another law than their own", elsewhere)
}
