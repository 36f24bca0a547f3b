package figures

import (
	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
)

// Replica is a replica as one reading sees it.
type Replica struct {
	*breaker.ManagerStatus
	Shown int // breakers
}

// OfReplica is what a replica says of itself and its store. [ExchangeDuration] is a histogram, and not among them.
var OfReplica = []Family[Replica]{
	one(ReplicaInfo, func(*Replica) float64 { return 1 }),
	one(Breakers, func(r *Replica) float64 { return float64(len(r.Breakers)) }),
	one(BreakersLeftOut, func(r *Replica) float64 { return float64(len(r.Breakers) - r.Shown) }),
	one(StoreUp, func(r *Replica) float64 { return number(r.StoreUp) }),
	one(StoreSilence, func(r *Replica) float64 { return r.SinceExchange.Seconds() }),
	one(StoreLosses, func(r *Replica) float64 { return float64(r.StoreLosses) }),
	one(Exchanges, func(r *Replica) float64 { return float64(r.Exchanges) }),
	one(ExchangeErrors, func(r *Replica) float64 { return float64(r.ExchangeErrors) }),
	one(Resyncs, func(r *Replica) float64 { return float64(r.Resyncs) }),
}

// OfPool is what a store tells of its connections.
var OfPool = []Family[store.Connections]{
	one(ConnectionsInUse, func(n *store.Connections) float64 { return float64(n.InUse) }),
	one(ConnectionsIdle, func(n *store.Connections) float64 { return float64(n.Idle) }),
	one(ConnectionsMost, func(n *store.Connections) float64 { return float64(n.Most) }),
	one(ConnectionWaits, func(n *store.Connections) float64 { return float64(n.Waits) }),
}

// PoolOf is what tells of connections; nil: m is no Manager, or its store tells of none.
func PoolOf(m any) store.Pooled {
	if m, ok := m.(interface{ Store() store.Store }); ok {
		pool, _ := m.Store().(store.Pooled)
		return pool
	}
	return nil
}

var healths = []health.Health{health.Unknown, health.Up, health.Down}

// OfCheck is what is known of an active check.
var OfCheck = []Family[health.Status]{
	many(HealthState, healths, func(st *health.Status, h health.Health) float64 { return number(st.Health == h) }),
	one(HealthSince, func(st *health.Status) float64 { return timestamp(st.Since) }),
	one(HealthChecked, func(st *health.Status) float64 { return timestamp(st.Checked) }),
	one(HealthTook, func(st *health.Status) float64 { return st.Took.Seconds() }),
}
