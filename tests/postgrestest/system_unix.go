//go:build unix && !linux

package postgrestest

import "syscall"

// attributes make a program run as that account, nil: as this process' own.
func attributes(as *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return attr
}
