package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// mutant is one way to be wrong.
type mutant struct {
	name    string // what it does wrong
	file    string // of the module
	mutated string // the file with the bug in it
	law     suite  // the tests that are about this
	others  []suite
}

// suite is a choice of tests: a package, and what go test -run takes.
type suite struct{ pkg, run string }

// try runs first the tests that are about what the mutant does wrong, then the others, until one fails.
func (m mutant) try(ctx context.Context, b *bench) death {
	d := death{mutant: m}
	prepare := b.goTest
	if strings.HasSuffix(m.file, ".lua") {
		prepare = b.luaTest
	}
	command, err := prepare(ctx, m.file, m.mutated)
	if err != nil {
		d.err = err
		return d
	}
	for i, s := range append([]suite{m.law}, m.others...) {
		d.killer, d.err = s.verdict(command(s))
		d.own = i == 0
		if d.killer != "" || d.err != nil {
			break
		}
	}
	return d
}

// verdict gives the first test that fails, or none.
func (s suite) verdict(cmd *exec.Cmd) (killer string, err error) {
	cmd.Env = append(cmd.Environ(), "REQUIRE_REDIS=1", "COMMONTRIP_DIFF_STEPS=20000", "COMMONTRIP_CHAOS=")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch text := string(out); {
	case err == nil && strings.Contains(text, "no tests to run"):
		return "", fmt.Errorf("%s has no test %s", s.pkg, s.run)
	case err == nil:
		return "", nil
	case !errors.As(err, &exit):
		return "", err
	case strings.Contains(text, "[build failed]"), strings.Contains(text, "[setup failed]"), strings.Contains(text, "compiling script"):
		return "", fmt.Errorf("it does not compile: %s", strings.Join(strings.Fields(text), " "))
	default:
		return firstFailure(text), nil
	}
}

var (
	failedTest  = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)
	runningTest = regexp.MustCompile(`(?m)^\s*running tests:\n\s+(\S+)`)
	panicked    = regexp.MustCompile(`(?m)^(panic|fatal error): (.*)$`)
)

// firstFailure names the test that failed, the inmost one, or what ended the process.
func firstFailure(out string) string {
	name := ""
	for _, found := range failedTest.FindAllStringSubmatch(out, -1) {
		if !strings.HasPrefix(found[1], name) {
			break
		}
		name = found[1]
	}
	if found := runningTest.FindStringSubmatch(out); found != nil {
		return found[1] + ", by its deadline"
	}
	if found := panicked.FindStringSubmatch(out); name == "" && found != nil {
		return found[1] + ": " + found[2]
	}
	if name == "" {
		return "the exit status"
	}
	return name
}
