//go:build !unix

package process

import "runtime"

// Stop fails the test: this system cannot halt a process.
func (r *Replica) Stop() {
	r.t.Helper()
	r.t.Fatalf("%s: no process can be halted on %s", r.config.Name, runtime.GOOS)
}

// Cont does nothing, as no process can be halted.
func (r *Replica) Cont() {}
