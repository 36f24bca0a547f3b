package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	modulePath   = "github.com/commontrip/commontrip"
	failsafePath = "github.com/failsafe-go/failsafe-go"
)

// imports is where the packages come from that a block calls by these names.
var imports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "io": "io", "http": "net/http", "log": "log", "os": "os", "slog": "log/slog",
	"atomic": "sync/atomic", "runtime": "runtime", "sync": "sync", "synctest": "testing/synctest", "testing": "testing", "time": "time",
	"breaker": modulePath + "/breaker", "config": modulePath + "/config", "dashboard": modulePath + "/dashboard",
	"fallback": modulePath + "/fallback", "health": modulePath + "/health", "metrics": modulePath + "/metrics",
	"retry": modulePath + "/retry", "store": modulePath + "/store", "storetest": modulePath + "/store/storetest",
	"memorystore": modulePath + "/store/memory", "redisstore": modulePath + "/store/redis",
	"storekit": modulePath + "/store/kit", "postgresstore": modulePath + "/store/postgres",
	"breakergrpc": modulePath + "/transport/breakergrpc", "breakerhttp": modulePath + "/transport/breakerhttp",
	"zaplog": modulePath + "/zaplog", "oteltrip": modulePath + "/oteltrip",
	"grpc": "google.golang.org/grpc", "credentials": "google.golang.org/grpc/credentials", "prometheus": "github.com/prometheus/client_golang/prometheus",
	"promhttp": "github.com/prometheus/client_golang/prometheus/promhttp",
	"tls":      "crypto/tls", "redis": "github.com/redis/go-redis/v9",
	"failsafeguard": modulePath + "/failsafeguard", "failsafe": failsafePath, "adaptivelimiter": failsafePath + "/adaptivelimiter",
	"bulkhead": failsafePath + "/bulkhead", "circuitbreaker": failsafePath + "/circuitbreaker", "hedgepolicy": failsafePath + "/hedgepolicy",
	"ratelimiter": failsafePath + "/ratelimiter", "retrypolicy": failsafePath + "/retrypolicy", "gobreaker": "github.com/sony/gobreaker/v2",
	"sdkmetric": "go.opentelemetry.io/otel/sdk/metric", "otelbridge": "go.opentelemetry.io/contrib/bridges/prometheus",
}

// A block is a file if it has a package clause, else declarations, else statements. What stands around it (ctx, a
// store, a tier's call) is given by testdata/given.go. A block that uses a library which the main module does without is
// compiled in a module that depends on it.
func TestEveryBlockOfGoCompilesAndItsTestsPass(t *testing.T) {
	given := map[string]string{
		".": "given.go", "tests/deploy/queries": "given_otel.go", "tests/peers": "given_peers.go", "failsafeguard": "given_peers.go",
	}
	for module, given := range given {
		t.Run(module, func(t *testing.T) {
			dir := newModule(t, module)
			var blocks []block
			for _, b := range goBlocks(t) {
				if moduleOf(b) == module {
					writeBlock(t, dir, b, given)
					blocks = append(blocks, b)
				}
			}
			if len(blocks) == 0 {
				t.Fatal("no block at all")
			}
			// Without the name of the folder in what is built, the next run finds it in the cache.
			goTool(t, dir, "vet", "-mod=mod", "-trimpath", "./...")
			goTool(t, dir, "test", "-mod=mod", "-trimpath", "-vet=off", "-count=1", "./...")
		})
	}
}

// moduleOf is the module that has what a block needs.
func moduleOf(b block) string {
	switch text := b.text(); {
	case strings.Contains(text, "sdkmetric."):
		return "tests/deploy/queries"
	case strings.Contains(text, "gobreaker."):
		return "tests/peers"
	case regexp.MustCompile(`\b(failsafe|failsafeguard|circuitbreaker|retrypolicy)\.`).MatchString(text):
		return "failsafeguard"
	}
	return "."
}

// goBlocks are the blocks of all documents, and those that were promised to compile as they stand.
func goBlocks(t *testing.T) (all []block) {
	t.Helper()
	for _, p := range append(pages(t), readPage(t, "tests/docs/testdata/quickstarts.md")) {
		for _, b := range p.blocks {
			if b.lang == "go" {
				all = append(all, b)
			}
		}
	}
	if len(all) < 25 {
		t.Fatalf("found %d blocks only", len(all))
	}
	return all
}

// newModule makes a module that has what the one in dir has, and this repository beside it.
func newModule(t *testing.T, of string) string {
	t.Helper()
	dir := t.TempDir()
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(read(t, filepath.Join(of, name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit := []string{"mod", "edit", "-module=docs.test", "-require=" + modulePath + "@v0.0.0", "-replace=" + modulePath + "=" + here}
	if of == "failsafeguard" {
		edit = append(edit, "-require="+modulePath+"/"+of+"@v0.0.0", "-replace="+modulePath+"/"+of+"="+filepath.Join(here, of))
	}
	goTool(t, dir, edit...)
	return dir
}

func goTool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// writeBlock makes a file of a block; its lines are known to the compiler as the document's. Statements share a package,
// declarations have one of their own.
func writeBlock(t *testing.T, dir string, b block, given string) {
	t.Helper()
	name := regexp.MustCompile(`\W`).ReplaceAllString(b.page, "_") + strconv.Itoa(b.line)
	code, kind := fileOf(t, b)
	pkg := "statements"
	if kind != statements {
		pkg = name
	}
	file := name + ".go"
	if regexp.MustCompile(`\*testing\.T\)|testing\.TB\)|(?m)^func Example`).MatchString(b.text()) {
		file = name + "_test.go"
	}
	files := map[string]string{file: code}
	if kind != wholeFile {
		_, rest, _ := strings.Cut(read(t, "tests/docs/testdata/"+given), "\npackage given\n")
		files["given.go"] = rest
	}
	if err := os.MkdirAll(filepath.Join(dir, pkg), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, code := range files {
		if kind != wholeFile {
			code = "package " + pkg + "\n" + code
		}
		if err := os.WriteFile(filepath.Join(dir, pkg, file), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

type kind int

const (
	wholeFile kind = iota
	declarations
	statements
)

// fileOf makes a file of a block, without a package clause if the block has none.
func fileOf(t *testing.T, b block) (code string, k kind) {
	t.Helper()
	place := fmt.Sprintf("//line %s:%d\n", b.page, b.line)
	if regexp.MustCompile(`(?m)^package `).MatchString(b.text()) {
		return place + b.text(), wholeFile
	}
	for _, k := range []kind{declarations, statements} {
		before, after := "", ""
		if k == statements {
			before, after = "func _() {\n", "}\n"
		}
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+before+b.text()+after, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		var head strings.Builder
		for _, pkg := range used(f) {
			fmt.Fprintf(&head, "import %s %q\n", pkg, imports[pkg])
		}
		if k == statements {
			after = discard(f) + after
		}
		return head.String() + before + place + b.text() + after, k
	}
	t.Fatalf("%s:%d: neither a file, nor declarations, nor statements", b.page, b.line)
	return "", 0
}

// used are the packages that a file names. A variable of a package's name hides it.
func used(f *ast.File) []string {
	names, hidden := map[string]bool{}, map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && imports[x.Name] != "" {
				names[x.Name] = true
			}
		case *ast.AssignStmt:
			for _, name := range defined(n) {
				hidden[name] = true
			}
		}
		return true
	})
	maps.DeleteFunc(names, func(name string, _ bool) bool { return hidden[name] })
	return slices.Sorted(maps.Keys(names))
}

// discard uses every variable that statements define, since a document need not.
func discard(f *ast.File) string {
	var s strings.Builder
	for _, stmt := range f.Decls[len(f.Decls)-1].(*ast.FuncDecl).Body.List {
		if assign, ok := stmt.(*ast.AssignStmt); ok {
			for _, name := range defined(assign) {
				s.WriteString("_ = &" + name + "\n") // & since a permit may not be copied
			}
		}
	}
	return s.String()
}

func defined(a *ast.AssignStmt) (names []string) {
	if a.Tok != token.DEFINE {
		return nil
	}
	for _, left := range a.Lhs {
		if id, ok := left.(*ast.Ident); ok && id.Name != "_" {
			names = append(names, id.Name)
		}
	}
	return names
}
