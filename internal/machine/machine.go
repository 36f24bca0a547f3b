package machine

import (
	"github.com/commontrip/commontrip/store"
)

// Machine is one breaker. The zero value is an absent one. It is not safe for concurrent use, and must not be copied
// after its first request.
//
// What is rarely needed stands behind pointers, so that an idle machine takes some 300 bytes.
type Machine struct {
	at, off         int64 // machine time of the last request, and how far it is ahead of the store's clock
	generation, rev uint64
	since           int64          // when this generation began
	until           int64          // when the open time is over, if it is open; limits.ResetBelow if a reset below a mode closed it
	fleet           compiledPolicy // the fleet's; not set: none yet
	openings        int32
	phase           phase
	state           store.State
	mode            store.Mode
	written, made   uint8 // entries that the last request wrote; which of them, from 1, is its own; 0 = none

	totals    *store.Totals
	window    *window
	labels    *labels
	roster    *roster
	probes    *probes
	overrides *overrides
	history   *history
	tombstone *tombstone
	unknown   string // fields that a newer release saved; see Load
}

// phase says what stands under a name.
type phase uint8

const (
	absent  phase = iota
	shown         // an ordinary machine
	removed       // a tombstone: two numbers and a time
	hidden        // a tombstone that a replica's knowledge made a machine again; not shown before an outcome is reported
)

// request is what every step is told of the request that it serves: when it came, for which breaker, and from whom.
type request struct {
	moment
	name string // the breaker's
	from string // the name of the replica, or of the operator
}

// request starts one. It changes nothing that a refused request must leave.
func (m *Machine) request(now int64, name, from string) request {
	m.written, m.made = 0, 0
	return request{moment: m.moment(now), name: name, from: from}
}

// keep stores what every accepted request stores: the time.
func (m *Machine) keep(req request) { m.at, m.off = req.at, req.off }

// result is the answer to a request that was carried out.
func (m *Machine) result(req request) store.Result {
	return store.Result{Snapshot: m.snapshot(req.moment, req.name), Made: m.lastMade()}
}
