package main

import (
	"strings"
	"testing"
)

// The store is gone in both: the page of a fleet whose Redis is away is healthy.
func TestPingSaysWhetherThePageAnswersAndAsksNoStore(t *testing.T) {
	d := newDesk(t)
	out, end := d.begin("dashboard", "--listen", "localhost:0", "--url", "redis://127.0.0.1:1")
	page, _, _ := strings.Cut(out.next("http://127.0.0.1:"), " ")
	address := strings.TrimSuffix(strings.TrimPrefix(page, "http://"), "/")
	if code, _, said := d.run("dashboard", "ping", "--listen", address); code != done {
		t.Errorf("exit code %d, %q; want %d", code, said, done)
	}
	end()
	if code, _, said := d.run("dashboard", "ping", "--listen", address); code != failed || !strings.Contains(said, "the page does not answer") {
		t.Errorf("exit code %d, %q of a page that has ended; want %d", code, said, failed)
	}
}

func TestPingAsksThisMachineOnly(t *testing.T) {
	d := newDesk(t)
	if code, _, said := d.run("dashboard", "ping", "--listen", "192.0.2.1:8321"); code != misused || !strings.Contains(said, "want a loopback address") {
		t.Errorf("exit code %d, %q; want %d", code, said, misused)
	}
}
