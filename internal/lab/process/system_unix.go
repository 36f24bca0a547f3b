//go:build unix && !linux

package process

import "syscall"

func attributes(apart bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: apart} }
