package lua_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gopher "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"github.com/commontrip/commontrip/scripts/lua"
)

var (
	headerKey  = regexp.MustCompile(`(?m)^-- KEYS\[(\d+)\]\s+(\S+)\s+(hash|string|set)`)
	headerArg  = regexp.MustCompile(`(?m)^-- ARGV\[(\d+)\]`)
	headerMany = regexp.MustCompile(`(?m)^-- ARGV\[1\.\.\]`)
	usedArg    = regexp.MustCompile(`ARGV\[(\d+)\]`)
	usedKey    = regexp.MustCompile(`KEYS\[(\d+)\]`)
)

// numbersOf lists what pattern's first group finds, once each.
func numbersOf(pattern *regexp.Regexp, text string) []int {
	var out []int
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1])
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// split parts a script's file into its header and the rest.
func split(body string) (header, code string) {
	lines := strings.SplitAfter(body, "\n")
	n := 0
	for n < len(lines) && strings.HasPrefix(lines[n], "--") {
		n++
	}
	return strings.Join(lines[:n], ""), strings.Join(lines[n:], "")
}

func TestEveryHeaderNamesTheKeysAndArgumentsThatItsScriptUses(t *testing.T) {
	for _, s := range lua.All() {
		header, code := split(s.Body)
		if !strings.HasPrefix(header, "-- "+s.Name+": ") {
			t.Errorf("%s: the header begins %.30q; want its name", s.Name, header)
		}
		if keys := numbersOf(headerKey, header); !slices.Equal(keys, []int{1}) {
			t.Errorf("%s: the header has KEYS %v; want one, with its shape", s.Name, keys)
		}
		if used := numbersOf(usedKey, code); !slices.Equal(used, []int{1}) {
			t.Errorf("%s: the script uses KEYS %v; want the one that the header names", s.Name, used)
		}
		if headerMany.MatchString(header) {
			continue
		}
		named, used := numbersOf(headerArg, header), numbersOf(usedArg, code)
		if !slices.Equal(named, used) {
			t.Errorf("%s: the header names ARGV %v, the script uses %v", s.Name, named, used)
		}
		for i, n := range named {
			if n != i+1 {
				t.Errorf("%s: the header names ARGV %v; want them without a gap", s.Name, named)
				break
			}
		}
		if !strings.Contains(header, "\n-- Returns ") {
			t.Errorf("%s: the header names no reply", s.Name)
		}
	}
}

// TestEveryReplyIsInTheHeader finds the words that scripts reply with.
func TestEveryReplyIsInTheHeader(t *testing.T) {
	word := regexp.MustCompile(`return \{ '(\w+)'`)
	for _, s := range lua.All() {
		header, code := split(s.Body)
		for _, m := range word.FindAllStringSubmatch(code, -1) {
			if !strings.Contains(header, "'"+m[1]+"'") {
				t.Errorf("%s replies %q, which its header does not tell", s.Name, m[1])
			}
		}
	}
}

func TestEveryFileIsEmbedded(t *testing.T) {
	files, err := filepath.Glob("*.lua")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var sources []string
	for _, s := range lua.All() {
		sources = append(sources, s.Source)
	}
	all := strings.Join(sources, "\n")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "--") && !strings.Contains(all, line) {
				t.Errorf("%s is in no script: %s", file, line)
				break
			}
		}
	}
}

// allowed are the globals of a script; all of them exist in Redis 6.2 and later, Valkey and miniredis.
var allowed = []string{
	"KEYS", "ARGV", "redis", "string", "table", "math", "tonumber", "type", "ipairs", "select", "unpack",
}

func TestNoScriptSetsAGlobalOrUsesAnUnknownOne(t *testing.T) {
	for _, s := range lua.All() {
		chunk, err := parse.Parse(strings.NewReader(s.Source), s.Name)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		proto, err := gopher.Compile(chunk, s.Name)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		set, used := globals(proto)
		if len(set) > 0 {
			t.Errorf("%s sets the globals %v", s.Name, set)
		}
		for _, name := range used {
			if !slices.Contains(allowed, name) {
				t.Errorf("%s uses the global %s", s.Name, name)
			}
		}
	}
}

// globals lists the globals that a function, and those in it, set and use.
func globals(proto *gopher.FunctionProto) (set, used []string) {
	for _, code := range proto.Code {
		op := int(code >> 26)
		constant := int(code & 0x3ffff)
		switch op {
		case gopher.OP_SETGLOBAL:
			set = append(set, fmt.Sprint(proto.Constants[constant]))
		case gopher.OP_GETGLOBAL:
			used = append(used, fmt.Sprint(proto.Constants[constant]))
		}
	}
	for _, inner := range proto.FunctionPrototypes {
		s, u := globals(inner)
		set, used = append(set, s...), append(used, u...)
	}
	return set, used
}

func TestTheGlobalsAreFound(t *testing.T) {
	chunk, err := parse.Parse(strings.NewReader("local function f() leak = KEYS[1] end return f()"), "x")
	if err != nil {
		t.Fatal(err)
	}
	proto, err := gopher.Compile(chunk, "x")
	if err != nil {
		t.Fatal(err)
	}
	if set, used := globals(proto); !slices.Equal(set, []string{"leak"}) || !slices.Equal(used, []string{"KEYS"}) {
		t.Errorf("it finds %v set and %v used; want leak and KEYS", set, used)
	}
}

func TestScriptsKeepToWhatEveryServerHas(t *testing.T) {
	forbidden := regexp.MustCompile(`HGETALL|HVALS|HKEYS|HSCAN|cjson|cmsgpack|struct\.|bit\.|#!lua|tostring|os\.|loadstring|math\.random|[^i]pairs\(`)
	for _, s := range lua.All() {
		if found := forbidden.FindString(s.Source); found != "" {
			t.Errorf("%s uses %s", s.Name, found)
		}
	}
}

// TestWritesStandInOnePlace: after all checks, the push last, in the one function that guards it. The short way of a report
// has a write of its own, and goes no further.
func TestWritesStandInOnePlace(t *testing.T) {
	call := regexp.MustCompile(`redis\.p?call\('(\w+)'`)
	count := map[string]int{}
	for _, m := range call.FindAllStringSubmatch(lua.Sync.Source, -1) {
		count[m[1]]++
	}
	whole, quick, _ := strings.Cut(lua.Sync.Source, "\nlocal call, match")
	if strings.Contains(whole, " call('") {
		t.Error("the scripts have calls that are not counted here")
	}
	short := regexp.MustCompile(`\bcall\('(\w+)'`)
	var calls []string
	for _, m := range short.FindAllStringSubmatch(quick, -1) {
		calls = append(calls, m[1])
	}
	if want := []string{"HMGET", "TIME", "HMGET", "HSET"}; !slices.Equal(calls, want) {
		t.Errorf("the short way calls %v; want %v", calls, want)
	}
	if _, rest, _ := strings.Cut(quick, "call('HSET'"); strings.Contains(rest, "whole(") {
		t.Error("the short way gives up after it has written")
	}
	for _, write := range []string{"HSET", "HDEL", "PEXPIRE", "PERSIST", "UNLINK", "PUBLISH"} {
		if count[write] != 1 {
			t.Errorf("%s is called in %d places; want 1", write, count[write])
		}
		delete(count, write)
	}
	for command := range count {
		if !slices.Contains([]string{"HMGET", "HGET", "TIME"}, command) {
			t.Errorf("a script calls %s; want reads of named fields only", command)
		}
	}
	if strings.Contains(lua.Sync.Source, "redis.call('PUBLISH'") {
		t.Error("PUBLISH is not guarded: a denied one would end a script that has written")
	}
}

// TestTheShortWayHasTheNumbersOfTheWhole: it cannot share them, since what whole() captures costs each report.
func TestTheShortWayHasTheNumbersOfTheWhole(t *testing.T) {
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	valuesOf := func(source string) (values [5]string) {
		state := gopher.NewState()
		defer state.Close()
		if err := state.DoString(source + "\nvalues = { MAX, HOUR, SLICE, LABELS, REPORTERS }"); err != nil {
			t.Fatal(err)
		}
		for i := range values {
			values[i] = state.GetGlobal("values").(*gopher.LTable).RawGetInt(i + 1).String()
		}
		return values
	}
	constants := regexp.MustCompile(`(?m)^local MAX, HOUR.*$`).FindString(read("quick.lua"))
	whole := read("schema.lua") + read("window.lua") + read("roster.lua") + read("save.lua")
	if short, whole := valuesOf(constants), valuesOf(whole); short != whole || slices.Contains(short[:], "nil") {
		t.Errorf("MAX, HOUR, SLICE, LABELS and REPORTERS are %v in the short way, %v in the whole script", short, whole)
	}
	if version := regexp.MustCompile(`(?m)^local VERSION = ('\d+')$`).FindStringSubmatch(whole); !strings.Contains(read("quick.lua"), "if f[1] ~= "+version[1]+" or") {
		t.Errorf("the short way takes hashes of another schema than %s", version[1])
	}
}

// TestAServerOf32BitsIsRefused: there string.format('%d') cuts what does not fit, and every number of a machine would be
// wrong without a word.
func TestAServerOf32BitsIsRefused(t *testing.T) {
	state := gopher.NewState()
	defer state.Close()
	err := state.DoString(`
		KEYS, ARGV = { 'key' }, { '1700000000000', '', '', 'web-0', '0', '0', '', '0', '1', '0', '0', '0', '0', '' }
		local function none() return {} end
		redis = { call = none, pcall = none, error_reply = function(text) return { err = text } end }
		string.format = function(format, n) return '-1' end
		reply = (function() ` + lua.Sync.Source + ` end)()`)
	if err != nil {
		t.Fatal(err)
	}
	reply, ok := state.GetGlobal("reply").(*gopher.LTable)
	if !ok || !strings.HasPrefix(reply.RawGetString("err").String(), "COMMONTRIP server of 32 bits") {
		t.Errorf("the script answers %v; want a refusal of the server", state.GetGlobal("reply"))
	}
}
