package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/respfault"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// alphabet is what a Redis may answer instead of a reply.
var alphabet = []string{
	"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica.",
	"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
	"OOM command not allowed when used memory > 'maxmemory'.", "NOREPLICAS Not enough good replicas to write.",
	"WRONGTYPE Operation against a key holding the wrong kind of value", "BUSY Redis is busy running a script.",
	"NOPERM this user has no permissions to run the 'evalsha' command", "NOAUTH Authentication required.",
	"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
	"EXECABORT Transaction discarded because of previous errors.", "MOVED 3999 127.0.0.1:1", "ASK 3999 127.0.0.1:1",
	"TRYAGAIN Multiple keys request during rehashing of slot", "CLUSTERDOWN Hash slot not served",
	"CROSSSLOT Keys in request don't hash to the same slot", "NOSCRIPT No matching script.",
	"UNKILLABLE Sorry the script already executed write commands against the dataset.",
	"ERR max number of clients reached", "ERR unknown command 'evalsha'",
}

// In one pipeline some reports are answered with an error, the first, the second, or each third: the others count, and
// what failed counts once when it is sent again.
func TestScenario22OneReportsErrorIsItsOwn(t *testing.T) {
	scenario := scoreboard.Start(t, 22, "error alphabet: in a pipeline")
	server := redistest.Start(t)
	proxy := respfault.Start(t, server.Addr())
	s := open(t, proxy.URL())
	all, seq := names(9), uint64(0)
	reports := func() []store.Report {
		seq++
		out := make([]store.Report, len(all))
		for i, name := range all {
			out[i] = store.Report{
				Name: name, Policy: store.DefaultPolicy(), Replica: "r#1", Seq: seq, MaxAge: time.Hour,
				Runs: []store.Run{{Outcome: store.Success, Count: 1}},
			}
		}
		return out
	}
	foreign, swallowed, counted := 0, 0, 0
	for _, text := range alphabet {
		for _, hit := range []func(place int) bool{
			func(place int) bool { return place == 1 }, func(place int) bool { return place == 2 },
			func(place int) bool { return place%3 == 0 }, func(int) bool { return true },
		} {
			place := func(key string) int {
				return 1 + slices.IndexFunc(all, func(name string) bool { return strings.Contains(key, "{"+name+"}") })
			}
			proxy.On(respfault.Sync, respfault.Rule{
				Act: respfault.Refuse, Reply: respfault.Error(text), Only: func(r respfault.Request) bool { return hit(place(r.Key)) },
			})
			batch := reports()
			for i, r := range s.Sync(t.Context(), batch) {
				switch {
				case hit(i+1) && (r.Err == nil || isWord(r.Err)):
					swallowed++
				case !hit(i+1) && r.Err != nil:
					foreign++
				}
			}
			proxy.Heal()
			for _, r := range s.Sync(t.Context(), batch) {
				if r.Err != nil || r.Snapshot.Totals.Calls != seq {
					counted++
				}
			}
		}
	}
	scenario.AtLeast("errors", len(alphabet), 16)
	scenario.Zero("reports that failed by another's error", foreign)
	scenario.Zero("errors swallowed, or taken for the store's word", swallowed)
	scenario.Zero("reports lost or counted twice", counted)
}

// isWord: an error that means that the request was wrong, which none of these is.
func isWord(err error) bool {
	return errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrClosed)
}

// errLeftOut stands for a breaker of which Versions says nothing, since it cannot read it: the report that follows fails.
var errLeftOut = errors.New("left out")

// asked are the methods of a store by their verbs.
func asked(ctx context.Context, s store.Store, name string) map[respfault.Verb]func() error {
	policy := store.DefaultPolicy()
	return map[respfault.Verb]func() error{
		respfault.Sync: func() error {
			return s.Sync(ctx, []store.Report{{Name: name, Policy: policy, Replica: "r#1", MaxAge: time.Second}})[0].Err
		},
		respfault.Claim: func() error {
			_, err := s.Claim(ctx, store.Claim{Name: name, ID: "1", Policy: policy, Replica: "r#1", Want: 1})
			return err
		},
		respfault.Settle: func() error {
			_, err := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: name, ID: "1.1"}, Replica: "r#1", Outcome: store.Success})
			return err
		},
		respfault.Command: func() error {
			_, err := s.Command(ctx, store.Command{Name: name, Action: store.Lift, By: "oncall"})
			return err
		},
		respfault.Remove: func() error { return s.Remove(ctx, "nobody-has-it") },
		respfault.Read:   func() error { _, err := s.Read(ctx, name); return err },
		respfault.Versions: func() error {
			versions, err := s.Versions(ctx, name)
			if err == nil && len(versions) == 0 {
				err = errLeftOut
			}
			return err
		},
		respfault.Roster:  func() error { _, err := s.Roster(ctx, name); return err },
		respfault.History: func() error { _, err := s.History(ctx, name, 3); return err },
	}
}

// Each error is the answer to each verb of one replica; the last replica has none. Then each is the answer to everything
// for longer than StaleAfter.
func TestScenario22EachErrorOfEachVerb(t *testing.T) {
	scenario := scoreboard.Start(t, 22, "error alphabet: each error of each verb")
	policy := store.Policy{ConsecutiveFailures: 3, OpenFor: time.Minute, Probes: 40, ProbeSuccesses: 60, ProbeLease: time.Second}
	h := newHarness(t, scenario, plan{replicas: len(alphabet) + 1, names: names(3), policy: policy})
	sick, well := h.fleet[:len(alphabet)], h.fleet[len(alphabet)]
	h.load(100 * time.Millisecond)
	swallowed, converged := h.answerEach(sick), time.Duration(0)
	verbs := []respfault.Verb{
		respfault.Sync, respfault.Versions, respfault.Claim, respfault.Settle, respfault.Command, respfault.Read,
		respfault.History, respfault.Watch,
	}
	for _, verb := range verbs {
		for i, r := range sick {
			r.proxy.On(verb, respfault.Rule{Act: respfault.Refuse, Reply: respfault.Error(alphabet[i])})
		}
		h.provoke(verb, sick)
		h.heal()
		converged = max(converged, h.converge())
	}
	lost := h.blackOut(sick)
	scenario.AtLeast("errors", len(sick), 16)
	scenario.AtLeast("verbs under traffic", len(verbs), 8)
	scenario.Zero("errors swallowed, or taken for the store's word", swallowed)
	scenario.Zero("losses of the store told more or less than once", lost)
	scenario.Report("failed exchanges of the replica without any", int(well.Manager.Status().ExchangeErrors))
	scenario.Zero("wrong verdicts", h.unasked())
	scenario.Within("converged", converged, 2*refresh)
	h.promised()
}

// answerEach asks every verb of every proxy that answers it with its error, and counts those that come back without one.
func (h *harness) answerEach(sick []*onWire) (swallowed int) {
	for i, r := range sick {
		for verb, ask := range asked(h.t.Context(), r.store, h.names[0]) {
			r.proxy.On(verb, respfault.Rule{Act: respfault.Refuse, Reply: respfault.Error(alphabet[i])})
			if err := ask(); err == nil || isWord(err) {
				swallowed++
				h.t.Logf("%s answered by %s: %v", verb, alphabet[i], err)
			}
			r.proxy.Off(verb)
		}
	}
	return swallowed
}

// provoke does what makes every one of these replicas send the verb twice.
func (h *harness) provoke(verb respfault.Verb, sick []*onWire) {
	h.t.Helper()
	before := make([]int, len(sick))
	for i, r := range sick {
		before[i] = r.proxy.Acted(verb)
	}
	if verb == respfault.Versions { // who has something to report asks for no numbers
		h.rest()
		defer h.work()
	}
	round := 0
	h.eventually(fmt.Sprintf("all are asked for %s twice", verb), func() bool {
		round++
		if !slices.ContainsFunc(sick, func(r *onWire) bool { return r.proxy.Acted(verb) < before[slices.Index(sick, r)]+2 }) {
			return true
		}
		switch verb {
		case respfault.Claim, respfault.Settle:
			h.command(store.Command{Name: h.names[round%3], Action: store.Trip, For: time.Millisecond})
		case respfault.History:
			for _, r := range sick {
				r.proxy.Pushes(func(string) []string { return nil })
			}
			h.command(store.Command{Name: h.names[0], Action: store.Trip})
			h.command(store.Command{Name: h.names[0], Action: store.Reset})
		case respfault.Watch:
			for _, r := range sick {
				r.proxy.Sever(respfault.Close)
			}
		}
		for _, r := range sick {
			switch verb {
			case respfault.Command:
				if _, err := r.Manager.Command(h.t.Context(), breaker.Command{Name: h.names[0], Action: breaker.Lift, By: "oncall"}); err == nil {
					h.t.Errorf("%s: a command that was refused is no error", r.Name)
				}
			case respfault.Read:
				if _, err := r.Manager.Snapshots(h.t.Context()); err == nil {
					h.t.Errorf("%s: snapshots that were refused are no error", r.Name)
				}
			}
		}
		pass(100 * time.Millisecond)
		return false
	})
}

// blackOut answers everything with errors until every replica stands on its own verdict, one breaker being forced open,
// and heals; it counts the replicas that do not tell the loss and the end of it once.
func (h *harness) blackOut(sick []*onWire) (wrong int) {
	h.t.Helper()
	forced := h.names[2]
	h.reach(h.command(store.Command{Name: forced, Action: store.ForceOpen}))
	reached := h.reached(forced)
	told := func(r *onWire, kind breaker.EventKind, name string) int {
		return r.Count(func(e breaker.Event) bool { return e.Kind == kind && e.Name == name })
	}
	lost, returned := make([]int, len(sick)), make([]int, len(sick))
	for i, r := range sick {
		lost[i], returned[i] = told(r, breaker.StoreLost, ""), told(r, breaker.StoreBack, "")
		r.proxy.On(respfault.Any, respfault.Rule{Act: respfault.Refuse, Reply: respfault.Error(alphabet[i])})
	}
	for _, r := range sick {
		h.eventually(r.Name+" says that the store is away", func() bool {
			return !r.Manager.Status().StoreUp && r.Breaker(h.names[0]).Status().Verdict == breaker.Own
		})
	}
	pass(time.Second)
	h.heal()
	h.scenario.Within("converged after more than StaleAfter", h.converge(), 2*refresh)
	h.scenario.Zero("calls through a breaker that is forced open", h.reached(forced)-reached)
	for i, r := range sick {
		if !await.Met(func() bool { return told(r, breaker.StoreBack, "") > returned[i] }) || told(r, breaker.StoreLost, "") != lost[i]+1 {
			wrong++
			h.t.Logf("%s, answered %s: lost %d times", r.Name, alphabet[i], told(r, breaker.StoreLost, "")-lost[i])
		}
	}
	return wrong
}

// unasked counts what the store did that neither an operator nor time nor good probes asked for: the tier is well.
func (h *harness) unasked() (n int) {
	h.t.Helper()
	for _, name := range h.names {
		history, err := h.truth.History(h.t.Context(), name, 50)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, entry := range history {
			if entry.Reason != store.ByOperator && entry.Reason != store.ByTime && entry.Reason != store.ByProbeSuccesses && entry.Reason != store.ByRepair {
				n++
				h.t.Logf("%s: %+v", name, entry)
			}
		}
	}
	return n
}

// ailment is a state of a real server in which it answers with an error.
type ailment struct {
	code    string
	said    string // in the client's error
	on, off [][]any
}

func ailments() []ailment {
	return []ailment{
		{"READONLY", "READONLY", [][]any{{"replicaof", "127.0.0.1", "1"}}, [][]any{{"replicaof", "no", "one"}}},
		{"MASTERDOWN", "MASTERDOWN", [][]any{{"config", "set", "replica-serve-stale-data", "no"}, {"replicaof", "127.0.0.1", "1"}}, [][]any{{"replicaof", "no", "one"}}},
		{"OOM", "OOM", [][]any{{"config", "set", "maxmemory", "1"}}, [][]any{{"config", "set", "maxmemory", "0"}}},
		{"NOREPLICAS", "NOREPLICAS", [][]any{{"config", "set", "min-replicas-to-write", "1"}}, [][]any{{"config", "set", "min-replicas-to-write", "0"}}},
		{"NOPERM", "NOPERM", [][]any{{"acl", "setuser", "fleet", "-evalsha", "-eval"}}, [][]any{{"acl", "setuser", "fleet", "+evalsha", "+eval"}}},
		{"WRONGTYPE", "WRONGTYPE", [][]any{{"del", key("tier-0")}, {"set", key("tier-0"), "by something else"}}, [][]any{{"del", key("tier-0")}}},
		{"WRONGPASS", "WRONGPASS", [][]any{{"acl", "setuser", "fleet", "off"}, {"client", "kill", "user", "fleet"}}, [][]any{{"acl", "setuser", "fleet", "on"}}},
		{"maxclients", "redisstore", [][]any{{"config", "set", "maxclients", "1"}, {"client", "kill", "user", "fleet"}}, [][]any{{"config", "set", "maxclients", "1000"}}},
	}
}

// A real server answers with errors since it is in such a state.
func TestScenario22ARealServerAnswersWithErrors(t *testing.T) {
	scenario := scoreboard.Start(t, 22, "error alphabet: a real server's own")
	server := redistest.Start(t, "--busy-reply-threshold", "1", "--enable-protected-configs", "yes", "--save", "3600 100000000")
	if got, err := server.Command("ACL", "SETUSER", "fleet", "on", ">secret", "~*", "&*", "+@all"); got != "+OK" {
		t.Fatal(got, err)
	}
	h := newHarness(t, scenario, plan{server: server, replicas: 2, names: names(3), policy: calm, user: "fleet:secret@"})
	h.load(20 * time.Millisecond)
	converged, codes := time.Duration(0), []string{}
	cycle := func(code, said string, on, off func()) {
		t.Helper()
		on()
		for _, r := range h.fleet {
			h.eventually(r.Name+" is answered "+code, func() bool {
				_, err := r.store.Command(t.Context(), store.Command{Name: h.names[0], Action: store.Lift, By: "oncall"})
				return err != nil && strings.Contains(err.Error(), said)
			})
		}
		pass(200 * time.Millisecond)
		off()
		converged, codes = max(converged, h.converge()), append(codes, code)
	}
	all := func(commands [][]any) func() {
		return func() {
			for _, c := range commands {
				h.do(c...)
			}
		}
	}
	for _, a := range ailments() {
		cycle(a.code, a.said, all(a.on), all(a.off))
	}
	done := make(chan struct{})
	cycle("BUSY", "BUSY", func() {
		endless := redisClient(t, server)
		go func() {
			defer close(done)
			endless.Eval(context.Background(), "while true do end", nil)
		}()
	}, func() { h.do("script", "kill"); <-done })
	gone := t.TempDir() + "/gone"
	cycle("MISCONF", "MISCONF", func() {
		if err := os.Mkdir(gone, 0o700); err != nil {
			t.Fatal(err)
		}
		h.do("config", "set", "dir", gone)
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		h.do("bgsave")
	}, func() { h.do("config", "set", "dir", server.Dir()); h.do("config", "set", "save", "") })
	scenario.AtLeast("connections refused by maxclients", h.infoInt("stats", "rejected_connections"), 1)
	scenario.Report("states", strings.Join(codes, ", "))
	scenario.AtLeast("states", len(codes), 10)
	scenario.Zero("wrong verdicts", h.unasked())
	scenario.Within("converged", converged, 2*refresh)
	h.promised()
}

// A server that loads its data, and one whose slots are not served.
func TestScenario22LoadingAndClusterDown(t *testing.T) {
	scenario := scoreboard.Start(t, 22, "error alphabet: loading, slots not served")
	server := redistest.Start(t, "--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024")
	h := newHarness(t, scenario, plan{server: server, replicas: 2, names: names(3), policy: calm})
	h.load(20 * time.Millisecond)
	h.reach(h.command(store.Command{Name: h.names[0], Action: store.ForceOpen}))
	h.do("eval", "for i = 1, 3000 do redis.call('set', 'k' .. i, string.rep('x', 100)) end return 1", 0)
	h.do("save")
	reached := h.reached(h.names[0])
	loading := make(chan bool, 1)
	go func() {
		loading <- await.Met(func() bool {
			_, err := h.fleet[0].store.Versions(context.Background(), h.names[0])
			return err != nil && strings.Contains(err.Error(), "LOADING")
		})
	}()
	server.Restart()
	if !<-loading {
		t.Error("no LOADING was seen")
	}
	scenario.Within("converged after LOADING", h.converge(), 2*refresh)
	scenario.Zero("calls through a breaker that is forced open", h.reached(h.names[0])-reached)
	h.promised()

	slots := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
	if got, err := slots.Command("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); got != "+OK" {
		t.Fatal(got, err)
	}
	served := func() bool {
		info, _ := slots.Text("CLUSTER", "INFO")
		return strings.Contains(info, "cluster_state:ok")
	}
	h.eventually("the slots are served", served)
	c := newHarness(t, scenario, plan{server: slots, replicas: 2, names: names(3), policy: calm})
	c.load(20 * time.Millisecond)
	c.do("cluster", "delslotsrange", 0, 16383)
	for _, r := range c.fleet {
		c.eventually(r.Name+" is answered CLUSTERDOWN", func() bool {
			_, err := r.store.Versions(t.Context(), c.names[0])
			return err != nil && strings.Contains(err.Error(), "CLUSTERDOWN")
		})
	}
	c.do("cluster", "addslotsrange", 0, 16383)
	h.eventually("the slots are served again", served) // a node waits a while before it serves again
	scenario.Within("converged after CLUSTERDOWN", c.converge(), 2*refresh)
	scenario.Zero("wrong verdicts", h.unasked()+c.unasked())
	c.promised()
}
