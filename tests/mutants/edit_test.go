package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

// at makes the place of the only marker in a source.
func at(t *testing.T, file, source string) *place {
	t.Helper()
	found := markers{}
	if err := found.read(file, source); err != nil {
		t.Fatal(err)
	}
	m, ok := found["."]["x"]
	if !ok {
		t.Fatalf("no marker x in %q", source)
	}
	return &m.place
}

const goMark, luaMark = "\t// mutant: x\n", "-- mutant: x\n"

func TestEdits(t *testing.T) {
	for name, c := range map[string]struct {
		edit                edit
		file, before, after string
	}{
		"never of an if":                    {Never(), "a.go", "\tif a && b {\n", "\tif false && (a && b) {\n"},
		"never of an if with an init":       {Never(), "a.go", "\tif x := f(1, g(2)); x > 0 {\n", "\tif x := f(1, g(2)); false && (x > 0) {\n"},
		"never of an else if":               {Never(), "a.go", "\t} else if a {\n", "\t} else if false && (a) {\n"},
		"never of a case":                   {Never(), "a.go", "\tcase a == b[1:2]:\n", "\tcase false && (a == b[1:2]):\n"},
		"never of what is returned":         {Never(), "a.go", "\treturn a || b // so\n", "\treturn false && (a || b) // so\n"},
		"never of what is assigned":         {Never(), "a.go", "\tagain := a <= b\n", "\tagain := false && (a <= b)\n"},
		"never in a function of a line":     {Never(), "a.go", "func f() bool { return a == b }\n", "func f() bool { return false && (a == b) }\n"},
		"never over two lines":              {Never(), "a.go", "\tif a &&\n\t\tb {\n", "\tif false && (a &&\n\t\tb) {\n"},
		"never with a function":             {Never(), "a.go", "\tif any(x, func(y int) bool { return y > 0 }) {\n", "\tif false && (any(x, func(y int) bool { return y > 0 })) {\n"},
		"never in Lua":                      {Never(), "a.lua", "if a or b then\n", "if false and (a or b) then\n"},
		"never in an elseif":                {Never(), "a.lua", "elseif a then -- so\n", "elseif false and (a) then -- so\n"},
		"never of a while":                  {Never(), "a.lua", "while gone <= surplus do\n", "while false and (gone <= surplus) do\n"},
		"never in Lua over two lines":       {Never(), "a.lua", "if a\n  and b then\n", "if false and (a\n  and b) then\n"},
		"never of a local":                  {Never(), "a.lua", "  local again = a <= b\n", "  local again = false and (a <= b)\n"},
		"never of a local over two lines":   {Never(), "a.lua", "local x = a\n  and b\nf()\n", "local x = false and (a\n  and b)\nf()\n"},
		"never of a return before end":      {Never(), "a.lua", "if l.id == id then return a end\n", "if false and (l.id == id) then return a end\n"},
		"never in a Lua function of a line": {Never(), "a.lua", "local function f(n) return n > 0 end\n", "local function f(n) return false and (n > 0) end\n"},
		"always":                            {Always(), "a.go", "\tif a {\n", "\tif true || (a) {\n"},
		"always in Lua":                     {Always(), "a.lua", "if a then\n", "if true or (a) then\n"},
		"a value":                           {Value("1"), "a.go", "\tquorum := min(a, b.c())\n", "\tquorum := 1\n"},
		"a field's value":                   {Value("0"), "a.go", "\t\tPrev: m.generation, Next: 1,\n", "\t\tPrev: 0, Next: 1,\n"},
		"plus":                              {Plus(1), "a.lua", "local free = b.p.probes - #b.leases\n", "local free = (b.p.probes - #b.leases) + 1\n"},
		"less":                              {Plus(-1), "a.go", "\tx := y\n", "\tx := (y) - 1\n"},
		"another operator":                  {Swap(">=", ">"), "a.go", "\tx := a >= b && c > d\n", "\tx := a > b && c > d\n"},
		"another number":                    {Swap("20", "0"), "a.lua", "x = 2 ^ math.min(n, 20) -- 20\n", "x = 2 ^ math.min(n, 0) -- 20\n"},
		"another word":                      {Swap("pcall", "call"), "a.lua", "redis.pcall('pcall')\n", "redis.call('pcall')\n"},
		"an operator of a term":             {Term(2, Swap(">=", ">")), "a.go", "\tif a >= b && c >= d {\n", "\tif a >= b && c > d {\n"},
		"a term of a term":                  {Term(2, DropTerm(1)), "a.lua", "if a or (b\n  or c) then\n", "if a or (false and (b\n)  or c) then\n"},
		"terms of a term":                   {Term(1, DropTerm(1, 2)), "a.lua", "return a and b and c or nil\n", "return (true or (a)) and (true or (b)) and c or nil\n"},
		"a part of a text that is compared": {Term(2, Term(1, DropTerm(1))), "a.lua", "if a or (b or '') .. (c or '') ~= '' then\n", "if a or '' .. (c or '') ~= '' then\n"},
		"a value of two":                    {Item(2, Always()), "a.go", "\treturn l, a == b && c\n", "\treturn l, true || (a == b && c)\n"},
		"a value of two of a function":      {Item(2, Value("0")), "a.lua", "local function f() return f(1, 2), 3 end\n", "local function f() return f(1, 2), 0 end\n"},
		"a field of many":                   {Item(3, Plus(-1)), "a.go", "\t\tA: f(1, 2), B: c,\n\t\tC: d,\n", ""},
		"a field of a line":                 {Item(2, Plus(1)), "a.go", "\t\tA: f(1, 2), B: c,\n\t\tC: d,\n", "\t\tA: f(1, 2), B: (c) + 1,\n\t\tC: d,\n"},
		"a term of and":                     {DropTerm(2), "a.go", "\tif a && b(c || d) && e {\n", "\tif a && (true || (b(c || d))) && e {\n"},
		"a term of or":                      {DropTerm(1), "a.go", "\treturn a && b || c\n", "\treturn false && (a && b) || c\n"},
		"two terms":                         {DropTerm(1, 3), "a.lua", "local x = a or b or c\n", "local x = false and (a) or b or false and (c)\n"},
		"a term of or in Lua":               {DropTerm(1), "a.lua", "local to = a == B and C or D\n", "local to = false and (a == B and C) or D\n"},
		"a term of a sum":                   {DropTerm(3), "a.go", "\treturn int(l.now + l.last - l.both)\n", "\treturn int(l.now + l.last - 0*(l.both))\n"},
		"a term of a call with two":         {DropTerm(1), "a.go", "\treturn f(a + b, c)\n", ""},
		"a term of a call that goes on":     {DropTerm(1), "a.go", "\treturn f(a + b).c\n", ""},
		"a term of a sum in no call":        {DropTerm(3), "a.go", "\treturn l.now + l.last - l.both\n", "\treturn l.now + l.last - 0*(l.both)\n"},
		"a part of a text":                  {DropTerm(1), "a.lua", "local x = (f[7] or '') .. (f[9] or '')\n", "local x = '' .. (f[9] or '')\n"},
		"an argument":                       {Arg(2), "a.go", "\tx := max(m.at, now+m.off)\n", "\tx := (now+m.off)\n"},
		"an argument in Lua":                {Arg(1), "a.lua", "return math.max(n + 1, f(b, c))\n", "return (n + 1)\n"},
		"an argument within":                {Arg(1), "a.go", "\tx := s + min(f(a, b), c)\n", "\tx := s + (f(a, b))\n"},
		"delete":                            {Delete(), "a.go", "\tm.window = nil\n\tx()\n", "\n\tx()\n"},
		"an argument of a call":             {Arg(1), "a.go", "\t\tA: next(m.a, b), B: next(m.b, b),\n", "\t\tA: (m.a), B: next(m.b, b),\n"},
		"no condition":                      {Never(), "a.go", "\tf()\n", ""},
		"no condition, but below":           {Never(), "a.go", "\tf()\n\tif a {\n", ""},
		"no chain":                          {DropTerm(1), "a.go", "\tif a {\n", ""},
		"no comparison's terms":             {DropTerm(1), "a.go", "\tif a < b {\n", ""},
		"no such term":                      {DropTerm(3), "a.go", "\tif a && b {\n", ""},
		"no such argument":                  {Arg(3), "a.go", "\tx := min(a, b)\n", ""},
		"no call":                           {Arg(1), "a.go", "\tx := 1 + mini(a, b)\n", ""},
		"no such term to edit":              {Term(3, Always()), "a.go", "\tif a && b {\n", ""},
		"no such value":                     {Item(2, Always()), "a.go", "\treturn f(a, b)\n", ""},
		"an operator of another term":       {Term(1, Swap("<", ">")), "a.go", "\tif a > b && c < d {\n", ""},
		"no such operator":                  {Swap(">", "<"), "a.go", "\tx := a >= b\n", ""},
		"the operator twice":                {Swap("&&", "||"), "a.go", "\tx := a && b && c\n", ""},
		"no such lines":                     {Earlier(9), "a.go", "\tx()\n", ""},
		"nothing to put instead":            {Instead(), "a.go", "\tx()\n", ""},
		"nothing to put first":              {First(), "a.go", "\tx()\n", ""},
	} {
		mark := goMark
		if strings.HasSuffix(c.file, ".lua") {
			mark = luaMark
		}
		got, err := c.edit(at(t, c.file, mark+c.before))
		if got = strings.TrimPrefix(got, mark); got != c.after || (err != nil) != (c.after == "") {
			t.Errorf("%s:\n got %q, %v\nwant %q", name, got, err, c.after)
		}
	}
}

func TestWhatNeedsNamesStandsInTheMarker(t *testing.T) {
	source := "\t// mutant: x = return b.c\n\n\t// why\n\treturn a\n"
	for want, e := range map[string]edit{
		"\t// mutant: x = return b.c\n\n\t// why\nreturn b.c\n":             Instead(),
		"\t// mutant: x = return b.c\n\n\t// why\nreturn b.c\n\treturn a\n": First(),
	} {
		if got, err := e(at(t, "a.go", source)); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestALineMovesUpBeforeLinesButNotComments(t *testing.T) {
	source := "a()\nwrite(b)\n\n-- why\nif b.bad then return end\n-- mutant: x\nlocal c = push(b)\nx()\n"
	want := "a()\nlocal c = push(b)\nwrite(b)\n\n-- why\nif b.bad then return end\n-- mutant: x\n\nx()\n"
	if got, err := Earlier(2)(at(t, "a.lua", source)); got != want || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestMarkersAndMutantsNeedEachOther(t *testing.T) {
	tree := fstest.MapFS{}
	for file, text := range map[string]string{
		"a/a.go": "package a\n// mutant: one\nvar x = 1 > 2\n", "a/b.go": "package a\n// mutant: two\nvar y = 1\n",
		"a/a_test.go": "package a\n// mutant: test\nvar z = 1\n", "b/b.lua": "-- mutant: one\nlocal x = 1\n",
		"tests/c.go": "// mutant: none\nvar x = 1\n", ".git/d.go": "// mutant: none\nvar x = 1\n",
	} {
		tree[file] = &fstest.MapFile{Data: []byte(text)}
	}
	suites := func(law string) (suite, []suite) { return suite{"./a", law}, nil }
	for want, marks := range map[string][]mark{
		"":                               {{"n", "one", Swap(">", "<"), "T"}, {"m", "one", Never(), "T"}, {"o", "two", Plus(1), "T"}},
		"no mutant is at the marker two": {{"n", "one", Never(), "T"}},
		"no marker three in a":           {{"n", "one", Never(), "T"}, {"m", "two", Plus(1), "T"}, {"o", "three", Plus(1), "T"}},
		"want once, in":                  {{"n", "one", Swap("<", ">"), "T"}, {"m", "two", Plus(1), "T"}},
		"it changes nothing":             {{"n", "one", Never(), "T"}, {"m", "two", Value("1"), "T"}},
	} {
		found, err := findMarkers(tree)
		if err != nil {
			t.Fatal(err)
		}
		made, errs := found.marked("a", marks, suites)
		switch {
		case want == "" && (len(errs) > 0 || len(made) != len(marks) || made[2].file != "a/b.go" || made[2].law.run != "T"):
			t.Errorf("%v, %+v", errs, made)
		case want != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), want)):
			t.Errorf("got %v; want %q", errs, want)
		}
		if left := found.unclaimed(); len(left) != 1 || !strings.Contains(left[0].Error(), "b: no table is about this folder") {
			t.Errorf("unclaimed: %v", left)
		}
	}
}

func TestBadMarkersAreRefused(t *testing.T) {
	for name, source := range map[string]string{
		"twice":        "// mutant: x\nvar a = 1\n// mutant: x\nvar b = 1\n",
		"at the end":   "var a = 1\n// mutant: x\n",
		"capitals":     "// mutant: X\nvar a = 1\n",
		"behind code":  "var a = 1 // mutant: x\nvar b = 1\n",
		"without id":   "// mutant:\nvar a = 1\n",
		"plural":       "// mutants: x\nvar a = 1\n",
		"without gap":  "//mutant: x\nvar a = 1\n",
		"note not cut": "// mutant: x: return b\nvar a = 1\n",
	} {
		if err := (markers{}).read("a.go", source); err == nil {
			t.Errorf("%s: %q is taken", name, source)
		}
	}
}
