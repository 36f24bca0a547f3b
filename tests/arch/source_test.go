package arch

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is package breaker, read and checked, without its tests.
type source struct {
	fset      *token.FileSet
	info      *types.Info
	types     *types.Package
	functions []function
	owners    map[types.Object]string // of each field: the type that has it
}

func load(t *testing.T) *source {
	t.Helper()
	p := &source{fset: token.NewFileSet(), owners: map[types.Object]string{}}
	p.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{}, Uses: map[*ast.Ident]types.Object{}}
	names, err := filepath.Glob("../../breaker/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	config := types.Config{Importer: importer.ForCompiler(p.fset, "gc", exports(t))}
	if p.types, err = config.Check(module+"/breaker", p.fset, files, p.info); err != nil {
		t.Fatal(err)
	}
	for _, name := range p.types.Scope().Names() {
		if named, ok := p.types.Scope().Lookup(name).(*types.TypeName); ok {
			if s, ok := named.Type().Underlying().(*types.Struct); ok {
				for field := range s.Fields() {
					p.owners[field] = name
				}
			}
		}
	}
	for _, file := range files {
		p.read(file)
	}
	return p
}

// read finds the functions of a file.
func (p *source) read(file *ast.File) {
	for _, d := range file.Decls {
		decl, ok := d.(*ast.FuncDecl)
		if !ok || decl.Body == nil {
			continue
		}
		f := function{name: decl.Name.Name, body: decl.Body}
		if decl.Recv != nil {
			f.receiver = nameOf(p.info.TypeOf(decl.Recv.List[0].Type))
			f.name = f.receiver + "." + f.name
		}
		p.functions = append(p.functions, f)
		ast.Inspect(decl.Body, func(n ast.Node) bool {
			if inner, ok := n.(*ast.FuncLit); ok {
				p.functions = append(p.functions, function{"a function in " + f.name, f.receiver, inner.Body})
			}
			return true
		})
	}
}

// exports opens what the compiler says about a package.
func exports(t *testing.T) func(path string) (io.ReadCloser, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Export", "./breaker")
	cmd.Dir, cmd.Stderr = "../..", t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); err != nil {
			t.Fatalf("go list's answer: %v", err)
		}
		files[p.ImportPath] = p.Export
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

func (p *source) at(n ast.Node) string {
	pos := p.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", filepath.Base(pos.Filename), pos.Line)
}

func (p *source) fieldsOf(owner string) (names []string) {
	for field, of := range p.owners {
		if of == owner {
			names = append(names, field.Name())
		}
	}
	return names
}

// field is the field that n selects, and the type that has it; empty: it selects none of the package's.
func (p *source) field(n ast.Node) (owner, name string) {
	if selector, ok := n.(*ast.SelectorExpr); ok {
		if s := p.info.Selections[selector]; s != nil && s.Kind() == types.FieldVal {
			return p.owners[s.Obj()], s.Obj().Name()
		}
	}
	return "", ""
}

// method is the method that n selects, and the type that has it.
func (p *source) method(n ast.Node) (owner, name string) {
	if selector, ok := n.(*ast.SelectorExpr); ok {
		if s := p.info.Selections[selector]; s != nil && s.Kind() != types.FieldVal {
			if f, ok := s.Obj().(*types.Func); ok && f.Pkg() == p.types {
				return nameOf(f.Signature().Recv().Type()), f.Name()
			}
		}
	}
	return "", ""
}

// changed reports that the field at the end of the stack, or a part of its value, is assigned there or may be elsewhere.
func (p *source) changed(stack []ast.Node) bool {
	part := stack[len(stack)-1].(ast.Expr)
	for i := len(stack) - 2; i >= 0; i-- {
		switch outer := stack[i].(type) {
		case *ast.ParenExpr:
			part = outer
		case *ast.IndexExpr:
			if outer.X != part {
				return false
			}
			part = outer
		case *ast.SelectorExpr:
			if f, ok := p.info.Uses[outer.Sel].(*types.Func); ok && f.Pkg().Path() == "sync/atomic" {
				return f.Name() != "Load"
			}
			if pointer, ok := p.info.TypeOf(part).(*types.Pointer); ok {
				if named, ok := pointer.Elem().(*types.Named); ok && named.Obj().Pkg() == p.types {
					return false // what it points to has fields of its own
				}
			}
			part = outer
		case *ast.AssignStmt:
			return slices.Contains(outer.Lhs, part)
		case *ast.IncDecStmt:
			return true
		case *ast.RangeStmt:
			return outer.Key == part || outer.Value == part
		case *ast.UnaryExpr:
			return outer.Op == token.AND
		case *ast.CallExpr:
			builtin, ok := outer.Fun.(*ast.Ident)
			return ok && outer.Args[0] == part && (builtin.Name == "delete" || builtin.Name == "clear")
		default:
			return false
		}
	}
	return false
}

// lock is the lock that a call of sync takes or gives back: its name, with the type that has it, and the verb.
func (p *source) lock(call ast.Expr) (name, verb string) {
	c, ok := call.(*ast.CallExpr)
	if !ok {
		return "", ""
	}
	selector, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	f, ok := p.info.Uses[selector.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || f.Pkg().Path() != "sync" || !slices.Contains([]string{"Mutex", "RWMutex"}, nameOf(f.Signature().Recv().Type())) {
		return "", ""
	}
	owner, _ := p.field(selector.X)
	return fmt.Sprintf("%s (%s)", types.ExprString(selector.X), owner), strings.TrimPrefix(f.Name(), "R")
}

// nameOf is the name of a type, or of what it points to.
func nameOf(t types.Type) string {
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name()
	}
	return ""
}

// bodies are the blocks of a statement.
func bodies(stmt ast.Stmt) (all [][]ast.Stmt) {
	ast.Inspect(stmt, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CaseClause:
			all = append(all, n.Body)
			return false
		case *ast.CommClause:
			all = append(all, n.Body)
			return false
		case *ast.BlockStmt:
			if len(n.List) > 0 {
				switch n.List[0].(type) {
				case *ast.CaseClause, *ast.CommClause:
					return true
				}
			}
			all = append(all, n.List)
			return false
		}
		return true
	})
	return all
}

// eachPart visits what stands in a statement but its blocks, and but functions in it.
func eachPart(stmt ast.Stmt, visit func(ast.Node)) {
	blocks := bodies(stmt)
	ast.Inspect(stmt, func(n ast.Node) bool {
		if _, function := n.(*ast.FuncLit); function || n == nil {
			return false
		}
		if inner, ok := n.(ast.Stmt); ok && slices.ContainsFunc(blocks, func(b []ast.Stmt) bool { return slices.Contains(b, inner) }) {
			return false
		}
		visit(n)
		return true
	})
}

// function is one with a body: declared, or one without a name in another.
type function struct {
	name, receiver string // receiver: the type's name; empty: it is no method, nor in one
	body           *ast.BlockStmt
}

// inspect visits all that stands in a function but functions in it, each with what it stands in.
func (f function) inspect(visit func(stack []ast.Node)) {
	var stack []ast.Node
	ast.Inspect(f.body, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if _, inner := n.(*ast.FuncLit); inner {
			return false
		}
		stack = append(stack, n)
		visit(stack)
		return true
	})
}
