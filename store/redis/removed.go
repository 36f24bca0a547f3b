package redisstore

import (
	"context"
	"strconv"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// RemoveAs is [Store.Remove] by an operator, who is remembered for as long as the breaker's numbers are, 24 h: see
// [Store.Removed]. by and why are as in a [store.Command], whose rules they follow. If the breaker was removed and only
// that could not be kept, the error says so.
func (s *Store) RemoveAs(ctx context.Context, name, by, why string) error {
	signed := store.Command{Name: name, Action: store.Reset, By: by, Why: why}
	if _, err := signed.Normalize(); err != nil {
		return err
	}
	if err := s.Remove(ctx, name); err != nil {
		return err
	}
	rows, err := s.read(ctx, []string{name}, nil)
	if err != nil {
		return &unsignedError{err}
	}
	key := s.keys.removed(name)
	keep := &call{key: key, args: []any{"hset", key, "by", by, "why", why, "at", rows[0].now}}
	end := &call{key: key, args: []any{"pexpire", key, int64(limits.Day)}}
	err = s.exchange(ctx, s.laneOfKey(key), []*call{keep, end})
	for _, c := range []*call{keep, end} {
		if err == nil {
			err = s.failure(c.err)
		}
	}
	if err != nil {
		return &unsignedError{err}
	}
	return nil
}

// unsignedError is a removal of which is not kept who did it.
type unsignedError struct{ err error }

func (e *unsignedError) Error() string {
	return "it is removed, but who did it is not kept: " + e.err.Error()
}

func (e *unsignedError) Unwrap() error { return e.err }

// Removed says who removed a breaker by [Store.RemoveAs] within the last 24 h, when and why. The zero Note: nobody did. A
// breaker of that name may be there again. It writes nothing.
func (s *Store) Removed(ctx context.Context, name string) (store.Note, error) {
	if s.closed() {
		return store.Note{}, store.ErrClosed
	}
	if store.ValidateName(name) != nil {
		return store.Note{}, nil
	}
	key := s.keys.removed(name)
	c := &call{key: key, args: []any{"hmget", key, "by", "why", "at"}}
	if err := s.do(ctx, s.laneOfKey(key), c); err != nil {
		return store.Note{}, err
	}
	d := decoder{of: "removed"}
	list := d.list(c.reply, 3)
	if d.problem == "" && list[0] == nil {
		return store.Note{}, nil
	}
	n := store.Note{By: d.optional("by", d.text("by", list[0])), Why: d.optional("why", d.text("why", list[1]))}
	at, err := strconv.ParseInt(d.text("at", list[2]), 10, 64)
	if err != nil {
		d.fail("at is %.40v; want ms", list[2])
	}
	n.At = moment(d.within("at", at, 0, store.MaxNumber))
	if err := d.err(); err != nil {
		return store.Note{}, err
	}
	return n, nil
}
