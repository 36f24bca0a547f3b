package postgrestest

import "syscall"

// attributes make a program run as that account, nil: as this process' own. The kernel ends it even if the test binary is
// killed.
func attributes(as *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return attr
}
