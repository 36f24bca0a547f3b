// Package arch holds the lines between the packages: which may import which, and what no file may say.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/commontrip/commontrip"

// pkg is what go list says of one package.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

// arrows names, for each package that is held to a list, what it may import of this module beside the standard
// library. What stands here imports nothing from elsewhere, at any depth. No other place says who may import what.
var arrows = map[string][]string{
	"store":             {},
	"internal/limits":   {},
	"internal/machine":  {"store", "internal/limits"},
	"scripts/lua":       {"store", "internal/limits"},
	"internal/guard":    {},
	"internal/envvalue": {},
	"store/memory":      {"store", "internal/"},
	"store/kit":         {"store", "internal/"},
	"breaker":           {"store", "store/memory", "internal/"},
	"retry":             {"internal/guard"},
	"fallback":          {"internal/guard"},
	"health":            {"store", "internal/guard"},
}

// kept names what is not for everybody, and the packages of this module that may import it directly, beside the
// commands, the examples and the tests. A name that ends in "/" is a folder.
var kept = map[string][]string{
	"github.com/redis":                    {"store/redis"},
	"github.com/jackc/pgx":                {"store/postgres"},
	module + "/store/redis":               {},
	module + "/store/postgres":            {},
	module + "/scripts/lua":               {"store/redis"},
	module + "/internal/limits":           {"internal/machine", "scripts/lua", "store/kit", "store/memory", "store/redis"},
	module + "/internal/figures":          {"metrics", "oteltrip"},
	module + "/internal/machine":          {"store/kit", "store/memory", "store/storetest", "breaker"},
	module + "/cmd":                       {},
	module + "/examples":                  {},
	module + "/tests":                     {},
	"go.uber.org/zap":                     {"zaplog"},
	"google.golang.org/grpc":              {"transport/breakergrpc"},
	"github.com/prometheus/client_golang": {"metrics"},
	"go.opentelemetry.io/otel":            {"oteltrip"},
	"go.opentelemetry.io/otel/sdk":        {},
	"pgregory.net/rapid":                  {"store/storetest"},
	"github.com/testcontainers":           {},
}

// users are the folders that put packages together, and may import any.
var users = []string{"cmd/", "examples/", "tests/"}

func TestEachPackageImportsOnlyWhatIsBelowIt(t *testing.T) {
	packages := list(t, "-deps", "./...")
	for name, allowed := range arrows {
		p, ok := packages[module+"/"+name]
		if !ok {
			t.Errorf("package %s is gone: the list of arrows names it", name)
			continue
		}
		for _, dep := range p.Deps {
			if q, known := packages[dep]; known && q.Standard || vendoredStandard(dep) {
				continue
			}
			inside, own := strings.CutPrefix(dep, module+"/")
			if own && slices.ContainsFunc(allowed, covers(inside)) {
				continue
			}
			if by := importers(packages, p, dep); len(by) > 0 {
				t.Errorf("%s depends on %s, by way of %q; beside the standard library it may depend on %q only", name, dep, by, allowed)
			}
		}
	}
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	for path, p := range list(t, "-deps", "./...") {
		user, own := strings.CutPrefix(path, module+"/")
		if !own || slices.ContainsFunc(users, covers(user)) {
			continue
		}
		for _, dep := range p.Imports {
			for root, allowed := range kept {
				if within(dep, root) && !within(path, root) && !slices.ContainsFunc(allowed, covers(user)) {
					t.Errorf("%s imports %s; of the library only %q may", user, dep, allowed)
				}
			}
		}
	}
}

// importers are the packages of this module by which p depends on dep: itself, or others that it depends on. There is none if
// only packages from elsewhere import dep.
func importers(packages map[string]pkg, p pkg, dep string) (paths []string) {
	for _, path := range append(slices.Clone(p.Deps), p.ImportPath) {
		if within(path, module) && slices.Contains(packages[path].Imports, dep) {
			paths = append(paths, path)
		}
	}
	return paths
}

// covers gives a test of whether an entry of a list names the package: exactly, or as a folder if it ends in "/".
func covers(name string) func(entry string) bool {
	return func(entry string) bool {
		return name == entry || strings.HasSuffix(entry, "/") && strings.HasPrefix(name, entry)
	}
}

// within reports whether path is root or lies under it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// vendoredStandard reports whether path is one of the packages that the standard library carries a copy of.
func vendoredStandard(path string) bool { return strings.HasPrefix(path, "vendor/") }

// list asks the go command about packages of this module, by import path.
func list(t *testing.T, args ...string) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Standard,Imports,Deps"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, failed.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list's answer: %v", err)
		}
		packages[p.ImportPath] = p
	}
}
