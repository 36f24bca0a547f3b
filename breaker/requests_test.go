package breaker_test

import (
	"context"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// stranger is a first report of a replica that knows nothing, straight to the store.
func (f *fleet) stranger(name string, p breaker.Policy) {
	f.t.Helper()
	r := store.Report{Name: name, Policy: p, Replica: "stranger#1", Seq: 1}
	if err := f.now.Load().Sync(context.Background(), []store.Report{r})[0].Err; err != nil {
		f.t.Fatal(err)
	}
}

func TestACommandAfterALossKeepsTheForceThatItsReplicaKnows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replica(breaker.WithPolicy(streak))
		defer r.close()
		b := r.register(t, "tier")
		if _, err := b.Command(t.Context(), breaker.Command{Action: breaker.ForceOpen, For: time.Hour, By: "oncall", Why: "INC-42"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		f.wipe()
		f.stranger("tier", streak)
		tuned := streak
		tuned.OpenFor = 7 * time.Second
		s, err := b.Command(t.Context(), breaker.Command{Action: breaker.Retune, Policy: tuned, By: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if s.Mode != store.ForcedOpen || s.ModeNote.Why != "INC-42" || s.Policy.OpenFor != 7*time.Second {
			t.Fatalf("after a retune the store says %+v", s)
		}
		wantState(t, b, breaker.Open)
	})
}
