package tier

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/tests/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheLedgerCountsWhatRunsAtOnce(t *testing.T) {
	base := time.Unix(1000, 0)
	at := func(seconds int) time.Time { return base.Add(time.Duration(seconds) * time.Second) }
	ledger := Ledger{
		{Caller: Caller{Replica: "a", Probe: true}, Start: at(0), End: at(2)},
		{Caller: Caller{Replica: "b", Probe: true}, Start: at(1), End: at(3)},
		{Caller: Caller{Replica: "a"}, Start: at(1), End: at(4), Failed: true},
		{Caller: Caller{Replica: "a", Probe: true}, Start: at(3)}, // starts as b's ends, and runs on
	}
	if n := ledger.MostAtOnce(); n != 3 {
		t.Errorf("%d calls at once, want 3", n)
	}
	if n := ledger.Probes().MostAtOnce(); n != 2 {
		t.Errorf("%d probes at once, want 2", n)
	}
	if n := len(ledger.Of("a").Since(at(1))); n != 2 {
		t.Errorf("a made %d calls from second 1 on, want 2", n)
	}
	if n := len(ledger.Failed()); n != 1 {
		t.Errorf("%d calls failed, want 1", n)
	}
}

func serve(t *testing.T, tier *Tier) *Server {
	t.Helper()
	s, err := tier.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestATierIsCalledOverHTTPAsInProcess(t *testing.T) {
	var tier Tier
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	remote := Over(&http.Client{Transport: transport}, serve(t, &tier).URL())
	by := Caller{Door: "rest", Replica: "web 1#&", Generation: 7, Probe: true, Own: true}
	for name, call := range map[string]Func{"in process": tier.Call, "over HTTP": remote} {
		tier.Fail(0)
		if err := call(t.Context(), by); err != nil {
			t.Errorf("%s a call of a well tier gives %v", name, err)
		}
		tier.Fail(1)
		if err := call(t.Context(), by); !errors.Is(err, ErrDown) {
			t.Errorf("%s a call of a dead tier gives %v", name, err)
		}
	}
	ledger := tier.Ledger()
	if len(ledger) != 4 || len(ledger.Failed()) != 2 || len(ledger.Of(by.Replica).Probes()) != 4 {
		t.Errorf("the ledger is %+v", ledger)
	}
	for _, c := range ledger {
		if c.Caller != by || c.End.Before(c.Start) {
			t.Errorf("the ledger has %+v of %+v", c, by)
		}
	}
}

// A caller that is killed frees its place: its call ends with its connection.
func TestACallEndsWithItsCaller(t *testing.T) {
	var tier Tier
	tier.Slow(time.Hour)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	remote := Over(&http.Client{Transport: transport}, serve(t, &tier).URL())
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- remote(ctx, Caller{Replica: "a"}) }()
	await.Until(t, "the call comes", func() bool { return len(tier.Ledger()) > 0 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the call gave %v", err)
	}
	await.Until(t, "the call ends with its caller", func() bool { return !tier.Ledger()[0].End.IsZero() })
}

func TestATierCountsByDoorWithAndWithoutALedger(t *testing.T) {
	for _, countsOnly := range []bool{false, true} {
		tier := Tier{CountsOnly: countsOnly}
		call := func(by Caller) { _ = tier.Call(t.Context(), by) }
		call(Caller{Door: "a"})
		call(Caller{Door: "a", Probe: true})
		tier.Fail(1)
		call(Caller{Door: "a"})
		tier.Fail(0)
		call(Caller{Door: "b", Probe: true, Own: true})
		want := map[string]Count{"a": {Calls: 3, Failed: 1, Dead: 1, Probes: 1}, "b": {Calls: 1, OwnProbes: 1}}
		if got := tier.Counts(); !maps.Equal(got, want) {
			t.Errorf("counts only: %v: counts %+v, want %+v", countsOnly, got, want)
		}
		if got := tier.Count(); got != (Count{Calls: 4, Failed: 1, Dead: 1, Probes: 1, OwnProbes: 1}) {
			t.Errorf("counts only: %v: all are %+v", countsOnly, got)
		}
		if kept := len(tier.Ledger()); countsOnly != (kept == 0) {
			t.Errorf("counts only: %v: the ledger has %d calls", countsOnly, kept)
		}
	}
}

func TestATierIsSlowAndHangsAndDrawsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tier Tier
		var calling sync.WaitGroup
		call := func(draw float64, want error, least, most time.Duration) {
			calling.Go(func() {
				start := time.Now()
				err := tier.CallDrawn(t.Context(), Caller{Probe: true}, draw)
				if took := time.Since(start); !errors.Is(err, want) || took < least || took > most {
					t.Errorf("a call with draw %v gave %v after %v, want %v after %v to %v", draw, err, took, want, least, most)
				}
			})
			synctest.Wait()
		}
		call(0, nil, 0, 0)
		tier.Fail(0.25)
		call(0.24, ErrDown, 0, 0)
		call(0.25, nil, 0, 0)
		tier.Latency(time.Second, 3*time.Second)
		call(1, nil, time.Second, 3*time.Second)
		tier.Slow(0)
		tier.Hang(true)
		tier.Hang(true) // as it was
		call(1, nil, time.Minute, time.Minute)
		if most := tier.MostProbes(); most != 2 {
			t.Errorf("%d probes at once, want 2", most)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := tier.Call(ctx, Caller{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call of a tier that hangs gave %v", err)
		}
		time.Sleep(59 * time.Second)
		tier.Hang(false)
		calling.Wait()
		if dead := tier.Count().Dead; dead != 2 {
			t.Errorf("%d calls came while it hung, want 2", dead)
		}
	})
}

func TestATierRefusesConnectionsAndComesBackWhereItWas(t *testing.T) {
	var tier Tier
	s := serve(t, &tier)
	at := s.URL()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	remote := Over(&http.Client{Transport: transport}, at)
	s.Refuse()
	s.Refuse()
	if err := remote(t.Context(), Caller{}); err == nil || errors.Is(err, ErrDown) {
		t.Errorf("a call of a tier that refuses connections gave %v", err)
	}
	if err := errors.Join(s.Accept(), s.Accept()); err != nil || s.URL() != at {
		t.Fatalf("%v at %s", err, s.URL())
	}
	if err := remote(t.Context(), Caller{}); err != nil {
		t.Errorf("a call of a tier that accepts again gave %v", err)
	}
}
