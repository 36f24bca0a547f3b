package storekit

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
)

// Sync implements [store.Store]: up to [MaxNames] reports are one step.
func (s *Store) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results := make([]store.Result, 0, len(reports))
	for some := range slices.Chunk(reports, MaxNames) {
		results = append(results, s.syncSome(ctx, some)...)
	}
	return results
}

// syncSome makes one step of all reports.
func (s *Store) syncSome(ctx context.Context, reports []store.Report) []store.Result {
	results := make([]store.Result, len(reports))
	normal := make([]store.Report, len(reports))
	refused := make([]error, len(reports))
	var names []string
	for i := range reports {
		if normal[i], refused[i] = reports[i].Normalize(); refused[i] == nil {
			names = append(names, normal[i].Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var now int64
	replicas := 0
	judge := func(r *round) {
		now, replicas = r.now, 0
		for i := range normal {
			results[i] = s.report(r, normal[i], refused[i])
			replicas = max(replicas, results[i].Snapshot.Replicas)
		}
	}
	var err error
	if len(names) > 0 {
		err = s.step(ctx, "Sync", names, judge)
	} else { // the back end has nothing to do with it
		err = s.call(ctx, "Sync", func(context.Context) error { judge(&round{}); return nil })
	}
	if err != nil {
		for i := range results {
			results[i] = store.Result{Err: err}
		}
		return results
	}
	if len(names) > 0 {
		s.sweepSome(ctx, now, replicas)
	}
	return results
}

// report judges one report, unless it is refused.
func (s *Store) report(r *round, report store.Report, refused error) (result store.Result) {
	if refused != nil {
		return store.Result{Err: refused}
	}
	err := r.on(report.Name, func(m *machine.Machine, now int64) { result = m.Report(now, report) })
	if err != nil {
		return store.Result{Err: err}
	}
	result.Again = s.again(result.Snapshot.Replicas)
	return result
}

// one carries out one request as a step of its own.
func (s *Store) one(ctx context.Context, verb, name string, request func(m *machine.Machine, now int64)) error {
	var unreadable error
	err := s.step(ctx, verb, []string{name}, func(r *round) { unreadable = r.on(name, request) })
	if err != nil {
		return err
	}
	return unreadable
}

// open checks that a verb may begin, so that a closed store says so before it says anything about a request.
func (s *Store) open(ctx context.Context, verb string) error {
	_, leave, err := s.enter(ctx, verb)
	if err == nil {
		leave()
	}
	return err
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, c store.Claim) (grant store.Grant, err error) {
	if err := s.open(ctx, "Claim"); err != nil {
		return store.Grant{}, err
	}
	if c, err = c.Normalize(); err != nil {
		return store.Grant{}, err
	}
	spread := rand.Int64N(limits.MaxSpread + 1)
	var refused error
	err = s.one(ctx, "Claim", c.Name, func(m *machine.Machine, now int64) { grant, refused = m.Claim(now, c, spread) })
	if err == nil {
		err = refused
	}
	if err != nil {
		return store.Grant{}, err
	}
	again := s.again(grant.Snapshot.Replicas)
	if len(grant.Leases) == 0 && grant.Snapshot.State == store.HalfOpen && again > limits.AskAgain*time.Millisecond {
		// All replicas of a big fleet ask; they share the budget.
		grant.RetryIn = max(grant.RetryIn, again/2+rand.N(again+1))
	}
	return grant, nil
}

// Settle implements [store.Store].
func (s *Store) Settle(ctx context.Context, set store.Settlement) (result store.Result, err error) {
	if err := s.open(ctx, "Settle"); err != nil {
		return store.Result{}, err
	}
	if set, err = set.Normalize(); err != nil {
		return store.Result{}, err
	}
	err = s.one(ctx, "Settle", set.Lease.Name, func(m *machine.Machine, now int64) { result = m.Settle(now, set) })
	if err != nil {
		return store.Result{}, err
	}
	return result, nil
}

// Command implements [store.Store].
func (s *Store) Command(ctx context.Context, c store.Command) (result store.Result, err error) {
	if err := s.open(ctx, "Command"); err != nil {
		return store.Result{}, err
	}
	if c, err = c.Normalize(); err != nil {
		return store.Result{}, err
	}
	var refused error
	err = s.one(ctx, "Command", c.Name, func(m *machine.Machine, now int64) { result, refused = m.Command(now, c) })
	if err == nil {
		err = refused
	}
	if err != nil {
		return store.Result{}, err
	}
	return result, nil
}

// Remove implements [store.Store].
func (s *Store) Remove(ctx context.Context, name string) error {
	if store.ValidateName(name) != nil {
		return s.open(ctx, "Remove")
	}
	return s.one(ctx, "Remove", name, func(m *machine.Machine, now int64) { m.Remove(now) })
}
