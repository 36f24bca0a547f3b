package scale

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/peers/measure"
	"github.com/commontrip/commontrip/tests/peers/page"
	"github.com/commontrip/commontrip/tests/redistest"
)

// TestTableMany: very many breakers in one Manager that nobody calls.
func TestTableMany(t *testing.T) {
	table := page.NewTable("breakers", "registered in", "heap a breaker", "Redis's memory a breaker", "idle: the Manager, of a core", "Redis, of a core", "commands/s",
		"scripts/s")
	for _, n := range measure.Pick([]int{500}, []int{1000, 10_000, 100_000}) {
		t.Run(fmt.Sprint(n), func(t *testing.T) { table.Row(many(t, n)...) })
	}
	page.Show(t, "many", "Idle: no call comes; breakers are compared with the store and give signs of life. Commands: those of scripts included.\n\n"+table.String())
}

func many(t *testing.T, n int) []string {
	t.Helper()
	srv := redistest.Start(t)
	s, err := redisstore.Open(srv.URL(), redisstore.WithTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := breaker.NewManager(s, breaker.WithTiming(breaker.Timing{StartTimeout: 5 * time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("breaker-%06d", i)
	}
	empty, before, begun := measure.ReadLoad(t, srv), heap(), time.Now()
	registerAll(t, m, names)
	took := time.Since(begun)
	weight := float64(int64(heap())-int64(before)) / float64(n)
	full := measure.ReadLoad(t, srv)
	pass(measure.Pick(100*time.Millisecond, 2*time.Second))
	load, reading := measure.ReadLoad(t, srv), measure.Read()
	pass(measure.Pick(500*time.Millisecond, 30*time.Second)) // three rounds of signs of life, one slice of the roster
	work := measure.ReadLoad(t, srv).Since(load)
	use := measure.Read().Since(reading, work.CPU)
	scripts, _ := work.Scripts()
	return []string{
		page.Number(float64(n)), page.Duration(took), page.Number(weight) + " B", page.Number((full.Memory-empty.Memory)/float64(n)) + " B",
		page.Percent(use.Own.Seconds() / use.Wall.Seconds()), page.Percent(work.Share()),
		page.Number(work.PerSecond(work.Count())), page.Number(work.PerSecond(scripts)),
	}
}

// registerAll registers from many goroutines at once, so that registrations share pipelines.
func registerAll(t *testing.T, m *breaker.Manager, names []string) {
	t.Helper()
	const workers = 500
	var registering sync.WaitGroup
	for w := range workers {
		registering.Go(func() {
			for i := w; i < len(names); i += workers {
				if _, err := m.Register(t.Context(), names[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	registering.Wait()
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
