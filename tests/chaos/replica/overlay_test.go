package replica

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const program = `package main

import (
	"fmt"
	"time"
)

func main() {
	before := time.Now()
	time.CommontripSkew.Store(3600)
	after := time.Now()
	fmt.Println("moved", after.Unix()-before.Unix() >= 3600, "still", after.Sub(before) < time.Hour)
}
`

// The clock that is moved is the wall's; what is measured by the monotonic one stays what it is.
func TestTheWallClockMovesAndTheMonotonicOneDoesNot(t *testing.T) {
	dir := t.TempDir()
	path, err := writeOverlay(dir)
	if err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(dir, "main.go")
	if err := os.WriteFile(main, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", "-overlay", path, main).CombinedOutput()
	if err != nil || string(out) != "moved true still true\n" {
		t.Errorf("the program says %q, %v; want that the wall clock has moved and the monotonic one has not", out, err)
	}
}

func TestTheOverlayReplacesOneFileAndAddsOne(t *testing.T) {
	path, err := writeOverlay(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &overlay); err != nil || len(overlay.Replace) != 2 {
		t.Errorf("the overlay is %s, %v", text, err)
	}
}

// A Go whose Now is another one is refused, and not built into something else than is meant.
func TestAnotherNowIsRefused(t *testing.T) {
	for name, source := range map[string]string{
		"one value":     "package time\nfunc Now() Time {\n\tt := runtimeNow()\n\treturn t\n}\n",
		"no assignment": "package time\nfunc Now() Time {\n\treturn now()\n}\n",
		"a method":      "package time\nfunc (c clock) Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\treturn Time{}\n}\n",
		"none":          "package time\n",
	} {
		if out, err := moveable([]byte(source)); err == nil || !strings.Contains(err.Error(), "func Now") {
			t.Errorf("%s: %q, %v; want an error that names func Now", name, out, err)
		}
	}
}
