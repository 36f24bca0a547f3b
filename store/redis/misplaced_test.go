package redisstore

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// swapper is a client's hook that hands out the first two replies of a pipeline each in place of the other.
type swapper struct{ on atomic.Bool }

func (*swapper) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (*swapper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, cmd) }
}

func (s *swapper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if !s.on.Load() || len(cmds) < 2 {
			return err
		}
		a, ours := cmds[0].(noRetry)
		b, both := cmds[1].(noRetry)
		if ours && both { // else it is a handshake
			x, y := a.Val(), b.Val()
			a.SetVal(y)
			b.SetVal(x)
		}
		return err
	}
}

func TestAMisplacedReplyIsAnErrorOfTheStore(t *testing.T) {
	ctx := t.Context()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr()})
	defer client.Close()
	swap := &swapper{}
	client.AddHook(swap)
	s, err := New(client)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	policy := store.Policy{ConsecutiveFailures: 1}
	report := func(name string, seq uint64, runs ...store.Run) store.Report {
		return store.Report{Name: name, Policy: policy, Replica: "web-0#1", Seq: seq, Runs: runs}
	}
	failed := store.Run{Outcome: store.Failure, Count: 1}
	for i, r := range s.Sync(ctx, []store.Report{report("open", 1, failed), report("closed{", 1), report("other", 1)}) {
		if r.Err != nil {
			t.Fatal(i, r.Err)
		}
	}
	swap.on.Store(true)
	var wrong *ReplyError
	for i, r := range s.Sync(ctx, []store.Report{report("open", 2), report("closed{", 2), report("other", 2)}) {
		if misplaced := i < 2; misplaced != errors.As(r.Err, &wrong) {
			t.Errorf("result %d is %+v", i, r)
		}
	}
	snapshots, err := s.Read(ctx, "open", "closed{", "other")
	some, ok := errors.AsType[*store.UnreadableError](err)
	if !ok || len(some.Names) != 2 || len(snapshots) != 1 || snapshots[0].Name != "other" {
		t.Errorf("a read gives %+v, %v; want what is not misplaced", snapshots, err)
	}
	versions, err := s.Versions(ctx, "open", "closed{", "other")
	if err != nil || len(versions) != 1 || versions[0].Name != "other" {
		t.Errorf("the versions are %+v, %v; want those that are not misplaced", versions, err)
	}
	swap.on.Store(false)
	snapshots, err = s.Read(ctx, "open", "closed{")
	if err != nil || len(snapshots) != 2 || snapshots[0].State != store.Open || snapshots[1].State != store.Closed {
		t.Errorf("a read gives %+v, %v", snapshots, err)
	}
	if err := client.HDel(ctx, s.keys.breaker("open"), nameField).Err(); err != nil {
		t.Fatal(err)
	}
	if snapshots, err = s.Read(ctx, "open"); err != nil || len(snapshots) != 1 {
		t.Errorf("of a hash without a name, as release 0.1 wrote it, a read gives %+v, %v", snapshots, err)
	}
}
