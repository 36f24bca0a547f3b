package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// Sync sends all reports in one pipeline, a script each.
func (s *Store) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results := make([]store.Result, len(reports))
	if s.closed() {
		for i := range results {
			results[i].Err = store.ErrClosed
		}
		return results
	}
	normal := make([]store.Report, len(reports))
	calls := make([]*call, 0, len(reports))
	at := make([]int, 0, len(reports))
	for i, r := range reports {
		if normal[i], results[i].Err = r.Normalize(); results[i].Err == nil {
			calls, at = append(calls, s.syncCall(normal[i])), append(at, i)
		}
	}
	err := s.exchange(ctx, s.laneOf(calls), calls)
	var seen []string
	replicas := 0
	for n, c := range calls {
		result, r := &results[at[n]], normal[at[n]]
		if err != nil {
			result.Err = err
			continue
		}
		var fresh bool
		*result, fresh, result.Err = s.result("sync", r.Name, r.Policy, c, nil)
		if result.Err != nil {
			*result = store.Result{Err: result.Err}
			continue
		}
		result.Again = s.again(result.Snapshot.Replicas)
		replicas = max(replicas, result.Snapshot.Replicas)
		if s.index.wants(r.Name, fresh) {
			seen = append(seen, r.Name)
		}
	}
	s.indexNames(ctx, seen)
	if err == nil {
		s.sweepSome(replicas)
	}
	return results
}

// again spreads a breaker's budget over its replicas.
func (s *Store) again(replicas int) time.Duration {
	return min(time.Duration(replicas)*time.Second/time.Duration(s.budget), time.Second)
}

// Claim leases probes.
func (s *Store) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	if s.closed() {
		return store.Grant{}, store.ErrClosed
	}
	c, err := c.Normalize()
	if err != nil {
		return store.Grant{}, err
	}
	request := s.claimCall(c)
	if err := s.exchange(ctx, s.laneOfKey(request.key), []*call{request}); err != nil {
		return store.Grant{}, err
	}
	var g store.Grant
	result, fresh, err := s.result("claim", c.Name, c.Policy, request, func(d *decoder, rest []any) {
		g.RetryIn = min(span(d.small("retry", rest[0], 0, store.MaxNumber)), store.MaxFor)
		g.Leases = d.leases(c.Name, d.text("leases", rest[1]))
	})
	if err != nil {
		return store.Grant{}, err
	}
	g.Made, g.Snapshot = result.Made, result.Snapshot
	again := s.again(g.Snapshot.Replicas)
	if len(g.Leases) == 0 && g.Snapshot.State == store.HalfOpen && again > limits.AskAgain*time.Millisecond {
		// All replicas of a big fleet ask; they share the budget.
		g.RetryIn = max(g.RetryIn, again/2+rand.N(again+1))
	}
	if s.index.wants(c.Name, fresh) {
		s.indexNames(ctx, []string{c.Name})
	}
	return g, nil
}

// Settle says how a probe went.
func (s *Store) Settle(ctx context.Context, t store.Settlement) (store.Result, error) {
	if s.closed() {
		return store.Result{}, store.ErrClosed
	}
	t, err := t.Normalize()
	if err != nil {
		return store.Result{}, err
	}
	request := s.settleCall(t)
	if err := s.exchange(ctx, s.laneOfKey(request.key), []*call{request}); err != nil {
		return store.Result{}, err
	}
	result, _, err := s.result("settle", t.Lease.Name, store.Policy{}, request, nil)
	if errors.Is(err, errAbsent) {
		return store.Result{Snapshot: store.Snapshot{Name: t.Lease.Name}}, nil
	}
	return result, err
}

// Command carries out an operator's command.
func (s *Store) Command(ctx context.Context, c store.Command) (store.Result, error) {
	if s.closed() {
		return store.Result{}, store.ErrClosed
	}
	c, err := c.Normalize()
	if err != nil {
		return store.Result{}, err
	}
	request := s.commandCall(c)
	if err := s.exchange(ctx, s.laneOfKey(request.key), []*call{request}); err != nil {
		return store.Result{}, err
	}
	result, _, err := s.result("command", c.Name, store.Policy{}, request, nil)
	return result, err
}

// Remove forgets a breaker, but for a tombstone.
func (s *Store) Remove(ctx context.Context, name string) error {
	if s.closed() {
		return store.ErrClosed
	}
	if store.ValidateName(name) != nil {
		return nil
	}
	request := s.removeCall(name)
	if err := s.do(ctx, s.laneOfKey(request.key), request); err != nil {
		return err
	}
	d := decoder{of: "remove"}
	list := d.list(request.reply, 2)
	word := d.text("answer", list[0])
	d.token(list[1], request)
	if word != "removed" && word != "absent" {
		d.fail("%.40q; want removed or absent", word)
	}
	if d.problem == "" {
		s.unindex(ctx, name)
	}
	return d.err()
}
