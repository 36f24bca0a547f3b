//go:build !unix

package main

import "syscall"

// apart changes nothing here: Ctrl-C reaches every process, and each ends by it.
func apart() *syscall.SysProcAttr { return nil }
