package dashboard

import (
	"context"
	"slices"

	"github.com/commontrip/commontrip/store"
)

// How much of the store one read asks beside the snapshots, so that an outage of every breaker asks no more at once.
const (
	historiesPer = 16 // of breakers that are not closed, and of which something is new
	rostersPer   = 8  // of breakers in turn
)

// outage is what is kept of the history of a breaker that is not closed, newest first: the last entry, and the first one since
// it was closed.
type outage []store.Transition

// since is the outage that a history tells of. If the history does not reach back to the beginning, what is known goes on.
func (known outage) since(history []store.Transition) outage {
	begun := history
	closed := func(t store.Transition) bool { return t.Effective() == store.Closed }
	if i := slices.IndexFunc(history, closed); i >= 0 {
		begun = history[:i]
	} else if n := len(history); n > 0 && known.reaches(history[n-1]) {
		begun = append(slices.Clone(history), known[len(known)-1])
	}
	if n := len(begun); n > 2 {
		return outage{begun[0], begun[n-1]}
	}
	return slices.Clone(begun)
}

// reaches reports whether what is known began before t, and went on until then without a gap.
func (known outage) reaches(t store.Transition) bool {
	if len(known) == 0 {
		return false
	}
	first, last := known[len(known)-1], known[0]
	before := first.Generation <= t.Generation && first.Rev <= t.Rev && (first.Generation < t.Generation || first.Rev < t.Rev)
	return before && last.Generation >= t.Prev
}

// explain puts the row into words.
func (e *entry) explain() {
	e.Explanation = nil
	if x := e.Snapshot.Explain(e.outage, e.roster); x != (store.Explanation{}) {
		e.Explanation = &x
	}
}

// unexplained are some breakers that are not closed, and of which something is new since their history was read.
func (l *live) unexplained() (some []store.Version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, e := range l.board {
		version := store.Version{Name: name, Generation: e.Generation, Rev: e.Rev}
		switch {
		case e.State == store.Closed && e.Mode == store.Auto:
			e.outage, e.explained = nil, store.Version{}
		case e.explained != version && len(some) < historiesPer:
			some = append(some, version)
		}
	}
	return some
}

// lookCloser reads the histories of breakers that are not closed and the rosters of those whose turn it is, as far as the store
// answers, and tells what they explain.
func (l *live) lookCloser(ctx context.Context, snapshots []store.Snapshot) {
	var looked []string
	for _, version := range l.unexplained() {
		history, err := l.store.History(ctx, version.Name, 0)
		if err != nil {
			break
		}
		looked = append(looked, version.Name)
		l.learn(version.Name, func(e *entry) { e.outage, e.explained = e.outage.since(history), version })
	}
	looked = append(looked, l.inTurn(snapshots)...)
	for _, name := range looked {
		roster, err := l.store.Roster(ctx, name)
		if err != nil {
			break
		}
		l.learn(name, func(e *entry) { e.roster = notable(roster) })
	}
	l.tellAbout(looked)
}

// learn adds to what is known of a breaker.
func (l *live) learn(name string, add func(*entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.board[name]; ok {
		add(e)
		e.explain()
	}
}

// notable is a roster in which there is something to tell, or nil: those of breakers that are well are not kept.
func notable(roster []store.Replica) []store.Replica {
	if slices.ContainsFunc(roster, func(r store.Replica) bool { return r.OwnOpen || r.Conflict }) {
		return roster
	}
	return nil
}

// inTurn are the next breakers whose rosters are looked at. Snapshots are by name.
func (l *live) inTurn(snapshots []store.Snapshot) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := 0
	for next < len(snapshots) && snapshots[next].Name <= l.turn {
		next++
	}
	for i := range min(rostersPer, len(snapshots)) {
		l.turn = snapshots[(next+i)%len(snapshots)].Name
		names = append(names, l.turn)
	}
	return names
}
