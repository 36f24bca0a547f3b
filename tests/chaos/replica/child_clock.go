//go:build !commontrip_skew

package replica

import (
	"errors"
	"time"
)

// skew makes the wall clock jump.
func skew([]time.Duration, time.Duration) error {
	return errors.New("this replica is not built to have its clock moved")
}
