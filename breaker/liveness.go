package breaker

import (
	"slices"
	"time"
)

// liveness says whether the store answers one breaker, whose lane may be answered all the same. It is not safe for
// concurrent use: its coordinator's mu guards it.
type liveness struct {
	trouble *trouble // nil: the last exchange of this breaker's own was answered, and listeners know it
}

// trouble is that a breaker's own exchanges fail, until listeners know that it is over.
type trouble struct {
	lastGood instant // while failing: when the last successful exchange was sent; if there was none, when the failed one was
	failing  bool    // the last exchange got an error
	toldLost bool    // listeners were told that the store fails for this breaker
}

// failing reports that the last exchange of this breaker's own got an error.
func (l *liveness) failing() bool { return l.trouble != nil && l.trouble.failing }

// failed notes that an exchange got an error that was sent at that time. laneGood is when the lane's last successful
// exchange was sent; zero: there was none.
func (l *liveness) failed(sent, laneGood instant) {
	if l.failing() {
		return
	}
	if laneGood.isZero() {
		laneGood = sent
	}
	l.trouble = &trouble{lastGood: laneGood, failing: true, toldLost: l.trouble != nil && l.trouble.toldLost}
}

// succeeded notes that an exchange was answered.
func (l *liveness) succeeded() {
	switch {
	case l.trouble == nil:
	case l.trouble.toldLost:
		l.trouble.failing = false
	default:
		l.trouble = nil
	}
}

// lasts reports that the last successful exchange is not older than stale. Then it also tells until when, as an uptime; 0:
// for as long as the lane is healthy. A breaker that failed together with its lane gets as long from the lane's return on as
// any other, before the store counts as lost for it alone.
func (l *liveness) lasts(at, stale time.Duration, lane *lane) (live bool, until time.Duration) {
	if !l.failing() {
		return true, 0
	}
	last := l.trouble.lastGood
	if back := lane.backSince(); back.up > last.up {
		last = back
	}
	end := last.up + stale
	if at >= end || now().since(last) >= stale {
		return false, 0
	}
	return true, end
}

// turn is the event that listeners are to hear, or nil: the store has failed for this breaker alone, or does so no more. why is
// asked for the reason.
func (l *liveness) turn(live, alone bool, why func() error) *Event {
	t := l.trouble
	switch {
	case t == nil:
	case live && t.toldLost:
		t.toldLost = false
		if !t.failing {
			l.trouble = nil
		}
		return &Event{Kind: StoreBack}
	case alone && t.failing && !t.toldLost:
		t.toldLost = true
		return &Event{Kind: StoreLost, Err: why()}
	}
	return nil
}

// turn is a change of a lane's liveness.
type turn struct {
	changed    bool  // members must decide again
	lost, back bool  // listeners must be told
	why        error // of lost: the last error; nil: there was no answer
}

// tell hands on a turn, if it is one. l.mu is not held.
func (l *lane) tell(t turn) {
	if t.changed || t.lost || t.back {
		l.turned(l, t)
	}
}

// sent notes that an exchange is sent. From the first one on an answer is owed.
func (l *lane) sent(at instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sentAt = at
	if l.firstSent.isZero() {
		l.firstSent = at
	}
	if l.timer == nil {
		l.checkIn(l.timing.StaleAfter)
	}
}

// exchanged notes the end of an exchange that was sent at that time. One that is answered makes the lane live as of then.
func (l *lane) exchanged(sent instant, err error) {
	if l == nil {
		return
	}
	l.stats.note(sent, err, l.remote)
	if !l.remote {
		return
	}
	l.tell(l.note(sent, err))
}

func (l *lane) note(sent instant, err error) (t turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return t
	case !answered(err):
		l.why = err
		return t
	case l.firstSent.isZero():
		l.firstSent = sent
	}
	if l.lastGood.isZero() || sent.up > l.lastGood.up {
		l.lastGood = sent
	}
	if l.healthy.Load() || now().since(l.lastGood) >= l.timing.StaleAfter {
		return t
	}
	l.backAt = l.lastGood
	l.healthy.Store(true)
	l.why = nil
	l.checkIn(l.timing.StaleAfter - now().since(l.lastGood))
	t.changed, t.back = true, l.toldLost
	l.toldLost = false
	return t
}

// checkIn sets the timer that finds the lane unhealthy. l.mu is held.
func (l *lane) checkIn(d time.Duration) {
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.check)
	} else {
		l.timer.Reset(d)
	}
}

// check is the timer's: was the lane answered lately?
func (l *lane) check() {
	l.mu.Lock()
	last := l.lastGood
	if last.isZero() {
		last = l.firstSent
	}
	var t turn
	if left := l.timing.StaleAfter - now().since(last); left > 0 && !last.isZero() {
		l.checkIn(left)
	} else {
		t = l.markUnhealthy()
	}
	l.mu.Unlock()
	l.tell(t)
}

// giveUp is for when nothing was answered for as long as a start may take.
func (l *lane) giveUp() {
	l.mu.Lock()
	var t turn
	if l.lastGood.isZero() && !l.healthy.Load() {
		t = l.markUnhealthy()
	}
	l.mu.Unlock()
	l.tell(t)
}

// markUnhealthy ends the lane's liveness. A lane without members begins again with its next member, and nobody is told.
// l.mu is held.
func (l *lane) markUnhealthy() (t turn) {
	if l.closed {
		return t
	}
	// mutant: nobody
	if len(l.members) == 0 {
		l.healthy.Store(false)
		if l.timer != nil {
			l.timer.Stop()
		}
		l.firstSent, l.lastGood, l.timer = instant{}, instant{}, nil
		return t
	}
	t = turn{changed: l.healthy.Swap(false), lost: !l.toldLost, why: l.why}
	l.toldLost = true
	return t
}

// answers reports that the lane was answered lately, by its times: the timer that finds it unhealthy may be late. A
// nil one never was.
func (l *lane) answers() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.healthy.Load() && now().since(l.lastGood) < l.timing.StaleAfter
}

// backSince is when the exchange was sent that made the lane healthy.
func (l *lane) backSince() instant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.backAt
}

// isLost reports that the store is known to be away.
func (l *lane) isLost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.toldLost
}

// failed notes an error, and tells when the last successful exchange was sent; zero: there was none.
func (l *lane) failed(why error) (lastGood instant) {
	if l == nil {
		return lastGood
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
	return l.lastGood
}

// reason is why the last failed exchange failed.
func (l *lane) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// memberList gives the members of now.
func (l *lane) memberList() []*member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.members)
}

// status reports that the lane was answered lately or has no members, and when its last successful exchange was sent.
func (l *lane) status() (healthy bool, lastGood instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.healthy.Load() || len(l.members) == 0, l.lastGood
}

// close ends the lane: nothing is queued any more, and its liveness does not change any more.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, m := range l.members {
		m.gone = true
	}
	if l.timer != nil {
		l.timer.Stop()
	}
}
