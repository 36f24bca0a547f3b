package tier

import (
	"context"
	"errors"
	"net/http"
	"testing"
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

func TestATierIsCalledOverHTTPAsInProcess(t *testing.T) {
	var tier Tier
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	remote := Over(&http.Client{Transport: transport}, tier.Serve(t))
	by := Caller{Replica: "web 1#&", Generation: 7, Probe: true}
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
	remote := Over(&http.Client{Transport: transport}, tier.Serve(t))
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
