package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
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

// build builds the replica, with the race detector where the test has it, and gives its path.
func build(name string, args ...string) (string, error) {
	dir, err := built()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	args = append([]string{"build", "-o", path}, args...)
	if raced {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, replicaPackage)...).CombinedOutput() //nolint:noctx // once, whatever test comes first
	if err != nil {
		return "", fmt.Errorf("go %q: %w\n%s", args, err, out)
	}
	return path, nil
}

var buildPlain = sync.OnceValues(func() (string, error) { return build("replica") })

func binary(t testing.TB) string {
	t.Helper()
	path, err := buildPlain()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
