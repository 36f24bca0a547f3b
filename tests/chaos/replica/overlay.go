package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// skewTag is the build tag of code that uses time.CommontripSkew.
const skewTag = "commontrip_skew"

const skewSource = `package time

import "sync/atomic"

// CommontripSkew is how many seconds the wall clock of this process is ahead.
var CommontripSkew atomic.Int64
`

// writeOverlay makes a standard library whose wall clock a test can move: the installed one, but for time.Now, which adds
// time.CommontripSkew, in seconds, to what the system says. The monotonic clock, timers and deadlines go on as they are, as
// they do on a machine whose clock is set. It writes what go build -overlay wants into dir, and gives its path. An error
// says what of the installed Go is not as this package knows it.
func writeOverlay(dir string) (path string, err error) {
	out, err := exec.Command("go", "env", "GOROOT").Output() //nolint:noctx // a moment
	if err != nil {
		return "", fmt.Errorf("overlay: go env GOROOT: %w", err)
	}
	installed := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(installed, "time.go"))
	if err != nil {
		return "", fmt.Errorf("overlay: the standard library's source is wanted: %w", err)
	}
	moved, err := moveable(source)
	if err != nil {
		return "", fmt.Errorf("overlay: %s: %w", filepath.Join(installed, "time.go"), err)
	}
	replace := map[string]string{}
	for name, text := range map[string][]byte{"time.go": moved, "commontrip_skew.go": []byte(skewSource)} {
		replace[filepath.Join(installed, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", fmt.Errorf("overlay: %w", err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// moveable is the source of package time with a Now that adds the skew to the seconds that the runtime gives it.
func moveable(source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "time.go", source, 0)
	if err != nil {
		return nil, err
	}
	for _, declared := range file.Decls {
		now, ok := declared.(*ast.FuncDecl)
		if !ok || now.Name.Name != "Now" || now.Recv != nil || now.Body == nil || len(now.Body.List) == 0 {
			continue
		}
		// sec, nsec, mono := runtimeNow()
		first, ok := now.Body.List[0].(*ast.AssignStmt)
		if !ok || first.Tok != token.DEFINE || len(first.Lhs) != 3 {
			break
		}
		seconds, ok := first.Lhs[0].(*ast.Ident)
		if !ok || seconds.Name == "_" {
			break
		}
		end := files.Position(first.End()).Offset
		added := fmt.Sprintf("; %s += CommontripSkew.Load()", seconds.Name)
		return append(append(append([]byte(nil), source[:end]...), added...), source[end:]...), nil
	}
	return nil, errors.New("func Now does not begin with seconds, nanoseconds and monotonic time of the runtime: this Go is not known here")
}
