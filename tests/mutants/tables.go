package main

import "errors"

// area is a folder with mutants, and which tests try them.
type area struct {
	folder string
	suffix string // of the names
	marks  []mark
	suites func(law string) (suite, []suite)
}

var areas = []area{
	{"internal/machine", "", atMachine, func(law string) (suite, []suite) {
		return suite{"./store/memory", "^TestConformance$/^" + law + "_"},
			[]suite{{"./internal/machine", "."}, {"./store/memory", "^TestConformance$"}}
	}},
	{"scripts/lua", ", in Lua", atLua, func(law string) (suite, []suite) {
		own := suite{"./store/redis", "^TestConformanceOnRedis$/^" + law + "_"}
		if law[0] == 'T' {
			own.run = "^" + law + "$"
		}
		return own, []suite{{"./store/redis", "^(TestConformanceOnRedis|TestDifferential)$"}, {"./store/redis", "."}}
	}},
	{"breaker", "", atBreaker, func(law string) (suite, []suite) {
		return suite{"./breaker", "^" + law + "$"}, []suite{{"./breaker", "."}, {"./tests/fleet", "."}}
	}},
	{"retry", "", atRetry, func(law string) (suite, []suite) {
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
		for i := range made {
			made[i].name += a.suffix
		}
		all = append(all, made...)
	}
	return all, errors.Join(append(errs, found.unclaimed()...)...)
}
