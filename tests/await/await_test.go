package await

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAMinuteIsLongerOnACrowdedMachine(t *testing.T) {
	for _, c := range []struct {
		crowd float64
		want  time.Duration
	}{{1, time.Minute}, {20, 20 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			over := false
			count(t.Context(), time.Minute, func() float64 { return c.crowd }, func() { over = true })
			if took := time.Since(began); !over || took < c.want || took > c.want+2*beat {
				t.Errorf("with %v on each core it took %v; want %v", c.crowd, took, c.want)
			}
		})
	}
}

func TestATimeoutSaysWhyItEnded(t *testing.T) {
	ctx, cancel := WithTimeout(t.Context(), beat)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended by %v", err)
	}
	cancel()
	ctx, cancel = WithTimeout(t.Context(), time.Hour)
	cancel()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("one that was given up ended by %v", err)
	}
}

func TestTheCrowdIsReadFromWhatTheKernelSays(t *testing.T) {
	for text, want := range map[string]float64{
		"0.20 0.18 0.12 42/613 11206\n": 21, "0.20 0.18 0.12 1/613 11206\n": 1, "": 1, "0.20 0.18 0.12 some/613 1": 1,
	} {
		if got := wanted(text, 2); got != want {
			t.Errorf("%q: %v on each core; want %v", text, got, want)
		}
	}
	if crowd() < 1 {
		t.Error("less than one on each core")
	}
}
