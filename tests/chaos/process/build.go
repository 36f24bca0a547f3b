package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/tests/chaos/overlay"
)

const replicaPackage = "github.com/commontrip/commontrip/tests/chaos/replica"

// built is the folder of the binaries, made with the first of them and removed by Main.
var built = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "commontrip-replica") })

// Main is the TestMain of a package whose tests start replicas.
func Main(m *testing.M) {
	status := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// build builds the replica and gives its path.
func build(name string, args ...string) (string, error) {
	dir, err := built()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	args = append([]string{"build", "-o", path}, append(args, replicaPackage)...)
	out, err := exec.Command("go", args...).CombinedOutput() //nolint:noctx // once, whatever test comes first
	if err != nil {
		return "", fmt.Errorf("go %q: %w\n%s", args, err, out)
	}
	return path, nil
}

// buildPlain has the race detector if the test has it.
var buildPlain = sync.OnceValues(func() (string, error) {
	if raced {
		return build("replica", "-race")
	}
	return build("replica")
})

// buildSkewed is of a replica whose wall clock can be moved. It has no race detector: with each Go it builds the whole standard
// library again, which takes long enough without.
var buildSkewed = sync.OnceValues(func() (string, error) {
	dir, err := built()
	if err != nil {
		return "", err
	}
	over, err := overlay.Write(dir)
	if err != nil {
		return "", err
	}
	return build("replica-skewed", "-overlay", over, "-tags", overlay.Tag)
})

func binary(t testing.TB) string {
	t.Helper()
	path, err := buildPlain()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
