package topology

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/await"
)

// Node is one Redis server. A *redistest.Server is nearly one.
type Node interface {
	Addr() string                                    // by which this process reaches it
	Peer() string                                    // by which other servers reach it
	Command(args ...string) (line string, err error) // the first line of the reply, such as "+OK"
	Text(args ...string) (string, error)             // a reply that is a text
	Kill()                                           // as a crash would
	Stop()                                           // it hangs: connections stay, nothing answers
	Cont()                                           // it goes on
	Restart()                                        // after Kill, at the same Addr, with nothing of what it held
}

const patience = 60 * time.Second // for one thing that must come to be; the machine may be busy

// Must sends a command that has to be answered by +OK, and perhaps more words.
func Must(t testing.TB, n Node, args ...string) {
	t.Helper()
	if line, err := n.Command(args...); err != nil || !strings.HasPrefix(line, "+OK") {
		t.Fatalf("%s answers %q with %q, %v", n.Addr(), args, line, err)
	}
}

// Follow makes n a replica of master, and waits until they are in step.
func Follow(t testing.TB, n, master Node) {
	t.Helper()
	host, port, err := net.SplitHostPort(master.Peer())
	if err != nil {
		t.Fatal(err)
	}
	Must(t, n, "REPLICAOF", host, port)
	InStep(t, n, master)
}

// InStep waits until a replica has all that its master wrote.
func InStep(t testing.TB, replica, master Node) {
	t.Helper()
	await.Eventually(t, "a replica is in step with its master", func() string {
		has, hasErr := Info(replica, "replication")
		wants, wantsErr := Info(master, "replication")
		if hasErr == nil && wantsErr == nil && has["master_link_status"] == "up" &&
			has["master_repl_offset"] == wants["master_repl_offset"] {
			return ""
		}
		return fmt.Sprintf("offset %s of %s, link %s, %v, %v", has["master_repl_offset"], wants["master_repl_offset"],
			has["master_link_status"], hasErr, wantsErr)
	})
}

// Detach keeps a replica from getting what its master will write from now on, though it stays a replica: what the master
// acknowledges is lost once it dies.
func Detach(t testing.TB, replica Node) {
	t.Helper()
	Must(t, replica, "REPLICAOF", "127.0.0.1", "1")
}

// Promote makes a replica a master.
func Promote(t testing.TB, replica Node) {
	t.Helper()
	Must(t, replica, "REPLICAOF", "NO", "ONE")
}

// Info is a section of INFO, by its fields.
func Info(n Node, section string) (map[string]string, error) {
	text, err := n.Text("INFO", section)
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[key] = value
		}
	}
	return fields, err
}
