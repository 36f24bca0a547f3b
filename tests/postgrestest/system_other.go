//go:build !unix

package postgrestest

import "syscall"

// attributes are none: this system has no accounts that a program can be given.
func attributes(*account) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
