package dashboard

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// row is a snapshot with what the dashboard knows beside it. Its JSON is the snapshot's own form with more members, so
// a program that reads snapshots reads rows.
type row struct {
	store.Snapshot
	Explanation *store.Explanation // if there is something to explain
	Live        *rates             // while somebody looks
	Here        *here              // if a Manager is given and knows the breaker
}

// rates are a breaker's numbers of the fleet since the last read.
type rates struct {
	Calls    float64 `json:"calls_per_s"` // that ended
	Failures float64 `json:"failures_per_s"`
	Refused  float64 `json:"refused_per_s"`
	AsOf     int64   `json:"as_of_ms"` // when the snapshot was read, by the server's uptime; see message.Now
}

// here is what this replica holds of a breaker.
type here struct {
	State        store.State                `json:"state"`
	Verdict      breaker.Verdict            `json:"verdict"`
	RetryAfterMS int64                      `json:"retry_after_ms"`
	FleetAgeMS   int64                      `json:"fleet_age_ms"`
	Pending      int                        `json:"pending"`
	Lost         uint64                     `json:"lost"`
	Refused      map[breaker.Refusal]uint64 `json:"refused"`
	Policy       *store.Policy              `json:"policy,omitempty"` // that this replica reports, if it is not the fleet's
}

func hereOf(s breaker.Status) *here {
	h := &here{
		State: s.State, Verdict: s.Verdict, RetryAfterMS: s.RetryAfter.Milliseconds(), FleetAgeMS: s.FleetAge.Milliseconds(),
		Pending: s.Pending, Lost: s.Lost, Refused: s.Refused,
	}
	if !s.Fleet.Retuned && s.Policy != s.Fleet.Policy {
		h.Policy = &s.Policy
	}
	return h
}

// MarshalJSON adds the members to the snapshot's form.
func (r row) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(r.Snapshot)
	if err != nil {
		return nil, err
	}
	more, err := json.Marshal(struct {
		Explanation *store.Explanation `json:"explanation,omitempty"`
		Live        *rates             `json:"live,omitempty"`
		Here        *here              `json:"here,omitempty"`
	}{r.Explanation, r.Live, r.Here})
	if err != nil || len(more) == len("{}") {
		return text, err
	}
	return append(append(text[:len(text)-1], ','), more[1:]...), nil
}

// faces is the seed of all faces.
var faces = maphash.MakeSeed()

// face is a hash of the row without what only time moves, to see whether there is anything to tell.
func (r row) face() uint64 {
	r.Age, r.RetryIn, r.ModeNote.EndsIn, r.PolicyNote.EndsIn = 0, 0, 0, 0
	if r.Live != nil {
		live := *r.Live
		live.AsOf = 0
		r.Live = &live
	}
	if r.Here != nil {
		own := *r.Here
		own.RetryAfterMS, own.FleetAgeMS = 0, 0
		r.Here = &own
	}
	text, _ := json.Marshal(r)
	return maphash.Bytes(faces, text)
}

// entry is one breaker on the board.
type entry struct {
	row
	shown     uint64          // face of what was last told
	text      json.RawMessage // of the row, as last told
	totals    store.Totals    // at the last read
	read      time.Time       // when that was
	pushed    time.Time       // when a push last changed it
	spark     spark
	denied    refusals
	outage    outage          // while it is not closed
	explained store.Version   // as of which the outage is known
	roster    []store.Replica // at the last look at it, if there is something to tell
}

// changed reports whether there is anything to tell.
func (e *entry) changed() bool { return e.text == nil || e.face() != e.shown }

// measure takes the rates since the last read and draws them on over the seconds that have passed.
func (e *entry) measure(s store.Snapshot, at time.Time) {
	r, t := &rates{}, s.Totals
	if dt := at.Sub(e.read).Seconds(); !e.read.IsZero() && dt > 0 {
		r.Calls = grown(ended(e.totals), ended(t)) / dt
		r.Failures = grown(e.totals.Failures, t.Failures) / dt
		rare := s.Effective() != store.Closed || e.ownOpen()
		r.Refused = e.denied.rate(grown(e.totals.Rejected, t.Rejected), e.read, at, rare)
		e.spark.draw(*r, int(dt+0.5))
	}
	e.Live, e.totals, e.read = r, t, at
}

// ownOpen reports whether some replica refuses by its own verdict.
func (e *entry) ownOpen() bool {
	return slices.ContainsFunc(e.roster, func(r store.Replica) bool { return r.OwnOpen })
}

func ended(t store.Totals) uint64 { return t.Calls + t.Ignored + t.Late }

// grown is 0 if a counter went back: its store lost it, or the breaker was removed.
func grown(from, to uint64) float64 {
	if to < from {
		return 0
	}
	return float64(to - from)
}

// sparkSeconds is how far back a sparkline goes.
const sparkSeconds = 120

// spark is a ring of one point a second: calls that ended, calls that failed, calls refused.
type spark struct {
	points [][3]float32
}

// draw adds seconds equal points.
func (s *spark) draw(r rates, seconds int) {
	point := [3]float32{round(r.Calls), round(r.Failures), round(r.Refused)}
	if len(s.points) == 0 && point == ([3]float32{}) {
		return // a line of nothing is not kept
	}
	for range min(max(seconds, 1), sparkSeconds) {
		s.points = append(s.points, point)
	}
	if over := len(s.points) - sparkSeconds; over > 0 {
		s.points = append(s.points[:0], s.points[over:]...)
	}
}

// round keeps one digit after the point: what a line of some pixels shows.
func round(f float64) float32 { return float32(int64(f*10+0.5)) / 10 }
