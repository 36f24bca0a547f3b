package scale

import (
	"math"

	"github.com/commontrip/commontrip/tests/peers/measure"
)

// flush is the longest that an outcome waits by default, in seconds.
const flush = 0.02

// plan is a fleet of so many replicas, each with so many breakers, each called so often a second.
type plan struct {
	replicas, breakers, calls, budget float64
}

// wait is how long outcomes wait to be reported, in seconds.
func (p plan) wait() float64 { return max(flush, min(p.replicas/p.budget, 1)) }

// scripts is how many scripts a second the fleet runs: one a replica, breaker and wait, if a call came in that time.
func (p plan) scripts() float64 {
	wait := p.wait()
	return p.replicas * p.breakers * (1 - math.Exp(-p.calls*wait)) / wait
}

// price is what one script costs, as measured.
type price struct{ core, in, out float64 } // seconds, bytes

// priceOf takes the price from what a server did.
func priceOf(w measure.Work) price {
	n, _ := w.Scripts()
	return price{w.CPU.Seconds() / n, w.In / n, w.Out / n}
}
