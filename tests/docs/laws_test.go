package docs

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store/storetest"
)

var (
	lawNames  = regexp.MustCompile(`^(\d+\.\d\d) (.+)$`)
	testNames = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)
)

const machinePage = "docs/machine.md"

func TestEveryLawThatIsNamedIsOneOfTheSuite(t *testing.T) {
	names := lawsByNumber()
	seen := 0
	for _, p := range pages(t) {
		p.quoted(func(line int, text string) {
			m := lawNames.FindStringSubmatch(text)
			if m == nil {
				return
			}
			seen++
			if name, ok := names[m[1]]; !ok {
				t.Errorf("%s:%d: the suite has no law %s", p.path, line, m[1])
			} else if name != m[2] {
				t.Errorf("%s:%d: law %s is called %q, not %q", p.path, line, m[1], name, m[2])
			}
		})
	}
	if seen < len(names) {
		t.Errorf("looked at %d names of laws; there are %d laws", seen, len(names))
	}
}

func TestEveryLawHoldsALineOfTheMachinesPage(t *testing.T) {
	named := map[string]bool{}
	readPage(t, machinePage).quoted(func(_ int, text string) {
		if m := lawNames.FindStringSubmatch(text); m != nil {
			named[m[1]] = true
		}
	})
	for _, law := range storetest.Laws() {
		if number, _, _ := strings.Cut(law.Name, " "); !named[number] {
			t.Errorf("%s names law %s at no line: %s", machinePage, law.Name, law.Why)
		}
	}
}

func lawsByNumber() map[string]string {
	names := map[string]string{}
	for _, law := range storetest.Laws() {
		number, name, _ := strings.Cut(law.Name, " ")
		names[number] = name
	}
	return names
}

// make lists serves to see that none was lost, so it must not lose any itself.
func TestMakeListsNamesEveryLaw(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "scripts/lists.sh")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scripts/lists.sh: %v", err)
	}
	for _, law := range storetest.Laws() {
		if !strings.Contains(string(out), "laws: "+law.Name+"\n") {
			t.Errorf("it does not name %s", law.Name)
		}
	}
}

func TestEveryTestThatIsNamedExists(t *testing.T) {
	code := programText(t)
	seen := 0
	for _, p := range pages(t) {
		p.quoted(func(line int, text string) {
			if !testNames.MatchString(text) {
				return
			}
			seen++
			if !strings.Contains(code, "\nfunc "+text+"(") {
				t.Errorf("%s:%d: no test is called %s", p.path, line, text)
			}
		})
	}
	if seen < 30 {
		t.Errorf("looked at %d names of tests only", seen)
	}
}
