package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// area is a folder with mutants, and which tests try them.
type area struct {
	folder string
	suffix string // of the names
	marks  []mark
	quoted []change
	suites func(law string) (suite, []suite)
}

var areas = []area{
	{"internal/machine", "", atMachine, inMachine, func(law string) (suite, []suite) {
		return suite{"./store/memory", "^TestConformance$/^" + law + "_"},
			[]suite{{"./internal/machine", "."}, {"./store/memory", "^TestConformance$"}}
	}},
	{"scripts/lua", ", in Lua", atLua, inLua, func(law string) (suite, []suite) {
		own := suite{"./store/redis", "^TestConformanceOnRedis$/^" + law + "_"}
		if law[0] == 'T' {
			own.run = "^" + law + "$"
		}
		return own, []suite{{"./store/redis", "^(TestConformanceOnRedis|TestDifferential)$"}, {"./store/redis", "."}}
	}},
	{"breaker", "", atBreaker, nil, func(law string) (suite, []suite) {
		return suite{"./breaker", "^" + law + "$"}, []suite{{"./breaker", "."}, {"./tests/fleet", "."}}
	}},
	{"retry", "", atRetry, nil, func(law string) (suite, []suite) {
		return suite{"./retry", "^" + law + "$"}, []suite{{"./retry", "."}}
	}},
}

// mutants makes all of them, and says which cannot be made.
func mutants(root string) (all []mutant, err error) {
	found, err := findAll(root)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range areas {
		made, wrong := found.marked(a.folder, a.marks, a.suites)
		errs = append(errs, wrong...)
		for _, c := range a.quoted {
			m, err := c.mutant(root, &a)
			made, errs = append(made, m), append(errs, err)
		}
		for i := range made {
			made[i].name += a.suffix
		}
		all = append(all, made...)
	}
	return all, errors.Join(append(errs, found.unclaimed()...)...)
}

// change is one text for another in a file, and the law that forbids it.
type change struct{ name, file, old, new, law string }

func (c change) mutant(root string, a *area) (mutant, error) {
	m := mutant{name: c.name, file: a.folder + "/" + c.file}
	m.law, m.others = a.suites(c.law)
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return m, err
	}
	if n := strings.Count(string(source), c.old); n != 1 {
		return m, fmt.Errorf("%s: %s holds %q %d times; want once", c.name, m.file, c.old, n)
	}
	m.mutated = strings.Replace(string(source), c.old, c.new, 1)
	return m, nil
}
