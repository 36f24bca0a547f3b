package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/config"
)

var (
	variables = regexp.MustCompile(`\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b`)
	settings  = regexp.MustCompile(`^(CIRCUIT_BREAKER|RETRY|MAX_RETRY|HEALTH_CHECK)_`)
	ofOne     = regexp.MustCompile(`^(CIRCUIT_BREAKER_)_[A-Z0-9_]+?__([A-Z_]+)$`)
	others    = regexp.MustCompile(`^(COMMONTRIP|REQUIRE)_`)
)

func TestEveryVariableThatIsNamedExists(t *testing.T) {
	known := map[string]bool{"CIRCUIT_BREAKER_FIELD": true} // the word for any of them
	for _, v := range config.Variables() {
		known[v.Name] = true
	}
	code := programText(t)
	seen := 0
	for _, p := range pages(t) {
		for i, line := range strings.Split(read(t, p.path), "\n") {
			for _, name := range variables.FindAllString(line, -1) {
				switch {
				case settings.MatchString(name):
					seen++
					if !known[ofOne.ReplaceAllString(name, "$1$2")] {
						t.Errorf("%s:%d: %s is no variable of package config", p.path, i+1, name)
					}
				case others.MatchString(name) && !strings.Contains(code, name):
					t.Errorf("%s:%d: nothing reads %s", p.path, i+1, name)
				}
			}
		}
	}
	if seen < len(config.Variables()) {
		t.Errorf("looked at %d names only", seen)
	}
}

// programText is every program and script.
func programText(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "*.go", "*.sh", "Makefile", ".ci/run", "*.yml")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git clone: %v", err)
	}
	var text strings.Builder
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text.WriteString(read(t, name))
	}
	return text.String()
}

var (
	metricNames = regexp.MustCompile(`\bcommontrip_[a-z_]*[a-z]\b`)
	histograms  = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// docs/metrics.md is written by the collector's own test.
func TestEveryMetricThatIsNamedExists(t *testing.T) {
	table := read(t, "docs/metrics.md")
	known := func(name string) bool { return strings.Contains(table, "| `"+name+"` |") }
	seen := 0
	for _, p := range pages(t) {
		for i, line := range strings.Split(read(t, p.path), "\n") {
			for _, name := range metricNames.FindAllString(line, -1) {
				seen++
				if !known(name) && !known(histograms.ReplaceAllString(name, "")) {
					t.Errorf("%s:%d: no metric is called %s", p.path, i+1, name)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("looked at %d names only", seen)
	}
}

var selectors = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)

func TestEveryNameOfAPackageThatIsQuotedExists(t *testing.T) {
	exported := exportedNames(t)
	seen := 0
	for _, p := range pages(t) {
		p.quoted(func(line int, text string) {
			m := selectors.FindStringSubmatch(text)
			if len(m) == 0 || len(exported[m[1]]) == 0 {
				return
			}
			seen++
			if name := strings.TrimSuffix(m[2]+"."+m[3], "."); !slices.Contains(exported[m[1]], name) {
				t.Errorf("%s:%d: package %s has no %s", p.path, line, m[1], name)
			}
		})
	}
	if seen < 8 {
		t.Errorf("looked at %d names only", seen)
	}
}

// exportedNames are a package's exported names, methods and fields as "Type.Name".
func exportedNames(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	for _, glob := range []string{"*/*.go", "store/*/*.go", "transport/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil || strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, d := range f.Decls {
				names[f.Name.Name] = append(names[f.Name.Name], declared(d)...)
			}
		}
	}
	return names
}

func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		recv := d.Recv.List[0].Type
		if star, ok := recv.(*ast.StarExpr); ok {
			recv = star.X
		}
		if index, ok := recv.(*ast.IndexListExpr); ok {
			recv = index.X
		}
		if typ, ok := recv.(*ast.Ident); ok {
			return []string{typ.Name + "." + d.Name.Name}
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
				names = append(names, members(spec)...)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

func members(spec *ast.TypeSpec) (names []string) {
	var list *ast.FieldList
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		list = typ.Fields
	case *ast.InterfaceType:
		list = typ.Methods
	default:
		return nil
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			names = append(names, spec.Name.Name+"."+name.Name)
		}
	}
	return names
}
