// Command mutants asks whether the tests bite: it breaks the machine, its Lua and the breaker in many small ways, one at a
// time, and runs the tests that ought to notice. It prints which test killed which mutant, and fails if one lives, does
// not compile, or does not fit its line.
//
// A mutant is an edit at a marker, a comment "mutant: id" above a line of the source. The edits name operators and numbers
// only, so that a rename breaks none.
//
//	go run ./tests/mutants              # all
//	go run ./tests/mutants -run lease   # those with a name like that
//
// It touches no file of the tree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	pattern := flag.String("run", "", "only mutants whose name matches this regular expression")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	deaths, err := hunt(ctx, *pattern, os.Stdout)
	if err == nil {
		err = deaths.verdict()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// hunt tries all mutants that pattern names and prints a line for each.
func hunt(ctx context.Context, pattern string, out *os.File) (all deaths, err error) {
	named, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	b, err := newBench(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	candidates, err := mutants(b.root)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(out, "| mutant | in | killed by | its own law | s |\n|---|---|---|---|---|")
	for _, m := range candidates {
		if !named.MatchString(m.name) {
			continue
		}
		began := time.Now()
		d := m.try(ctx, b)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		d.took = time.Since(began)
		all = append(all, d)
		fmt.Fprintln(out, d)
	}
	return all, nil
}

// deaths is how mutants ended.
type deaths []death

// count tells how many were killed, and how many of them by another test than the one that is about it.
func (all deaths) count() (killed, elsewhere int) {
	for _, d := range all {
		if d.killer != "" {
			killed++
			if !d.own {
				elsewhere++
			}
		}
	}
	return killed, elsewhere
}

func (all deaths) verdict() error {
	killed, elsewhere := all.count()
	fmt.Printf("\n%d of %d mutants killed, %d of them by another law than their own\n", killed, len(all), elsewhere)
	if killed < len(all) {
		return fmt.Errorf("%d live, or could not be tried", len(all)-killed)
	}
	return nil
}

// death is the end of one mutant.
type death struct {
	mutant
	killer string // the test; empty if it lives
	own    bool   // it was the test that is about this
	err    error  // it could not be tried
	took   time.Duration
}

func (d death) String() string {
	killer, own := d.killer, "yes"
	switch {
	case d.err != nil:
		killer, own = "NOT TRIED: "+d.err.Error(), ""
	case d.killer == "":
		killer, own = "NOBODY", ""
	case !d.own:
		own = "no: " + d.law.run
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %.1f |", d.name, d.file, killer, own, d.took.Seconds())
}
