package main

import (
	"os/exec"
	"regexp"
	"testing"
)

var versionLine = regexp.MustCompile(`^(Redis|Valkey) server v=([0-9.]+) `)

// product is what the redis-server of these tests calls itself, such as "Valkey 8.1.1".
func product(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "redis-server", "--version").Output()
	found := versionLine.FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("redis-server --version says %q, %v", out, err)
	}
	return string(found[1]) + " " + string(found[2])
}
