package breaker

import (
	"errors"
	"slices"
	"time"

	"github.com/commontrip/commontrip/store"
)

// answered reports that err is a store's word, not its failure.
func answered(err error) bool {
	return err == nil || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrUnknown)
}

// count counts an exchange.
func (l *lane) count(err error) {
	if l == nil {
		return
	}
	l.m.exchanges.Add(1)
	switch {
	case !answered(err):
		l.m.exchangeErrors.Add(1)
	case !l.m.core.remote:
		l.m.localAt.Store(int64(uptime()))
	}
}

// sent notes that an exchange is sent: from the first on, an answer is owed.
func (l *lane) sent(at instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sentAt = at
	if l.firstAt.isZero() {
		l.firstAt = at
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(l.m.core.timing.StaleAfter, l.check)
	}
}

// exchanged notes the end of an exchange that was sent at that time. What is answered makes the lane fresh as of then.
func (l *lane) exchanged(sent instant, err error) {
	if l == nil {
		return
	}
	l.count(err)
	if !l.m.core.remote || l.m.stopped() {
		return
	}
	l.m.latencies.note(uptime() - sent.up)
	l.mu.Lock()
	if !answered(err) {
		l.why = err
		l.mu.Unlock()
		return
	}
	if l.firstAt.isZero() {
		l.firstAt = sent
	}
	if l.freshAt.isZero() || sent.up > l.freshAt.up {
		l.freshAt = sent
	}
	back := !l.up.Load() && now().since(l.freshAt) < l.m.core.timing.StaleAfter
	if back {
		l.up.Store(true)
		l.watchOver(l.m.core.timing.StaleAfter)
	}
	said := back && l.lost
	l.lost = l.lost && !back
	l.mu.Unlock()
	if back {
		l.restance()
	}
	if said {
		l.m.laneBack()
	}
}

// watchOver sets the timer that finds the lane stale. l.mu is held.
func (l *lane) watchOver(in time.Duration) {
	if l.timer == nil {
		l.timer = time.AfterFunc(in, l.check)
	} else {
		l.timer.Reset(in)
	}
}

// answers reports that the lane is not stale, by its times: the timer that finds it stale may fire after a breaker's.
func (l *lane) answers() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up.Load() && now().since(l.freshAt) < l.m.core.timing.StaleAfter
}

// check is the timer's: has the lane been answered lately?
func (l *lane) check() {
	if l.m.stopped() {
		return
	}
	l.mu.Lock()
	last := l.freshAt
	if last.isZero() {
		last = l.firstAt
	}
	if left := l.m.core.timing.StaleAfter - now().since(last); left > 0 && !last.isZero() {
		l.watchOver(left)
		l.mu.Unlock()
		return
	}
	l.lose()
}

// giveUp is called when nothing was answered for as long as a start may take.
func (l *lane) giveUp() {
	l.mu.Lock()
	if !l.freshAt.isZero() || l.up.Load() {
		l.mu.Unlock()
		return
	}
	l.lose()
}

// lose makes the lane stale, once, and says so, unless nobody asks anything there any more: then it begins anew with the
// next member. l.mu is held, and given back.
func (l *lane) lose() {
	if len(l.members) == 0 {
		l.up.Store(false)
		if l.timer != nil {
			l.timer.Stop()
		}
		l.firstAt, l.freshAt, l.timer = instant{}, instant{}, nil
		l.mu.Unlock()
		return
	}
	was := l.up.Swap(false)
	said := l.lost
	l.lost = true
	why := l.why
	l.mu.Unlock()
	if was {
		l.restance()
	}
	if !said {
		l.m.laneLost(why)
	}
}

// restance makes the stance of each member anew.
func (l *lane) restance() {
	l.mu.Lock()
	members := slices.Clone(l.members)
	l.mu.Unlock()
	for _, b := range members {
		b.mu.Lock()
		b.restance()
		b.mu.Unlock()
	}
}

// failed notes an error, and tells as of when the lane's view is, if the lane was ever answered.
func (l *lane) failed(why error) (fresh instant, ok bool) {
	if l == nil {
		return instant{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
	return l.freshAt, !l.freshAt.isZero()
}

// isUp reports that the lane owes no answer.
func (l *lane) isUp() (up bool, fresh instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up.Load() || len(l.members) == 0, l.freshAt
}
