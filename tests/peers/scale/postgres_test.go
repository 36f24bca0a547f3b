package scale

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

// TestTablePostgres: what a fleet at steady traffic costs one PostgreSQL, and how fast it is there.
func TestTablePostgres(t *testing.T) {
	table := page.NewTable("commits", "replicas", "calls/s", "commits/s", "WAL", "PostgreSQL, of a core", "replicas, of a core", "push p50", "the last",
		"dead tier known to all", "calls burnt", "others")
	replicas := measure.Pick(3, 20)
	for _, c := range []struct {
		name    string
		options []postgresstore.Option
	}{
		{"wait for the disk", nil},
		{"do not wait", []postgresstore.Option{postgresstore.WithAsyncCommit()}},
	} {
		t.Run(c.name, func(t *testing.T) { table.Row(append([]string{c.name}, postgresFleet(t, replicas, c.options)...)...) })
	}
	page.Show(t, "fleet-postgres", fmt.Sprintf("%d breakers a replica, %d calls a second through each, at random; clients and server on this machine. Others: what "+
		"processes that are no part of it used of the machine.\n\n%s", tiers, callRate, table))
}

func postgresFleet(t *testing.T, replicas int, options []postgresstore.Option) []string {
	t.Helper()
	srv := startPostgres(t)
	f := newFleet(t, onPostgres(srv, 10*time.Second, options...), replicas, tiers, store.Policy{})
	f.run(1)
	pass(measure.Pick(200*time.Millisecond, 4*time.Second))
	before, cpu, reading, calls := counters(t, srv), measure.ProcessCPU(srv.Processes()), measure.Read(), f.calls.Load()
	pass(measure.Pick(500*time.Millisecond, 15*time.Second))
	spent := measure.ProcessCPU(srv.Processes()) - cpu
	use := measure.Read().Since(reading, spent)
	rate := func(n float64) float64 { return n / use.Wall.Seconds() }
	made, after := float64(f.calls.Load()-calls), counters(t, srv)
	var push []float64
	for i := range pushes() {
		push = append(push, f.push(t, tierName(i+1))...)
	}
	slices.Sort(push)
	f.down[0].Store(true)
	found := f.until(tierName(0), breaker.Open, time.Now())
	return []string{
		strconv.Itoa(replicas), page.Number(rate(made)), page.Number(rate(after.commits - before.commits)),
		page.Number(rate(after.wal-before.wal)/1024) + " KiB/s", page.Percent(rate(spent.Seconds())), page.Percent(rate(use.Own.Seconds())),
		seconds(measure.Quantile(push, 0.5)), last(push, replicas*pushes()), last(found, replicas), page.Number(float64(f.burnt.Load())), page.Percent(use.Noise()),
	}
}

// counters are what a server has done so far.
type serverCounters struct{ commits, wal float64 }

func counters(t *testing.T, srv *postgrestest.Server) (c serverCounters) {
	t.Helper()
	srv.Query(t, "SELECT xact_commit::float8, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 FROM pg_stat_database "+
		"WHERE datname = 'postgres'", &c.commits, &c.wal)
	return c
}
