package arch

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

func TestEveryModuleThatIsRequiredIsListed(t *testing.T) {
	if extra := unlisted(t); len(extra) > 0 {
		t.Errorf("go.mod requires %q: say in modules.txt what for, or do without", extra)
	}
	required := goLines(t, "list", "-mod=readonly", "-m", "-f", "{{if not .Indirect}}{{.Path}}{{end}}", "all")
	for _, m := range listed(t) {
		if !slices.Contains(required, m) {
			t.Errorf("modules.txt lists %s, which go.mod does not require", m)
		}
	}
}

// Scenario 37: what the module is built of, and what a release holds.
func TestScenario37SupplyChain(t *testing.T) {
	scenario := scoreboard.Start(t, 37, "supply chain")
	scenario.Report("go mod verify", goLines(t, "mod", "verify")[0])
	scenario.Zero("unlisted modules", len(unlisted(t)))

	outside := 0
	packages := list(t, "-deps", "./...")
	for name := range arrows {
		for _, dep := range packages[module+"/"+name].Deps {
			if !packages[dep].Standard && !vendoredStandard(dep) && !within(dep, module) {
				outside++
			}
		}
	}
	scenario.Report("core packages", len(arrows))
	scenario.Zero("imports of them from outside of the standard library, at any depth", outside)

	binary := filepath.Join(t.TempDir(), "commontrip")
	// As it is released: a module that needs cgo would end this.
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=readonly", "-trimpath", "-o", binary, "./cmd/commontrip")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	unsummed := 0
	for _, m := range info.Deps {
		if m.Replace != nil || !strings.Contains(string(sums), m.Path+" "+m.Version+" "+m.Sum+"\n") {
			unsummed++
			t.Logf("%s %s %s", m.Path, m.Version, m.Sum)
		}
	}
	scenario.AtLeast("modules named in the binary of the command line", len(info.Deps), 5)
	scenario.Zero("of those without a sum in go.sum, or replaced", unsummed)
}

// unlisted gives the modules that go.mod requires and modules.txt does not name.
func unlisted(t *testing.T) (extra []string) {
	t.Helper()
	known := append(listed(t), module)
	for _, m := range goLines(t, "list", "-mod=readonly", "-m", "-f", "{{if not .Indirect}}{{.Path}}{{end}}", "all") {
		if !slices.Contains(known, m) {
			extra = append(extra, m)
		}
	}
	return extra
}

func listed(t *testing.T) (modules []string) {
	t.Helper()
	text, err := os.ReadFile("modules.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			modules = append(modules, strings.Fields(line)[0])
		}
	}
	return modules
}

// goLines gives the lines that the go command prints, in the module's folder.
func goLines(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Stderr = "../..", t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
