//go:build unix

package postgrestest

import "syscall"

// halt and resume are the signals that stop a process and let it go on.
const (
	halt   = syscall.SIGSTOP
	resume = syscall.SIGCONT
)
