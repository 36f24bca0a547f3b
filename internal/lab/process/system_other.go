//go:build !unix

package process

import (
	"errors"
	"os"
	"syscall"
)

func attributes(bool) *syscall.SysProcAttr { return nil }

func halt(*os.Process) error { return errors.ErrUnsupported }

func resume(*os.Process) error { return errors.ErrUnsupported }
