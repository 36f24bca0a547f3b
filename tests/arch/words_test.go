package arch

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// machinePaths are places of one machine or one account, which mean nothing on another. Spelled in parts, since this
// file is one of those that are read.
var machinePaths = regexp.MustCompile(strings.Join([]string{
	`(^|[^\w.])/` + `(root|home/\w+|Users/\w+|work/main|work/shared)/`, // home folders and workplaces
	`proxy\.` + `golang\.org`, `sum\.` + `golang\.org`, `deb\.` + `debian\.org`, // where one machine gets its packages
}, "|"))

func TestNoFileNamesTheMachineItWasWrittenOn(t *testing.T) {
	for name, text := range tracked(t) {
		for i, line := range bytes.Split(text, []byte("\n")) {
			if found := machinePaths.Find(line); found != nil {
				t.Errorf("%s:%d names %q", name, i+1, found)
			}
		}
	}
}

func TestNothingIsLeftForLater(t *testing.T) {
	marks := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	for name, text := range tracked(t) {
		if found := marks.Find(text); found != nil && name != ".golangci.yml" {
			t.Errorf("%s says %s: build it, or file it", name, found)
		}
	}
}

// In the virtual time of testing/synctest a sleep takes no time and ends when it should. Elsewhere it guesses.
func TestNoTestWaitsByTheClockOutsideOfVirtualTime(t *testing.T) {
	sleeps, virtual := map[string]string{}, map[string]bool{}
	for name, text := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		if bytes.Contains(text, []byte("time.Sl"+"eep(")) {
			sleeps[name] = filepath.Dir(name)
		}
		if bytes.Contains(text, []byte(`"testing/synctest"`)) {
			virtual[filepath.Dir(name)] = true
		}
	}
	for name, folder := range sleeps {
		if !virtual[folder] {
			t.Errorf("%s sleeps: wait for a condition with a deadline, or use testing/synctest", name)
		}
	}
}

// tracked reads the text files that git knows.
func tracked(t *testing.T) map[string][]byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git clone: %v", err)
	}
	files := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not committed yet
		} else if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) < 0 {
			files[name] = text
		}
	}
	return files
}
