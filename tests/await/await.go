// Package await bounds the waits of tests by this machine's own pace, so that a wait ends for what did not happen and never
// for a busy machine:
//
//	ctx, cancel := await.WithTimeout(t.Context(), time.Minute)
//	defer cancel()
//
// A minute here is a minute of a machine that has nothing else to do. Where twenty processes want each core it is twenty
// minutes, and while the machine stands still no time passes at all.
package await

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// beat is how often the machine is looked at. However late a beat comes, it counts as one.
const beat = 50 * time.Millisecond

// WithTimeout gives a context that ends after so much of this machine's time. Its cause is then context.DeadlineExceeded.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	go count(ctx, d, crowd, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() { cancel(nil) }
}

// Until waits until the condition is met, and looks at it every few milliseconds. A minute of this machine's time is enough
// for anything that a test waits for; after that the test has failed.
func Until(t testing.TB, what string, met func() bool) {
	t.Helper()
	if !Met(met) {
		t.Fatalf("waited in vain for this: %s", what)
	}
}

// Eventually is Until for a condition that says what is missing of it, and tells how long it took.
func Eventually(t testing.TB, what string, met func() (missing string)) time.Duration {
	t.Helper()
	start, missing := time.Now(), ""
	if !Met(func() bool { missing = met(); return missing == "" }) {
		t.Fatalf("waited in vain for this: %s: %s", what, missing)
	}
	return time.Since(start)
}

// Met waits as Until does, and says whether the condition was met.
func Met(met func() bool) bool {
	ctx, cancel := WithTimeout(context.Background(), time.Minute)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !met() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// count calls over once the time has passed, unless ctx ends before. A beat counts for less the more processes want a core.
func count(ctx context.Context, d time.Duration, crowd func() float64, over func()) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for left := float64(d); left > 0; left -= float64(beat) / crowd() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
	over()
}

// crowd is how many processes want each core of this machine now; at least 1, and 1 where the machine does not tell.
func crowd() float64 {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 1
	}
	return wanted(string(load), runtime.NumCPU())
}

// wanted reads the fourth field of /proc/loadavg, such as 42/613: 42 of 613 threads are running or want to.
func wanted(load string, cores int) float64 {
	fields := strings.Fields(load)
	if len(fields) < 4 {
		return 1
	}
	running, _, _ := strings.Cut(fields[3], "/")
	n, err := strconv.Atoi(running)
	if err != nil {
		return 1
	}
	return max(1, float64(n)/float64(cores))
}
