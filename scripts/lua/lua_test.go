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

// TestWritesStandInOnePlace: after all checks, the push last, in the one function that guards it. The fast path of a report
// has a write of its own, after which the script ends.
func TestWritesStandInOnePlace(t *testing.T) {
	call := regexp.MustCompile(`\b(?:redis\.p?)?call\('(\w+)'`)
	full := lua.FullSync().Source
	count := map[string]int{}
	for _, m := range call.FindAllStringSubmatch(full, -1) {
		count[m[1]]++
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
	if strings.Contains(full, "redis.call('PUBLISH'") {
		t.Error("PUBLISH is not guarded: a denied one would end a script that has written")
	}

	fast := read(t, "fast_path.lua")
	var calls []string
	for _, m := range call.FindAllStringSubmatch(fast, -1) {
		calls = append(calls, m[1])
	}
	if want := []string{"HMGET", "TIME", "HMGET", "HSET"}; !slices.Equal(calls, want) {
		t.Errorf("the fast path calls %v; want %v", calls, want)
	}
	if end := regexp.MustCompile(`\n  call\('HSET', unpack\(set\)\)\n  return \{[^{}]*\}\nuntil true\n$`); !end.MatchString(fast) {
		t.Error("the fast path goes on after it has written")
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNoScriptSpellsASharedNumber: what Go and Lua share is rendered from Go (constants.go). Small numbers are too common to
// tell by their value; those have names of which no script may make another local.
func TestNoScriptSpellsASharedNumber(t *testing.T) {
	rendered := regexp.MustCompile(`(?m)^local ([A-Z_]+) = '?(\d+)'?$`)
	names, values := map[string]bool{}, map[string]string{}
	for _, s := range lua.All() {
		for _, m := range rendered.FindAllStringSubmatch(s.Source, -1) {
			names[m[1]] = true
			if len(m[2]) > 1 && m[2] != "10" && m[2] != "1000" { // a second has 1000 ms
				values[m[2]] = m[1]
			}
		}
	}
	if len(names) < 25 || values["30000"] != "SLICE_FOR" {
		t.Fatalf("the scripts hold the constants %v; want all of constants.go", names)
	}
	comment, text, index := regexp.MustCompile(`--.*`), regexp.MustCompile(`'[^'\n]*'`), regexp.MustCompile(`\[\d+\]`)
	number, local := regexp.MustCompile(`\b\d+\b`), regexp.MustCompile(`\blocal ([A-Z_, ]+)\b`)
	files, _ := filepath.Glob("*.lua")
	for _, file := range files {
		code := comment.ReplaceAllString(text.ReplaceAllString(read(t, file), "''"), "")
		for _, n := range number.FindAllString(index.ReplaceAllString(code, ""), -1) {
			if name, shared := values[n]; shared {
				t.Errorf("%s spells %s, which is %s", file, n, name)
			}
		}
		for _, m := range local.FindAllStringSubmatch(code, -1) {
			for name := range strings.SplitSeq(m[1], ",") {
				if names[strings.TrimSpace(name)] {
					t.Errorf("%s makes a local %s, which is rendered from Go", file, name)
				}
			}
		}
	}
}

// TestAServerOf32BitsIsRefused: there string.format('%d') cuts what does not fit, and every number of a machine would be
// wrong without a word.
func TestAServerOf32BitsIsRefused(t *testing.T) {
	state := gopher.NewState()
	defer state.Close()
	err := state.DoString(`
		KEYS, ARGV = { 'key' }, { '1700000000000', '', '', 'web-0', '0', '0', '', '0', '1', '0', '0', '0', '0', '', '0', 'token' }
		local function none() return {} end
		redis = { call = none, pcall = none, error_reply = function(text) return { err = text } end }
		local printf = string.format -- as it is
		string.format = function(f, n) return f == '%d' and '-1' or printf(f, n) end
		reply = (function() ` + lua.Sync.Source + ` end)()`)
	if err != nil {
		t.Fatal(err)
	}
	reply, ok := state.GetGlobal("reply").(*gopher.LTable)
	if !ok || !strings.HasPrefix(reply.RawGetString("err").String(), "COMMONTRIP server of 32 bits") {
		t.Errorf("the script answers %v; want a refusal of the server", state.GetGlobal("reply"))
	}
}
