package process

import "syscall"

// attributes let the kernel end the child even if the parent is killed.
func attributes(apart bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: apart}
}
