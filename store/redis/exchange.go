package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/scripts/lua"
	"github.com/commontrip/commontrip/store"
)

// noRetry is a command that a client sends once, whatever its settings: a script that was cut off may have run.
type noRetry struct{ *redis.Cmd }

func (noRetry) NoRetry() bool { return true }

// call is one command of an exchange: a script on a key, or a plain command.
type call struct {
	script *lua.Script
	key    string
	args   []any  // of the script, or the whole plain command
	token  string // what the reply of a script that changes a breaker brings back; empty: none
	reply  any
	err    error
}

// exchange runs calls in one pipeline and fills in their replies. It returns when ctx ends, or after the store's
// timeout, even if the client ignores contexts. At most inFlight exchanges of one lane may be left behind in the client. Its
// own error is about the exchange as a whole, and then no call has a reply.
func (s *Store) exchange(ctx context.Context, lane int, calls []*call) error {
	if s.closed() {
		return store.ErrClosed
	}
	if len(calls) == 0 {
		return nil
	}
	var cancel context.CancelFunc
	if _, ok := ctx.Deadline(); ok {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
	}
	slots := s.slots[lane]
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		cancel()
		return fmt.Errorf("redisstore: no exchange is free: %w", ctx.Err())
	case <-s.done:
		cancel()
		return store.ErrClosed
	}
	// The goroutine works on its own copies: after a deadline nobody waits for it.
	work := make([]call, len(calls))
	for i, c := range calls {
		work[i] = *c
	}
	finished := make(chan struct{})
	go func() {
		defer func() {
			<-slots
			close(finished)
			cancel() // last, so that ctx ends after finished is closed
		}()
		s.perform(ctx, work)
	}()
	select {
	case <-finished:
		for i := range work {
			calls[i].reply, calls[i].err = work[i].reply, work[i].err
		}
		return nil
	case <-ctx.Done():
		select { // finishing ends ctx, too
		case <-finished:
			for i := range work {
				calls[i].reply, calls[i].err = work[i].reply, work[i].err
			}
			return nil
		default:
		}
		return fmt.Errorf("redisstore: no answer: %w", ctx.Err())
	case <-s.done:
		return store.ErrClosed
	}
}

// perform sends the calls, and again those whose script the server did not know: the first of each script as EVAL, and if
// that does not help (other calls went to other nodes), all of them.
func (s *Store) perform(ctx context.Context, calls []call) {
	pending := make([]*call, len(calls))
	for i := range calls {
		pending[i] = &calls[i]
	}
	s.send(ctx, pending, func(*call) bool { return false })
	if pending = unknownScripts(pending); len(pending) == 0 {
		return
	}
	seen := map[*lua.Script]map[int]bool{}
	s.send(ctx, pending, func(c *call) bool {
		lanes := seen[c.script]
		if lanes == nil {
			lanes = map[int]bool{}
			seen[c.script] = lanes
		}
		lane := s.laneOfKey(c.key)
		first := !lanes[lane]
		lanes[lane] = true
		return first
	})
	if pending = unknownScripts(pending); len(pending) > 0 {
		s.send(ctx, pending, func(*call) bool { return true })
	}
}

// send runs calls once. bySource says which scripts are sent as EVAL, with their source.
func (s *Store) send(ctx context.Context, calls []*call, bySource func(*call) bool) {
	cmds := make([]noRetry, len(calls))
	for i, c := range calls {
		cmds[i] = noRetry{redis.NewCmd(ctx, c.command(bySource(c))...)}
	}
	client, patient := s.clientFor(ctx)
	if len(cmds) == 1 && !(patient && s.cluster) { // the nodes of a Cluster are patient with pipelines only
		_ = client.Process(ctx, cmds[0])
	} else {
		pipe := client.Pipeline()
		for _, cmd := range cmds {
			_ = pipe.Process(ctx, cmd)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	for i, c := range calls {
		c.reply, c.err = cmds[i].Result()
	}
	s.lookAround(ctx, calls)
}

// clientFor is the client for an exchange that may last as long as ctx. One that Open made gives a connection up after the
// store's timeout otherwise. patient: ctx lasts longer than that.
func (s *Store) clientFor(ctx context.Context) (client redis.UniversalClient, patient bool) {
	deadline, ok := ctx.Deadline()
	left := time.Until(deadline)
	if !s.owned || !ok || left <= s.timeout {
		return s.client, false
	}
	single, ok := s.client.(*redis.Client)
	if !ok {
		return s.client, true
	}
	if o := single.Options(); o.ReadTimeout != s.timeout || o.WriteTimeout != s.timeout { // as the URL says
		return s.client, true
	}
	return single.WithTimeout(left), true
}

// lookAround lets a Cluster's client ask which node serves which slots, once in the background, if a node did not answer: a
// replica may have its part by now. The client does so by itself after a redirection, which no dead node gives, and
// otherwise once a minute.
func (s *Store) lookAround(ctx context.Context, calls []*call) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return
	}
	for _, c := range calls {
		var reply redis.Error
		if c.err != nil && !errors.As(c.err, &reply) {
			cluster.ReloadState(ctx)
			return
		}
	}
}

// command is what is sent for a call.
func (c *call) command(bySource bool) []any {
	if c.script == nil {
		return c.args
	}
	args := make([]any, 0, 4+len(c.args))
	if bySource {
		args = append(args, "eval", c.script.Source, 1, c.key)
	} else {
		args = append(args, "evalsha", c.script.SHA, 1, c.key)
	}
	return append(args, c.args...)
}

// unknownScripts are the calls whose script the server did not know.
func unknownScripts(calls []*call) []*call {
	var out []*call
	for _, c := range calls {
		if c.script != nil && c.err != nil && strings.HasPrefix(c.err.Error(), "NOSCRIPT") {
			out = append(out, c)
		}
	}
	return out
}
