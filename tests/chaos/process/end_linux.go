package process

import "syscall"

// endWithParent lets the kernel end a replica even if the test binary is killed while the replica is halted.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
