// Package examples holds programs to copy from, and the test that they do what their README shows.
package examples

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/await"
)

// limit bounds the building and the run of one program, in this machine's own time.
const limit = 2 * time.Minute

func TestEachProgramPrintsWhatTheReadmeShows(t *testing.T) {
	shown := readme(t)
	programs, err := filepath.Glob("*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(programs) == 0 || len(programs) != len(shown) {
		t.Errorf("there are %d programs, and the README shows %d", len(programs), len(shown))
	}
	for _, program := range programs {
		name := filepath.Dir(program)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, ok := shown[name]
			if !ok {
				t.Fatalf("the README does not show %s", name)
			}
			if got := run(t, name); got != want {
				t.Errorf("the program printed\n%s\nthe README shows\n%s", got, want)
			}
		})
	}
}

// readme reads what each program prints: its heading, and the first block of text below.
func readme(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)\n## ([a-z]+)\n.*?\n```text\n(.*?)```\n").FindAllStringSubmatch(string(text), -1) {
		shown[m[1]] = m[2]
	}
	return shown
}

// run builds a program, runs it with nothing of ours in its environment, and returns what it printed.
func run(t *testing.T, name string) string {
	t.Helper()
	cmd := program(t, name)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return strings.ReplaceAll(stdout.String(), "\r\n", "\n")
}

// program builds a program. Its build and its run are bounded together.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	binary := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	for _, v := range os.Environ() {
		if !settings.MatchString(v) {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// settings are the variables that change what a program does. REDIS_URL stays: a person who sets it wants a real one.
var settings = regexp.MustCompile(`^(CIRCUIT_BREAKER_|RETRY_|MAX_RETRY_|HEALTH_CHECK_)`)
