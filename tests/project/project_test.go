package project

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

// decode reads a YAML file into v, which must have every field that the file has.
func decode(t *testing.T, name string, v any) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(read(t, name)))
	dec.KnownFields(true)
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

type workflow struct {
	Name        string
	On          any
	Permissions map[string]string
	Concurrency any
	Jobs        map[string]struct {
		RunsOn  string `yaml:"runs-on"`
		Timeout int    `yaml:"timeout-minutes"`
		Steps   []step
	}
}

type step struct {
	Uses, Run string
	With, Env map[string]string
}

func TestWorkflowsRunWhatThereIs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("workflows: %q, %v", files, err)
	}
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})$`)
	for _, file := range files {
		name := ".github/workflows/" + filepath.Base(file)
		var w workflow
		decode(t, name, &w)
		if len(w.Permissions) == 0 {
			t.Errorf("%s has all permissions: name those that it needs", name)
		}
		ci := false
		for title, job := range w.Jobs {
			if job.Timeout == 0 {
				t.Errorf("%s: %s may hang for ever", name, title)
			}
			for _, s := range job.Steps {
				ci = ci || s.Run == ".ci/run"
				switch {
				case s.Uses != "" && !pinned.MatchString(s.Uses):
					t.Errorf("%s: %s is not pinned to a version", name, s.Uses)
				case s.Uses == "" && !runs(t, s.Run):
					t.Errorf("%s: %q is neither a target nor a script", name, s.Run)
				}
			}
		}
		if !ci {
			t.Errorf("%s does not run .ci/run", name)
		}
	}
}

// runs reports whether a command is a script of this repository, or a target of its Makefile with variables that it has.
func runs(t *testing.T, command string) bool {
	t.Helper()
	words := strings.Fields(command)
	if len(words) == 0 {
		return false
	}
	if words[0] != "make" {
		info, err := os.Stat(filepath.Join(root, words[0]))
		return err == nil && info.Mode()&0o100 != 0
	}
	makefile := read(t, "Makefile")
	for _, word := range words[1:] {
		variable, _, assigns := strings.Cut(word, "=")
		line := `(?m)^` + regexp.QuoteMeta(variable) + `\s*\?=`
		if !assigns {
			line = `(?m)^` + regexp.QuoteMeta(word) + `:`
		}
		if !regexp.MustCompile(line).MatchString(makefile) {
			return false
		}
	}
	return len(words) > 1
}

func TestEveryModuleIsKeptUpToDate(t *testing.T) {
	var updates struct {
		Version int
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
			Schedule    map[string]string
			Groups      any
		}
	}
	decode(t, ".github/dependabot.yml", &updates)
	listed := updates.Updates[0].Directories
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "go.mod", "*/go.mod")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git clone: %v", err)
	}
	modules := strings.Fields(string(out))
	for _, file := range modules {
		if folder := path.Join("/", path.Dir(file)); !slices.Contains(listed, folder) {
			t.Errorf("nobody updates the module in %s", folder)
		}
	}
	if len(listed) != len(modules) {
		t.Errorf("%d folders are listed for %d modules", len(listed), len(modules))
	}
}

func TestOwnersFormsAndTheIndexNameWhatThereIs(t *testing.T) {
	for line := range strings.Lines(read(t, ".github/CODEOWNERS")) {
		if owned, _, _ := strings.Cut(line, " "); owned != "*" && owned != "#" && !exists(owned) {
			t.Errorf("CODEOWNERS: %s is not there", owned)
		}
	}
	seen := 0
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(read(t, "llms.txt"), -1) {
		if seen++; !exists(m[1]) {
			t.Errorf("llms.txt: %s is not there", m[1])
		}
	}
	if seen < 15 {
		t.Errorf("llms.txt names %d pages only", seen)
	}
	for _, name := range []string{"bug", "idea"} {
		var form struct {
			Name, Description string
			Labels            []string
			Body              []struct {
				Type, ID                string
				Attributes, Validations map[string]any
			}
		}
		decode(t, ".github/ISSUE_TEMPLATE/"+name+".yml", &form)
		if form.Name == "" || form.Description == "" || len(form.Body) == 0 {
			t.Errorf("the form %s has no name, no description or no question", name)
		}
	}
}

func TestAReleaseTellsWhatTheChangelogSaysOfItsVersion(t *testing.T) {
	for _, c := range []struct{ tag, want string }{
		{"", "the tag is ''"},
		{"0.2.0", "the tag is '0.2.0'; want one like v0.2.0"},
		{"v99.0.0", "CHANGELOG.md has no section '## [99.0.0]'"},
	} {
		out, err := exec.CommandContext(t.Context(), "../../scripts/publish.sh", "--dry-run", c.tag).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v, %s; want an error that says %q", c.tag, err, out, c.want)
		}
	}
	version := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\]`).FindStringSubmatch(read(t, "CHANGELOG.md"))
	if version == nil {
		return // nothing is released yet
	}
	out, err := exec.CommandContext(t.Context(), "../../scripts/publish.sh", "--dry-run", "v"+version[1]).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "### ") || strings.Contains(string(out), "\n## ") {
		t.Errorf("v%s: %v, %s", version[1], err, out)
	}
}
