package postgrestest

import "syscall"

// endWithParent lets the kernel end the server even if the test binary is killed.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
}
