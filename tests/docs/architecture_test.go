package docs

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const architecturePage = "docs/architecture.md"

// picture is a graph as the page draws it: for each package those that its arrows lead to.
type picture map[string][]string

// The picture leaves out arrows that follow from others, so that what can be reached is compared, and not single imports.
func TestThePictureOfThePackagesIsWhatTheyImport(t *testing.T) {
	drawn, imported := drawnPackages(t), realPackages(t)
	for name, deps := range imported {
		arrows, ok := drawn[name]
		if !ok {
			t.Errorf("%s draws no package %s", architecturePage, name)
			continue
		}
		reached := drawn.below(name)
		for other := range imported {
			switch imports := slices.Contains(deps, other); {
			case imports && !reached[other]:
				t.Errorf("%s depends on %s, and no arrows lead there", name, other)
			case !imports && reached[other]:
				t.Errorf("arrows lead from %s to %s, and it does not depend on it", name, other)
			}
		}
		for _, to := range arrows {
			for _, via := range arrows {
				if via != to && drawn.below(via)[to] {
					t.Errorf("the arrow from %s to %s follows from others: leave it out", name, to)
				}
			}
		}
	}
	for name := range drawn {
		if imported[name] == nil {
			t.Errorf("%s draws %q, which is not a package", architecturePage, name)
		}
	}
}

// below is every package that arrows lead to from name.
func (p picture) below(name string) map[string]bool {
	found := map[string]bool{}
	for todo := slices.Clone(p[name]); len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if !found[next] {
			found[next] = true
			todo = append(todo, p[next]...)
		}
	}
	return found
}

var (
	packageBoxes  = regexp.MustCompile(`(\w+)\["([^"]+)"\]`)
	packageArrows = regexp.MustCompile(`^\s*(\w+)\S* +--> +(.+)$`)
)

func drawnPackages(t *testing.T) picture {
	t.Helper()
	i := slices.IndexFunc(readPage(t, architecturePage).blocks, func(b block) bool {
		return b.lang == "mermaid" && strings.Contains(b.text(), `"internal/machine"`)
	})
	if i < 0 {
		t.Fatalf("%s has no picture of the packages", architecturePage)
	}
	lines := readPage(t, architecturePage).blocks[i].lines
	names, drawn := map[string]string{}, picture{}
	for _, m := range packageBoxes.FindAllStringSubmatch(strings.Join(lines, "\n"), -1) {
		names[m[1]] = m[2]
		drawn[m[2]] = []string{}
	}
	for _, line := range lines {
		m := packageArrows.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for to := range strings.SplitSeq(m[2], " & ") {
			if names[m[1]] == "" || names[to] == "" {
				t.Fatalf("an end of the arrow %q is no package", line)
			}
			drawn[names[m[1]]] = append(drawn[names[m[1]]], names[to])
		}
	}
	return drawn
}

// realPackages is what the library and its commands depend on, of their own module.
func realPackages(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	left := regexp.MustCompile(`^(tests|examples)(/|$)|/internal(/|$)`)
	packages := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(fields[0], modulePath+"/")
		if left.MatchString(name) {
			continue
		}
		packages[name] = []string{}
		for _, dep := range fields[1:] {
			if own, ok := strings.CutPrefix(dep, modulePath+"/"); ok && !left.MatchString(own) {
				packages[name] = append(packages[name], own)
			}
		}
	}
	return packages
}
