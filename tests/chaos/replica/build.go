package replica

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// built is the folder of what is built, made with the first of it and removed by Main.
var built struct {
	sync.Once
	dir string
	err error
}

func builtDir() (string, error) {
	built.Do(func() { built.dir, built.err = os.MkdirTemp("", "commontrip-replica") })
	return built.dir, built.err
}

func removeBuilt() {
	built.Do(func() {})
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}

// buildSkewed builds the tests of this package, whose binary can be a replica, over a standard library whose wall clock can
// be moved. It has no race detector: each Go builds the whole standard library again, which takes long enough without.
var buildSkewed = sync.OnceValues(func() (string, error) {
	dir, err := builtDir()
	if err != nil {
		return "", err
	}
	overlay, err := writeOverlay(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "replica-skewed")
	args := []string{"test", "-c", "-vet=off", "-o", path, "-overlay", overlay, "-tags", skewTag, "github.com/commontrip/commontrip/tests/chaos/replica"}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil { //nolint:noctx // once, whatever test comes first
		return "", fmt.Errorf("go %q: %w\n%s", args, err, out)
	}
	return path, nil
})
