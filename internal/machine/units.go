package machine

import (
	"math"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
)

// date is machine time as the store's clock shows it.
func (t moment) date(at int64) time.Time { return time.UnixMilli(at - t.off).UTC() }

// left is the time until end, 0 if it is over.
func (t moment) left(end int64) time.Duration {
	return time.Duration(max(end-t.at, 0)) * time.Millisecond
}

// millis is a duration in ms.
func millis(d time.Duration) int64 { return int64(d / time.Millisecond) }

// duration is ms as a duration.
func duration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// ms32 is a duration of a policy in ms.
func ms32(d time.Duration) int32 { return int32(d / time.Millisecond) }

// rate is a rate in limits.RateUnit.
func rate(r float64) uint16 { return uint16(math.Round(r * limits.RateUnit)) }
