package measure

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Machine says in one line what measured: processor, system, Go, commit, hour.
func Machine() string {
	return fmt.Sprintf("%d x %s, %s, %s %s/%s, commit %s, %s", runtime.NumCPU(), processor(), kernel(), runtime.Version(),
		runtime.GOOS, runtime.GOARCH, commit(), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(text)), "-")
	return "Linux " + release
}

// commit is that of the working copy, with a + if it was changed.
func commit() string {
	hash, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		if info, ok := debug.ReadBuildInfo(); ok {
			return info.Main.Version
		}
		return "unknown"
	}
	mark := ""
	if exec.Command("git", "diff", "--quiet", "HEAD").Run() != nil {
		mark = "+"
	}
	return strings.TrimSpace(string(hash)) + mark
}
