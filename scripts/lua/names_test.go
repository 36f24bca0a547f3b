package lua_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const machine = "../../internal/machine/"

// filesOfOne are the files that only one of the two machines has, and why.
var filesOfOne = map[string]string{
	"schema.lua":    "reads the hash",
	"save.lua":      "writes the hash, pushes and replies",
	"read.lua":      "reads fields for Go, which makes snapshots of them",
	"fast_path.lua": "what the other parts come to, if nothing but numbers changes",

	"codec.go":     "saves and loads a machine, for stores that keep bytes; save.lua and schema.lua do it with the hash",
	"doc.go":       "the package's manual",
	"machine.go":   "the type; schema.lua makes a table of it",
	"overrides.go": "part of the type; fields of that table in Lua",
	"units.go":     "durations and rates; Lua has integers only",
	"tally.go":     "counts of a window; fields of that table in Lua",
	"ring.go":      "a window of calls; a string in Lua",
	"buckets.go":   "a window of time; a table in Lua",
	"witnesses.go": "a list; a string in Lua",
	"history.go":   "the entries, and reading them; fields of the hash in Lua, which store/redis reads",
	"snapshot.go":  "reads; store/redis makes a snapshot of the hash's fields",
}

// functionsOfOne are the functions that only one of the two machines has, by why; each after its file. An exported function of Go is
// an entry: in Lua the script of that name is it.
var functionsOfOne = map[string]string{
	"Lua reads a field of the hash when it is needed": `
		window.load_window totals.load_count repair.parse_details probes.failed_probes roster.parse_replica`,
	"Lua keeps lists in strings, and works on them in pieces": `
		window.join_window window.cut_window labels.join_labels outcomes.bucket_for outcomes.touch_witness
		judge.witnesses`,
	"Lua keeps a policy as a text, and one of a newer release whole": `
		policy.policy_differs`,
	"Go does it where it keeps the entries": `
		transition.keep_outage`,
	"Lua makes a function only if it is needed": `
		transition.changes outcomes.adverse`,
	"Lua takes a run at once, if none of its outcomes can trip; Go takes one outcome after another": `
		outcomes.note_run outcomes.touch_witnesses outcomes.may_trip outcomes.count_others
		outcomes.reachable outcomes.until_rate outcomes.until_trip outcomes.addOne`,
	"Lua looks at a few entries of the roster a script; Go at all of them when a slice begins": `
		roster.sweep`,
	"Lua gives the reply as a list": `
		claim.answer`,
	"Lua does it in the script's own lines, since a function costs each report": `
		sync.announce`,
	"Lua drops a forgotten tombstone when it reads it, and save answers for one": `
		tombstone.tombstoneSnapshot tombstone.forgotten tombstone.replace`,
	"Go makes what is rarely needed when it is needed": `
		window.currentWindow totals.counters`,
	"Go's types have methods; Lua has the table's fields, and its operators": `
		policy.policy policy.set policy.bucket window.sum window.tally totals.add judge.atRate roster.union
		roster.counted roster.reporting roster.differs roster.find roster.seq roster.counts probes.live
		probes.dropEnded claim.shown`,
}

// TestTheTwoMachinesAreOneText: a law is changed by opening two files of one name, in which the same functions stand in the
// same order.
func TestTheTwoMachinesAreOneText(t *testing.T) {
	inLua, inGo := functionsInLua(t), functionsInGo(t)
	for file := range filesOfOne {
		name, ext := strings.TrimSuffix(file, filepath.Ext(file)), filepath.Ext(file)
		_, isLua := inLua[name]
		_, isGo := inGo[name]
		if isLua != (ext == ".lua") || isGo != (ext == ".go") {
			t.Errorf("%s is no longer a file of one machine only: in Lua %v, in Go %v", file, isLua, isGo)
		}
		delete(inLua, name)
		delete(inGo, name)
	}
	for name := range inGo {
		if _, ok := inLua[name]; !ok {
			t.Errorf("%s.go has no file of that name in Lua: add one, or say why not", name)
		}
	}
	ofOne := map[string]bool{}
	for _, names := range functionsOfOne {
		for _, name := range strings.Fields(names) {
			ofOne[name] = false
		}
	}
	shared := func(file string, names []string, spell func(string) string) (out []string) {
		for _, name := range names {
			if _, one := ofOne[file+"."+name]; one {
				ofOne[file+"."+name] = true
			} else {
				out = append(out, spell(name))
			}
		}
		return out
	}
	for file, names := range inLua {
		if _, ok := inGo[file]; !ok {
			t.Errorf("%s.lua has no file of that name in Go: add one, or say why not", file)
			continue
		}
		left := shared(file, names, func(name string) string { return name })
		right := shared(file, inGo[file], snake)
		if !slices.Equal(left, right) {
			t.Errorf("%s: the functions in Lua are\n%v\nand in Go\n%v", file, left, right)
		}
	}
	for name, met := range ofOne {
		if !met {
			t.Errorf("%s is said to be a function of one machine only; there is none of that name", name)
		}
	}
}

// functionsInLua lists the functions of each file, by its name without extension, in order.
func functionsInLua(t *testing.T) map[string][]string {
	t.Helper()
	function := regexp.MustCompile(`(?m)^\s*local function (\w+)`)
	files, err := filepath.Glob("*.lua")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	out := map[string][]string{}
	for _, file := range files {
		names := []string{}
		for _, m := range function.FindAllStringSubmatch(read(t, file), -1) {
			names = append(names, m[1])
		}
		out[strings.TrimSuffix(file, ".lua")] = names
	}
	return out
}

// functionsInGo lists the functions and methods that are not exported.
func functionsInGo(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(machine + "*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	out := map[string][]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && !f.Name.IsExported() {
				names = append(names, f.Name.Name)
			}
		}
		out[strings.TrimSuffix(filepath.Base(file), ".go")] = names
	}
	return out
}

// snake spells a name of Go as Lua does.
func snake(name string) string {
	var out strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
