//go:build unix

package process

import "syscall"

// Stop halts the process by SIGSTOP, and returns when it is halted.
func (r *Replica) Stop() {
	r.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(r.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		r.t.Errorf("%s does not halt: %v, %v", r.config.Name, status, err)
	}
}

// Cont lets a halted process go on.
func (r *Replica) Cont() { r.signal(syscall.SIGCONT) }
