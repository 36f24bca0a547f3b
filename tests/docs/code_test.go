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

const modulePath = "github.com/commontrip/commontrip"

// imports is where the packages come from that a block calls by these names.
var imports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "log": "log", "os": "os", "slog": "log/slog",
	"synctest": "testing/synctest", "testing": "testing", "time": "time",
	"breaker": modulePath + "/breaker", "config": modulePath + "/config", "dashboard": modulePath + "/dashboard",
	"fallback": modulePath + "/fallback", "health": modulePath + "/health", "metrics": modulePath + "/metrics",
	"retry": modulePath + "/retry", "store": modulePath + "/store", "storetest": modulePath + "/store/storetest",
	"memorystore": modulePath + "/store/memory", "redisstore": modulePath + "/store/redis",
	"breakergrpc": modulePath + "/transport/breakergrpc", "breakerhttp": modulePath + "/transport/breakerhttp",
	"zaplog": modulePath + "/zaplog",
	"grpc":   "google.golang.org/grpc", "prometheus": "github.com/prometheus/client_golang/prometheus",
	"promhttp": "github.com/prometheus/client_golang/prometheus/promhttp",
	"tls":      "crypto/tls", "redis": "github.com/redis/go-redis/v9",
	"sdkmetric": "go.opentelemetry.io/otel/sdk/metric", "otelbridge": "go.opentelemetry.io/contrib/bridges/prometheus",
}

// A block is a file where it has a package clause, else declarations, else statements. What stands around it (ctx, a
// store, a tier's call) is given by testdata/given.go. A block that bridges to OpenTelemetry is compiled in the module
// that depends on it.
func TestEveryBlockOfGoCompilesAndItsTestsPass(t *testing.T) {
	for _, module := range []struct {
		dir, given string
		mine       func(block) bool
	}{
		{".", "given.go", func(b block) bool { return !strings.Contains(b.text(), "sdkmetric.") }},
		{"tests/deploy/queries", "given_otel.go", func(b block) bool { return strings.Contains(b.text(), "sdkmetric.") }},
	} {
		t.Run(module.dir, func(t *testing.T) {
			dir := newModule(t, module.dir)
			var blocks []block
			for _, b := range goBlocks(t) {
				if module.mine(b) {
					writeBlock(t, dir, b, module.given)
					blocks = append(blocks, b)
				}
			}
			if len(blocks) == 0 {
				t.Fatal("no block at all")
			}
			goTool(t, dir, "vet", "-mod=mod", "./...")
			goTool(t, dir, "test", "-mod=mod", "-count=1", "./...")
		})
	}
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
	if len(all) < 9 {
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
	goTool(t, dir, "mod", "edit", "-module=docs.test", "-require="+modulePath+"@v0.0.0", "-replace="+modulePath+"="+here)
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

// writeBlock makes a package of a block; its lines are known to the compiler as the document's.
func writeBlock(t *testing.T, dir string, b block, given string) {
	t.Helper()
	name := "p" + regexp.MustCompile(`\W`).ReplaceAllString(b.page, "_") + strconv.Itoa(b.line)
	dir = filepath.Join(dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := "block.go"
	if strings.Contains(b.text(), "*testing.T)") || strings.Contains(b.text(), "testing.TB)") {
		file = "block_test.go"
	}
	code, whole := fileOf(t, b, name)
	files := map[string]string{file: code}
	if !whole {
		_, rest, _ := strings.Cut(read(t, "tests/docs/testdata/"+given), "\npackage ")
		_, rest, _ = strings.Cut(rest, "\n")
		files["given.go"] = "package " + name + "\n" + rest
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(files[file]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// fileOf makes a file of a block; whole says that it was one.
func fileOf(t *testing.T, b block, name string) (code string, whole bool) {
	t.Helper()
	place := fmt.Sprintf("//line %s:%d\n", b.page, b.line)
	if strings.HasPrefix(b.text(), "package ") || strings.HasPrefix(b.text(), "//") && strings.Contains(b.text(), "\npackage ") {
		return place + b.text(), true
	}
	for _, try := range []struct{ before, after string }{{"", ""}, {"func _() {\n", "}\n"}} {
		body := try.before + place + b.text() + try.after
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		var head strings.Builder
		for _, pkg := range used(f) {
			fmt.Fprintf(&head, "import %s %q\n", pkg, imports[pkg])
		}
		if try.before != "" {
			body = try.before + place + b.text() + discard(f) + try.after
		}
		return "package " + name + "\n" + head.String() + body, false
	}
	t.Fatalf("%s:%d: neither a file, nor declarations, nor statements", b.page, b.line)
	return "", false
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
				s.WriteString("_ = " + name + "\n")
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
