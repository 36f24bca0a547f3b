package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

func TestSmokeSingleNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard events
		b, err := breaker.New("users", breaker.WithListener(heard.hear))
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		for range 5 {
			if err := b.Run(ctx, fail); !errors.Is(err, errTier) {
				t.Fatal(err)
			}
		}
		wantState(t, b, breaker.Open)
		if err := b.Run(ctx, succeed); refusal(err) != breaker.RefusedOpen {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for range 2 {
			if err := b.Run(ctx, succeed); err != nil {
				t.Fatal(err)
			}
		}
		wantState(t, b, breaker.Closed)
		synctest.Wait()
		for _, e := range heard.all() {
			t.Log(e)
		}
		t.Logf("%+v", b.Status())
	})
}

func TestSmokeFleet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		var heard events
		a, b := f.replica(breaker.WithReplica("a")), f.replica(breaker.WithReplica("b"), breaker.WithListener(heard.hear))
		defer a.close()
		defer b.close()
		a.net.delay.Store(int64(4 * time.Millisecond))
		b.net.delay.Store(int64(4 * time.Millisecond))
		ba, bb := a.register(t, "mcp"), b.register(t, "mcp")
		ctx := context.Background()
		for range 15 {
			ba.Run(ctx, fail)
			bb.Run(ctx, fail)
		}
		time.Sleep(50 * time.Millisecond)
		wantState(t, ba, breaker.Open)
		wantState(t, bb, breaker.Open)
		time.Sleep(61 * time.Second)
		for range 3 {
			t.Log(ba.Run(ctx, succeed), ba.State())
			time.Sleep(20 * time.Millisecond)
			t.Log(bb.Run(ctx, succeed), bb.State())
			time.Sleep(20 * time.Millisecond)
		}
		wantState(t, ba, breaker.Closed)
		wantState(t, bb, breaker.Closed)
		for _, e := range heard.all() {
			t.Log(e)
		}
		t.Logf("%+v", ba.Status())
		t.Logf("%+v", b.Status().Exchanges)
	})
}
