package breaker

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

// watcher is the Manager's goroutine that hears the store's pushes. A watch that ends is begun again, after full jitter.
func (m *Manager) watcher() {
	defer m.running.Done()
	for fails := 0; ; fails++ {
		began := uptime()
		_ = m.core.store.Watch(m.ctx, m.push)
		if uptime()-began > 10*time.Second {
			fails = 0
		}
		select {
		case <-m.ctx.Done():
			return
		case <-time.After(backoffOfWatch(fails)):
		}
	}
}

// push takes what a store pushed. After a gap every breaker is compared.
func (m *Manager) push(e store.Event) {
	if e.Resync {
		for _, l := range m.laneList() {
			l.compareAll()
		}
		m.poke()
		return
	}
	b, ok := m.Breaker(e.Transition.Name)
	if !ok {
		return
	}
	b.mu.Lock()
	if b.sound(&e.Snapshot) {
		b.apply(&e.Snapshot, 0, now())
		b.hearPush(&e.Transition)
	}
	b.mu.Unlock()
	b.catchUpSoon()
}

// compareAll lets every member wait to be compared.
func (l *lane) compareAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := uptime()
	for _, b := range l.members {
		b.wantRead = true
		l.enqueue(b, at)
	}
}
