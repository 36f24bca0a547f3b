package dashboard_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
)

// counted counts the names that it is asked to read.
type counted struct {
	store.Store
	all, named atomic.Int64 // reads of all, and names of the others
}

func (s *counted) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	if len(names) == 0 {
		s.all.Add(1)
	}
	s.named.Add(int64(len(names)))
	return s.Store.Read(ctx, names...)
}

// TestAFloodOfIdleNamesIsNeitherKeptNorReadEachSecond: 300 000 names of hosts that were gone once cost a page 36 000 commands a
// second and its replica 324 MB, for as long as the store kept them.
func TestAFloodOfIdleNamesIsNeitherKeptNorReadEachSecond(t *testing.T) {
	if testing.Short() {
		t.Skip("lists a thousand breakers for a minute; make test-all runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		const flood = 1200
		names := make([]string, flood)
		for i := range names {
			names[i] = fmt.Sprintf("host-%04d", i)
		}
		s := &counted{Store: seed(t, names...)}
		trip(t, s.Store, names[flood-1]) // idle, but not plainly closed
		time.Sleep(2 * time.Minute)      // no replica is on a roster any more
		report(t, s.Store, "zeta", 1, store.Run{Outcome: store.Success, Count: 3})
		p := visit(handler(t, s), nil)
		time.Sleep(3 * time.Second)
		late := visit(p.of, nil)
		synctest.Wait()
		hello := late.events("hello")[0]
		listed := map[string]bool{}
		for _, row := range hello.Rows {
			listed[row.Name] = true
		}
		if len(listed) != 1002 || !listed["zeta"] || !listed[names[flood-1]] || hello.Store.LeftOut != flood-1-1000 {
			t.Errorf("%d are listed and %d left out; want 1000 idle ones, the open one and zeta", len(listed), hello.Store.LeftOut)
		}
		s.all.Store(0)
		s.named.Store(0)
		for seq := range uint64(12) {
			report(t, s.Store, "zeta", seq+2, store.Run{Outcome: store.Success, Count: 3})
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if all, named := s.all.Load(), s.named.Load(); all > 1 || named > 13*1002 {
			t.Errorf("in 12 s all are read %d times, and %d others", all, named)
		}

		// One that is used again is listed, with its next transition at once.
		report(t, s.Store, names[1100], 2, store.Run{Outcome: store.Failure, Count: 3, Label: "503"})
		synctest.Wait()
		if told := p.events("transition"); len(told) != 1 || told[0].Rows[0].Name != names[1100] {
			t.Errorf("a transition of one that was left out: %+v", told)
		}
		report(t, s.Store, names[1101], 2, store.Run{Outcome: store.Success, Count: 3})
		time.Sleep(31 * time.Second)
		synctest.Wait()
		found := false
		for _, tick := range p.events("tick") {
			for _, row := range tick.Rows {
				found = found || row.Name == names[1101]
			}
		}
		if !found {
			t.Error("one that is used again is not listed")
		}

		// When the flood is over, all are read each second again.
		for _, name := range names[:flood-10] {
			if err := s.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(31 * time.Second)
		s.all.Store(0)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if all := s.all.Load(); all < 2 {
			t.Errorf("after the flood all are read %d times in 3 s", all)
		}
		p.leave()
		late.leave()
	})
}
