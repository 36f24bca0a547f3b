package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A command is shown in a block of shell, after "$ " in one of a console, or in prose: `make test`.
func TestEveryCommandThatIsShownExists(t *testing.T) {
	known := newPrograms(t)
	seen := 0
	for _, p := range pages(t) {
		check := func(line int, command string) {
			for part := range strings.SplitSeq(command, "; ") {
				words := shellWords(part)
				for len(words) > 0 && strings.Contains(words[0], "=") {
					words = words[1:] // a variable, which names_test.go looks at
				}
				if len(words) == 0 {
					continue
				}
				if ok, err := known.check(words); err != nil {
					t.Errorf("%s:%d: %s: %v", p.path, line, part, err)
				} else if ok {
					seen++
				}
			}
		}
		p.quoted(check)
		for _, b := range p.blocks {
			for i, line := range b.lines {
				switch command, prompt := strings.CutPrefix(line, "$ "); {
				case b.lang == "console" && prompt, b.lang == "sh", b.lang == "":
					command, _, _ = strings.Cut(command, "  # ")
					check(b.line+i, command)
				}
			}
		}
	}
	if seen < 60 {
		t.Errorf("looked at %d commands only", seen)
	}
}

// programs are what is shown of this repository.
type programs struct {
	targets string // the Makefile
	manual  string // docs/cli.md, whose help is written by the program
}

func newPrograms(t *testing.T) programs {
	t.Helper()
	return programs{read(t, "Makefile"), read(t, "docs/cli.md")}
}

// check says what does not exist in a command, and whether the command is one that it knows.
func (p programs) check(words []string) (known bool, err error) {
	switch name := words[0]; {
	case name == "make" && len(words) > 1:
		return true, p.make(words[1:])
	case name == "commontrip" && len(words) > 1:
		return true, p.commontrip(words[1:])
	case name == "go" && len(words) > 2:
		return true, golang(words[1:])
	case strings.HasPrefix(name, "scripts/"), strings.HasPrefix(name, "./"):
		_, err := os.Stat(filepath.Join(root, name))
		return true, err
	}
	return false, nil
}

func (p programs) make(words []string) error {
	for _, word := range words {
		variable, _, assigns := strings.Cut(word, "=")
		switch {
		case assigns && !regexp.MustCompile(`(?m)^`+variable+`\s*\?=`).MatchString(p.targets):
			return fmt.Errorf("the Makefile has no variable %s", variable)
		case !assigns && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(word)+`:`).MatchString(p.targets):
			return fmt.Errorf("the Makefile has no target %s", word)
		}
	}
	return nil
}

var flagName = regexp.MustCompile(`^(--?[a-zA-Z][\w.-]*)`)

func (p programs) commontrip(words []string) error {
	_, help, ok := strings.Cut(p.manual, "\n### commontrip "+words[0]+"\n")
	if !ok && words[0][0] != '-' && !slices.Contains([]string{"help", "completion"}, words[0]) {
		return fmt.Errorf("commontrip has no command %s", words[0])
	}
	help, _, _ = strings.Cut(help, "\n### ")
	_, all, _ := strings.Cut(p.manual, "\n### commontrip\n")
	all, _, _ = strings.Cut(all, "\n### ")
	for _, word := range words[1:] {
		flag := flagName.FindString(word)
		if flag != "" && !regexp.MustCompile(`(?m)^ +(-\w, )?(--[\w-]+ .*)?`+flag+`\b`).MatchString(help+all) {
			return fmt.Errorf("commontrip %s has no flag %s", words[0], flag)
		}
		if field, _, ok := strings.Cut(word, "="); ok && words[0] == "retune" && flag == "" && !strings.Contains(help, field) {
			return fmt.Errorf("a policy has no field %s", field)
		}
	}
	return nil
}

// golang looks at the packages, tests, benchmarks and flags of go test and go run.
func golang(words []string) error {
	var dirs []string
	for _, word := range words {
		if strings.HasPrefix(word, "./") {
			dir := filepath.Join(root, strings.TrimSuffix(word, "/..."))
			if _, err := os.Stat(dir); err != nil {
				return err
			}
			dirs = append(dirs, dir)
		}
	}
	if words[0] != "test" || len(dirs) != 1 {
		return nil
	}
	var tests strings.Builder
	err := filepath.WalkDir(dirs[0], func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			tests.Write(text)
			return err
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, word := range words {
		flag, value, glued := strings.Cut(word, "=")
		if !glued && i+1 < len(words) {
			value = words[i+1]
		}
		kind := map[string]string{"-run": "(Test|Example|Fuzz)", "-bench": "Benchmark"}[flag]
		switch {
		case strings.Contains(flag, ".") && flag[0] == '-' && !strings.Contains(tests.String(), `"`+flag[1:]+`"`):
			return fmt.Errorf("its tests have no flag %s", flag)
		case kind != "" && value != "^$" && value != "." && !names(tests.String(), kind, value):
			return fmt.Errorf("%s %s finds nothing", flag, value)
		}
	}
	return nil
}

// names says whether a function of that kind is found by a pattern of go test.
func names(code, kind, pattern string) bool {
	pattern, _, _ = strings.Cut(pattern, "/")
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return false
	}
	for _, m := range regexp.MustCompile(`func (`+kind+`\w*)\(`).FindAllStringSubmatch(code, -1) {
		if wanted.MatchString(m[1]) {
			return true
		}
	}
	return false
}

// shellWords splits a command at blanks outside of quotes; a comment ends it.
func shellWords(command string) (words []string) {
	for _, m := range regexp.MustCompile(`(?:[^\s'"]|'[^']*'|"[^"]*")+`).FindAllString(command, -1) {
		if m[0] == '#' {
			break
		}
		words = append(words, strings.NewReplacer(`'`, "", `"`, "").Replace(m))
	}
	return words
}
