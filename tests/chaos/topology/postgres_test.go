package topology

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/fleet"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

// startPostgres starts a server with the tables, whose commits are on disk before they are acknowledged.
func startPostgres(t *testing.T, settings ...string) *postgrestest.Server {
	t.Helper()
	srv := postgrestest.Start(t, append([]string{"synchronous_commit = on", "deadlock_timeout = 100ms"}, settings...)...)
	if _, _, err := postgresstore.Migrate(context.Background(), srv.URL()); err != nil {
		t.Fatal(err)
	}
	return srv
}

// openPostgres is a store that ends with its test. It looks on, and is not what is attacked.
func openPostgres(t *testing.T, url string) store.Store {
	t.Helper()
	s, err := postgresstore.Open(url, postgresstore.WithTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// siege is a fleet whose store is attacked: a tier that is well, one that tripped and one that an operator forced open. The last two
// stay so, whatever happens to the store.
type siege struct {
	t                        *testing.T
	fleet                    *fleet.Fleet
	truth                    store.Store
	counted, tripped, forced *fleet.Tier
	known                    map[string]store.Snapshot // before the attack
	took                     time.Duration             // the longest until all held one view again
	forgotten                int
}

// besiege starts four replicas on a URL. They call as long as the test.
func besiege(t *testing.T, url, truth string, options ...postgresstore.Option) *siege {
	t.Helper()
	s := &siege{t: t, truth: openPostgres(t, truth)}
	s.fleet = fleet.New(t, 4, func(int) (store.Store, error) { return postgresstore.Open(url, options...) }, nil)
	s.counted = s.fleet.Register("counted", store.DefaultPolicy())
	long := store.Policy{ConsecutiveFailures: 3, OpenFor: time.Hour}
	s.tripped, s.forced = s.fleet.Register("tripped", long), s.fleet.Register("forced", long)
	s.fleet.Replicas[0].Command(t, store.Command{Name: "tripped", Action: store.Trip})
	s.fleet.Replicas[0].Command(t, store.Command{Name: "forced", Action: store.ForceOpen})
	_, s.known = s.fleet.Converge(s.truth)
	return s
}

// work lets all replicas call all tiers until rest is called.
func (s *siege) work() (rest func()) {
	return fleet.Work(s.fleet.Replicas, 10*time.Millisecond, "counted", "tripped", "forced")
}

// alone waits until all replicas say that they stand on their own verdict.
func (s *siege) alone() {
	s.t.Helper()
	await.Eventually(s.t, "all stand alone", func() string {
		if n := s.claiming(); n > 0 {
			return fmt.Sprintf("%d do not", n)
		}
		return ""
	})
}

// claiming counts the replicas that claim that the store answers, or that the fleet's verdict rules. An operator's mode always does.
func (s *siege) claiming() (n int) {
	for _, r := range s.fleet.Replicas {
		if r.Manager.Status().StoreUp || r.Breaker("counted").Status().Verdict == breaker.Fleet {
			n++
		}
	}
	return n
}

// healed waits until all hold one view again, which is not older than before.
func (s *siege) healed() {
	s.t.Helper()
	took, held := s.fleet.Converge(s.truth)
	s.took = max(s.took, took)
	if now := held["tripped"]; now.State != store.Open || now.Generation < s.known["tripped"].Generation {
		s.forgotten++
	}
	if now := held["forced"]; now.Mode != store.ForcedOpen || now.Rev < s.known["forced"].Rev {
		s.forgotten++
	}
	s.known = held
}

// tally holds the fleet to what no attack may break. Of the outcomes that were acknowledged as many may be lost as are given.
func (s *siege) tally(scenario *scoreboard.Scenario, what string, mayLose int) {
	s.t.Helper()
	var p partitions
	twice, vanished := p.account(s.t, s.fleet, s.counted, s.truth)
	scenario.Zero(what+"trips and commands forgotten", s.forgotten)
	scenario.Zero(what+"calls through open breakers", s.tripped.Count().Calls+s.forced.Count().Calls)
	scenario.Zero(what+"outcomes counted twice", twice)
	scenario.AtMost(what+"acknowledged outcomes lost", vanished, mayLose)
	scenario.Report(what+"outcomes that became too old", p.lost)
	scenario.Report(what+"calls to the tier", s.counted.Count().Calls)
	scenario.Within(what+"until all hold one view", s.took, 2*fleet.Refresh)
	s.fleet.Tally(scenario)
}

func TestScenario07PostgreSQLIsKilledUnderLoad(t *testing.T) {
	scenario := scoreboard.Start(t, 7, "kill -9 PostgreSQL")
	srv := startPostgres(t)
	way := NewRelay(t, srv.Addr())
	s := besiege(t, srv.TCPURL(way.Addr()), srv.URL())
	moments := []relay.Way{0, relay.Requests, relay.Replies} // nothing is cut, requests are on their way, replies are
	rng := scenario.Rand()
	for _, held := range moments[:scoreboard.Pick(scenario, 1, len(moments))] {
		for range scoreboard.Pick(scenario, 1, 5) {
			for _, kill := range []func(){srv.KillBackends, func() { srv.Kill(); srv.Restart() }} {
				rest := s.work()
				pause(200*time.Millisecond + time.Duration(rng.IntN(100))*time.Millisecond)
				way.Hold(held)
				pause(time.Duration(rng.IntN(20)) * time.Millisecond)
				kill()
				way.Hold(0)
				rest()
				s.healed()
			}
		}
	}
	s.tally(scenario, "", 0)
}

func TestScenario10PostgreSQLStandsStillUnderLoad(t *testing.T) {
	scenario := scoreboard.Start(t, 10, "hung PostgreSQL")
	srv := startPostgres(t)
	s := besiege(t, srv.TCPURL(srv.Addr()), srv.URL())
	rest := s.work()
	pause(200 * time.Millisecond)
	srv.Stop()
	s.alone()
	before := s.counted.Count().Calls
	pause(scoreboard.Pick(scenario, time.Second, 10*time.Second))
	scenario.AtLeast("calls to the tier while PostgreSQL stands still", s.counted.Count().Calls-before, 20)
	scenario.Zero("replicas that claim the fleet's verdict", s.claiming())
	srv.Cont()
	s.healed()
	rest()
	s.tally(scenario, "", 0)
}

// slowness of a server that is there and of little use.
type slowness struct {
	name   string
	begin  func()
	end    func()
	pushes bool // a command is carried out meanwhile, and pushed
}

func TestScenario11PostgreSQLIsSlowOrSaturated(t *testing.T) {
	scenario := scoreboard.Start(t, 11, "slow or saturated PostgreSQL")
	srv := startPostgres(t, "fsync = on", "commit_siblings = 0") // a delay of commits needs both
	standby := srv.Standby("second")
	s := besiege(t, srv.TCPURL(srv.Addr()), srv.URL())
	lock, admin := client(t, srv.URL()), client(t, srv.SocketURL("postgres", "template1"))
	set := func(setting string) func() {
		return func() { run(t, admin, "ALTER SYSTEM "+setting, "SELECT pg_reload_conf()") }
	}
	for _, slow := range []slowness{
		{"commits 100 ms late", set("SET commit_delay = 100000"), set("RESET commit_delay"), true},
		{
			"the standby that commits wait for stands still",
			func() { standby.Stop(); set("SET synchronous_standby_names = 'second'")() },
			func() { standby.Cont(); set("RESET synchronous_standby_names")() }, false,
		},
		{
			"a table locked by somebody else",
			func() { run(t, lock, "BEGIN", "LOCK TABLE commontrip.breakers IN ACCESS EXCLUSIVE MODE") },
			func() { run(t, lock, "ROLLBACK") }, false,
		},
		{
			"logins refused", func() {
				run(t, admin, "ALTER DATABASE postgres ALLOW_CONNECTIONS false",
					"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'")
			},
			func() { run(t, admin, "ALTER DATABASE postgres ALLOW_CONNECTIONS true") }, false,
		},
	} {
		s.slow(scenario, slow)
	}
	s.tally(scenario, "", 0)
}

// slow plays one slowness under load, with a command in it if it lets one through.
func (s *siege) slow(scenario *scoreboard.Scenario, slow slowness) {
	s.t.Helper()
	rest := s.work()
	slow.begin()
	began := time.Now()
	if slow.pushes {
		asked := time.Now()
		order := s.fleet.Replicas[0].Command(s.t, store.Command{Name: "forced", Action: store.ForceOpen})
		fleet.All(s.t, "all know of a command, "+slow.name, s.fleet.Replicas, "forced", func(b breaker.Status) bool {
			return b.Fleet.Rev >= order.Rev
		})
		scenario.Within(slow.name+": command until all know of it", time.Since(asked), time.Second)
	}
	pause(scoreboard.Pick(scenario, time.Second, 10*time.Second) - time.Since(began))
	scenario.Report(slow.name+": of 4 replicas stand alone", 4-s.claiming())
	slow.end()
	rest()
	s.healed()
}

// client is a connection that ends with its test.
func client(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.Exec(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// The primary dies, and its standby is promoted. Clients know both, and look for the one that takes writes.
func TestScenario15AFailoverOfPostgreSQL(t *testing.T) {
	scenario := scoreboard.Start(t, 15, "failover of PostgreSQL")
	for range scoreboard.Pick(scenario, 1, 5) {
		failOver(t, scenario, "synchronous standby: ", true)
		failOver(t, scenario, "asynchronous standby: ", false)
	}
}

func failOver(t *testing.T, scenario *scoreboard.Scenario, what string, synchronous bool) {
	t.Helper()
	primary := startPostgres(t)
	standby := primary.Standby("second")
	if synchronous {
		primary.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = 'second'")
		primary.Exec(t, "SELECT pg_reload_conf()")
	}
	both := primary.TCPURL(primary.Addr()+","+standby.Addr()) + "&target_session_attrs=read-write"
	s := besiege(t, both, both)
	rest := s.work()
	pause(300 * time.Millisecond)
	alone := 0
	if synchronous {
		standby.Detach() // the primary commits on its own disk, and must acknowledge nothing
		pause(700 * time.Millisecond)
		primary.Kill()
	} else {
		rest()
		before := s.onlyOnThePrimary(standby)
		rest = s.work()
		primary.Kill()
		alone = s.counted.Count().Calls - before
	}
	standby.Promote()
	promoted := time.Now()
	s.healed()
	scenario.Within(what+"promotion until all hold one view", time.Since(promoted), 2*fleet.Refresh)
	rest()
	s.tally(scenario, what, alone)
}

// onlyOnThePrimary detaches the standby and lets the primary acknowledge outcomes, a trip and a command that the standby will
// not have. It gives how many calls were made before.
func (s *siege) onlyOnThePrimary(standby *postgrestest.Server) (before int) {
	s.t.Helper()
	reported := func(b breaker.Status) bool { return b.Pending == 0 }
	fleet.All(s.t, "all have reported", s.fleet.Replicas, "counted", reported)
	before = s.counted.Count().Calls
	standby.Detach()
	call(s.fleet.Replicas, "counted", 50)
	first := s.fleet.Replicas[0]
	first.Command(s.t, store.Command{Name: "tripped", Action: store.Reset})
	first.Command(s.t, store.Command{Name: "tripped", Action: store.Trip})
	first.Command(s.t, store.Command{Name: "forced", Action: store.ForceOpen})
	fleet.All(s.t, "all have reported", s.fleet.Replicas, "counted", reported)
	_, s.known = s.fleet.Converge(s.truth)
	return before
}

func TestScenario19HalfOfAFleetIsCutOffFromPostgreSQL(t *testing.T) {
	scenario := scoreboard.Start(t, 19, "partition before PostgreSQL")
	srv := startPostgres(t)
	way := NewRelay(t, srv.Addr())
	Partitions(t, scenario, Divided{
		Near:   func() (store.Store, error) { return postgresstore.Open(srv.URL()) },
		Remote: func() (store.Store, error) { return postgresstore.Open(srv.TCPURL(way.Addr())) },
		Cut:    way.Hold,
	}, scoreboard.Pick(scenario, []relay.Way{relay.Both}, []relay.Way{relay.Both, relay.Requests, relay.Replies}), scoreboard.Pick(scenario, 0, 10))
}
