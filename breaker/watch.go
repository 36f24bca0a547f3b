package breaker

import (
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/store"
)

// watch is the goroutine of a Manager that hears the store's pushes. A watch that ends is begun again, after full jitter.
func (m *Manager) watch() {
	r := m.reporter
	defer r.running.Done()
	for fails := 0; ; fails++ {
		began := uptime()
		_ = m.core.store.Watch(r.ctx, m.push)
		if uptime()-began > 10*time.Second {
			fails = 0
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(backoffOfWatch(fails)):
		}
	}
}

func backoffOfWatch(fails int) time.Duration {
	return 10*time.Millisecond + rand.N(min(50*time.Millisecond<<min(fails, 6), time.Second))
}

// push takes over what a store pushed. After a gap every breaker is compared.
func (m *Manager) push(e store.Event) {
	if e.Resync {
		m.reporter.stats.resynced()
		for _, l := range m.reporter.laneList() {
			l.compareAll()
		}
		return
	}
	if b, ok := m.Breaker(e.Transition.Name); ok {
		b.takeNews(&reply{news: news{transition: &e.Transition, after: &e.Snapshot, pushed: true}})
		b.requestGap()
	}
}
