//go:build unix

package process

import (
	"fmt"
	"os"
	"syscall"
)

func halt(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("process %d does not halt: %v, %w", p.Pid, status, err)
	}
	return nil
}

func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
