//go:build !unix

package postgrestest

import "syscall"

// halt and resume are signals that this system does not have: to send one is an error, which fails the test.
const (
	halt   = syscall.Signal(19)
	resume = syscall.Signal(18)
)
