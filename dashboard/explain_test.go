package dashboard_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
)

// why is what the page was last told of why the breaker mcp is as it is.
func (p *page) why() (why explained) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.seen {
		if told, ok := one.explained["mcp"]; ok {
			why = told
		}
	}
	return why
}

// round lets a probe fail once the open time is over.
func round(t *testing.T, s store.Store, id string) {
	t.Helper()
	time.Sleep(policy.OpenFor)
	grant, err := s.Claim(t.Context(), store.Claim{Name: "mcp", ID: id, Policy: policy, Replica: "web-2#b2", Want: 1})
	if err != nil || len(grant.Leases) != 1 {
		t.Fatal(grant, err)
	}
	settled := store.Settlement{Lease: grant.Leases[0], Replica: "web-2#b2", Outcome: store.Failure, Label: "timeout"}
	if _, err := s.Settle(t.Context(), settled); err != nil {
		t.Fatal(err)
	}
}

const firstCause = "mcp opened because 3 calls in a row failed; errors: 3 x 503; seen by web-1"

// TestARowSaysWhatTrippedItAlsoOnAPageThatWasOpenedLater: the list once forgot labels and witnesses when it was loaded again.
func TestARowSaysWhatTrippedItAlsoOnAPageThatWasOpenedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "mcp", "well")
		early := visit(handler(t, s), nil)
		time.Sleep(2500 * time.Millisecond)
		began := time.Now()
		report(t, s, "mcp", 2, store.Run{Outcome: store.Failure, Count: 3, Label: "503"})
		if why := early.why(); time.Since(began) != 0 || why.Cause != firstCause || !why.Since.Equal(began.UTC()) {
			t.Errorf("with the push: %+v", why)
		}
		round(t, s, "p1")
		time.Sleep(time.Second)
		late := visit(handler(t, s), nil)
		time.Sleep(time.Second)
		for _, p := range []*page{early, late} {
			why := p.why()
			if want := began.UTC().Format("not closed since 15:04:05 UTC"); why.State != want || why.Cause != firstCause ||
				why.Latest != "mcp opened again because probes failed; errors: 1 x timeout; seen by web-2" ||
				!strings.HasPrefix(why.Next, "the first probe may go at ") {
				t.Errorf("after a round of probes: %+v; want %q", why.Explanation, want)
			}
			if _, told := p.events("tick")[0].explained["well"]; told && p.events("tick")[0].explained["well"].Explanation != (store.Explanation{}) {
				t.Error("a closed breaker is explained")
			}
		}
		order(t, s, store.Command{Action: store.Reset})
		time.Sleep(2 * time.Second)
		if why := late.why(); why.Explanation != (store.Explanation{}) {
			t.Errorf("closed again: %+v", why)
		}
		early.leave()
		late.leave()
	})
}

// TestTheFirstReadExplainsWhatIsNotClosed: nobody waits for a breaker's turn, or for the next read, to learn what is wrong.
func TestTheFirstReadExplainsWhatIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "mcp")
		r := store.Report{Name: "mcp", Policy: policy, Replica: "web-2#b2", Seq: 1, MaxAge: time.Second, OwnOpen: true}
		if err := s.Sync(t.Context(), []store.Report{r})[0].Err; err != nil {
			t.Fatal(err)
		}
		report(t, s, "mcp", 2, store.Run{Outcome: store.Failure, Count: 3, Label: "503"})
		p := visit(handler(t, &watched{Store: s, deaf: true}), nil)
		if why := p.why(); why.Cause != firstCause || why.Own != "1 of 2 replicas refuses by its own verdict: web-2" {
			t.Errorf("%+v", why)
		}
		p.leave()
	})
}

// TestAnOutageLongerThanTheHistoryKeepsItsCause: two entries a round of probes, and fifty are kept. A page that was opened after
// the 25th round was once told that the breaker was not closed since then "or earlier".
func TestAnOutageLongerThanTheHistoryKeepsItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &watched{Store: seed(t, "mcp"), deaf: true}
		p := visit(handler(t, s), nil)
		time.Sleep(2 * time.Second)
		report(t, s, "mcp", 2, store.Run{Outcome: store.Failure, Count: 3, Label: "503"})
		for i := range 40 {
			round(t, s, "p"+string(rune('0'+i)))
		}
		time.Sleep(3 * time.Second)
		if why := p.why(); why.Cause != firstCause {
			t.Errorf("who looked all the time is told %+v", why)
		}
		late := visit(handler(t, s), nil)
		time.Sleep(3 * time.Second)
		if why := late.why(); why.Cause != firstCause || strings.HasSuffix(why.State, " or earlier") {
			t.Errorf("who comes late is told %+v", why)
		}
		p.leave()
		late.leave()
	})
}

// TestAMassOutageIsExplainedInTurn: however many breakers open at once, a read asks a bounded number of histories.
func TestAMassOutageIsExplainedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := make([]string, 100)
		for i := range names {
			names[i] = "tier-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		}
		s := &histories{Store: seed(t, names...)}
		for _, name := range names {
			trip(t, s, name)
		}
		p := visit(handler(t, s), nil)
		time.Sleep(500 * time.Millisecond)
		if n := s.asked.Load(); n == 0 || n > 40 {
			t.Errorf("the first read asks %d histories", n)
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		said := map[string]string{}
		for _, tick := range p.events("tick") {
			for name, why := range tick.explained {
				said[name] = why.Cause
			}
		}
		for _, name := range names {
			if want := "oncall tripped " + name + ": test"; said[name] != want {
				t.Errorf("%s: %q; want %q", name, said[name], want)
			}
		}
		asked := s.asked.Load()
		time.Sleep(5 * time.Second)
		if again := s.asked.Load() - asked; asked != 100 || again != 0 {
			t.Errorf("%d histories were asked, and %d again though nothing happened", asked, again)
		}
		p.leave()
	})
}

// TestAPolicyThatIsNotTheFleetsIsShown: "policies differ" once said no more than that.
func TestAPolicyThatIsNotTheFleetsIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := remote{seed(t, "mcp")}
		m, err := breaker.NewManager(s, breaker.WithReplica("web-9"))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		if _, err := m.Register(t.Context(), "mcp", breaker.WithPolicy(policy)); err != nil {
			t.Fatal(err)
		}
		h := handler(t, s, dashboard.WithManager(m))
		p := visit(h, nil)
		time.Sleep(2 * time.Second)
		if why := p.why(); why.Policy != nil || why.Policies != "" {
			t.Errorf("one policy: %+v", why)
		}
		other := policy
		other.ConsecutiveFailures = 9
		r := store.Report{Name: "mcp", Policy: other, Replica: "web-3#c3", Seq: 1, MaxAge: time.Second, Announce: true}
		if err := s.Sync(t.Context(), []store.Report{r})[0].Err; err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second) // this replica has given a sign of life
		const differs = "web-9 reports another policy than the fleet's: ConsecutiveFailures 3 here, 9 agreed"
		if why := p.why(); why.Policy == nil || why.Policy.ConsecutiveFailures != 3 || why.Policies != differs {
			t.Errorf("two: %+v", why)
		}
		if got := get(h, "/api/breakers/mcp"); got.status != http.StatusOK || !strings.Contains(got.body, `"policy":{"window_calls":100`) {
			t.Errorf("the API says %s", got.body)
		}
		if got := get(h, "/api/breakers/mcp/roster"); !strings.Contains(got.body, `"differences":["ConsecutiveFailures 3 here, 9 agreed"]`) {
			t.Errorf("the API's roster is %s", got.body)
		}
		elsewhere := visit(handler(t, s), nil)
		time.Sleep(2 * time.Second)
		if why := elsewhere.why(); why.Policies != differs {
			t.Errorf("a page that no replica serves: %+v", why)
		}
		elsewhere.leave()
		order(t, s, store.Command{Action: store.Retune, Policy: store.Policy{Probes: 2}})
		time.Sleep(2 * time.Second)
		if why := p.why(); why.Policy != nil || why.Policies != differs {
			t.Errorf("under a retuned policy: %+v", why)
		}
		p.leave()
	})
}
