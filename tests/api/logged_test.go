package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What has an error in a field has a JSON form of its own: encoding/json, and zap.Any by it, write {} for an error. An error
// type itself is logged by its text.
func TestWhatHasAnErrorInAFieldHasAJSONFormThatTellsIt(t *testing.T) {
	seen := 0
	for _, folder := range publicFolders(t) {
		holders, methods := declared(t, folder)
		for _, name := range holders {
			seen++
			if !slices.Contains(methods[name], "MarshalJSON") && !slices.Contains(methods[name], "Error") {
				t.Errorf("%s: %s has an error in a field; give it a MarshalJSON", folder, name)
			}
		}
	}
	if seen < 8 {
		t.Errorf("%d structs with an error in a field; want all of them looked at", seen)
	}
}

// publicFolders are those of packages that others import.
func publicFolders(t *testing.T) []string {
	t.Helper()
	var folders []string
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, "../.."), "/")
		if first, _, _ := strings.Cut(name, "/"); strings.HasPrefix(first, ".") ||
			slices.Contains([]string{"bin", "cmd", "deploy", "docs", "examples", "internal", "scripts", "tests"}, first) {
			return fs.SkipDir
		}
		folders = append(folders, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// declared gives the exported structs of a package that have an exported field of type error, and the methods of all types.
func declared(t *testing.T, folder string) (holders []string, methods map[string][]string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	methods = map[string][]string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil {
					methods[receiver(n)] = append(methods[receiver(n)], n.Name.Name)
				}
				return false
			case *ast.TypeSpec:
				if form, ok := n.Type.(*ast.StructType); ok && n.Name.IsExported() && slices.ContainsFunc(form.Fields.List, holdsError) {
					holders = append(holders, n.Name.Name)
				}
			}
			return true
		})
	}
	return holders, methods
}

func receiver(f *ast.FuncDecl) string {
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	name, _ := kind.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}

func holdsError(f *ast.Field) bool {
	kind, ok := f.Type.(*ast.Ident)
	return ok && kind.Name == "error" && slices.ContainsFunc(f.Names, (*ast.Ident).IsExported)
}
