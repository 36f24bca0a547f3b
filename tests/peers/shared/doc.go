// Package shared measures a breaker that several replicas share through one Redis, beside the ways to do that without
// commontrip: gobreaker's distributed breaker, two scripts a call as one would write them by hand, and, as the floor of
// whatever asks for each call, a read that the client caches.
package shared

import (
	"errors"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/redistest"
)

// guard runs a call, unless it refuses.
type guard func(fn func() error) error

var (
	errTier    = errors.New("tier failed")
	errRefused = errors.New("refused")
)

// five failures in a row open a breaker, for so long.
const (
	five = 5
	rest = time.Hour
)

// contender is one way to share a breaker. Open makes so many replicas of it, which end with the test.
type contender struct {
	name string
	open func(t testing.TB, srv *redistest.Server, replicas int) replicas
}

// replicas of one breaker.
type replicas struct {
	guards  []guard
	counted func(t testing.TB) uint64 // outcomes that the shared state holds, once all are reported; nil: it holds none
}

func contenders() []contender {
	return []contender{
		{noGuard, openNothing},
		{commontrip, openOurs},
		{distributed, openDistributed},
		{scripts, openScripts},
		{cached, openCached},
	}
}

// openers are those that ever open, and commontrip with a quorum, where own verdicts count at all times.
func openers() []contender {
	return []contender{
		{commontrip, openOurs},
		{commontrip + ", 2 reporters", openQuorum},
		{distributed, openDistributed},
		{scripts, openScripts},
	}
}

const (
	noGuard     = "no guard"
	commontrip  = "commontrip"
	distributed = "gobreaker, distributed"
	scripts     = "two scripts a call"
	cached      = "a cached read a call"
)

func openNothing(_ testing.TB, _ *redistest.Server, n int) (r replicas) {
	for range n {
		r.guards = append(r.guards, func(fn func() error) error { return fn() })
	}
	return r
}
