package postgresstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
)

// BenchmarkReport is one report a step: of one replica alone, of 16 that report on one breaker at once, with a commit that
// waits for the disk and with one that does not.
func BenchmarkReport(b *testing.B) {
	srv := start(b, "fsync = on", "synchronous_commit = on", "full_page_writes = on")
	for name, options := range map[string][]postgresstore.Option{
		"waits for the disk": nil,
		"async commit":       {postgresstore.WithAsyncCommit()},
	} {
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s, %d at once", name, callers), func(b *testing.B) {
				s := srv.open(b, append(options, postgresstore.WithPrefix(fleet()), postgresstore.WithTimeout(time.Minute))...)
				var replicas atomic.Int64
				b.SetParallelism(callers)
				b.RunParallel(func(pb *testing.PB) {
					n := replicas.Add(1)
					r := store.Report{Name: "tier", Replica: fmt.Sprintf("web-%d", n), MaxAge: time.Minute, Runs: []store.Run{{Outcome: store.Success, Count: 10}}}
					for pb.Next() {
						r.Seq++
						if err := s.Sync(b.Context(), []store.Report{r})[0].Err; err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkSync100 is a Sync of 100 reports of 100 breakers: one transaction.
func BenchmarkSync100(b *testing.B) {
	s := start(b).open(b, postgresstore.WithTimeout(time.Minute))
	reports := make([]store.Report, 100)
	for i := range reports {
		reports[i] = store.Report{Name: fmt.Sprintf("tier-%d", i), Replica: "web-1", MaxAge: time.Minute, Runs: []store.Run{{Outcome: store.Success, Count: 10}}}
	}
	for b.Loop() {
		for i := range reports {
			reports[i].Seq++
		}
		for _, result := range s.Sync(b.Context(), reports) {
			if result.Err != nil {
				b.Fatal(result.Err)
			}
		}
	}
}
