package redisstore

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/scripts/lua"
	"github.com/commontrip/commontrip/store"
)

// readBatch is how many breakers one exchange reads: what a page of a big fleet shows comes in one.
const readBatch = 1000

// row is what a read got of one breaker: fields, absent ones empty, and the clock of the server that holds them in ms.
type row struct {
	fields []string
	now    int64
	absent bool   // no field is there
	bad    string // why the fields are not this breaker's; "" = they are
}

// read gets the same fields of all names, in exchanges of readBatch. In one server's pipeline TIME goes before the
// hashes; the nodes of a Cluster have clocks of their own, so that there a script reads both. Neither writes anything.
func (s *Store) read(ctx context.Context, names []string, fields []string) ([]row, error) {
	rows := make([]row, 0, len(names))
	for len(names) > 0 {
		batch := names[:min(len(names), readBatch)]
		names = names[len(batch):]
		more, err := s.readBatch(ctx, batch, fields)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// readBatch is read in one exchange.
func (s *Store) readBatch(ctx context.Context, names []string, fields []string) ([]row, error) {
	calls := make([]*call, 0, len(names)+1)
	args := make([]any, len(fields), len(fields)+1)
	for i, field := range fields {
		args[i] = field
	}
	args = append(args, nameField)
	for _, name := range names {
		key := s.keys.breaker(name)
		if s.cluster {
			calls = append(calls, &call{script: lua.Read, key: key, args: args})
		} else {
			calls = append(calls, &call{key: key, args: append([]any{"hmget", key}, args...)})
		}
	}
	lane := s.laneOf(calls)
	if !s.cluster {
		calls = append(calls, &call{args: []any{"time"}})
	}
	if err := s.exchange(ctx, lane, calls); err != nil {
		return nil, err
	}
	d := decoder{of: "read"}
	rows := make([]row, len(names))
	for i := range names {
		if notAHash(calls[i].err) {
			rows[i] = row{bad: calls[i].err.Error()}
			continue
		}
		if calls[i].err != nil {
			return nil, s.failure(calls[i].err)
		}
		list, clock := calls[i].reply, []any(nil)
		if s.cluster {
			all := d.list(list, 2+len(args))
			list, clock = all[2:], all[:2]
		} else if last := calls[len(calls)-1]; last.err != nil {
			return nil, s.failure(last.err)
		} else {
			clock = d.list(last.reply, 2)
		}
		rows[i] = d.row(names[i], d.list(list, len(args)), s.millis(&d, clock))
	}
	return rows, d.err()
}

// notAHash reports that a breaker's key holds another kind of value: that is its own failure, and no other breaker's.
func notAHash(err error) bool { return err != nil && strings.Contains(err.Error(), "WRONGTYPE") }

// millis is the reply to TIME in ms, or the clock that stands in for it.
func (s *Store) millis(d *decoder, clock []any) int64 {
	seconds, err := strconv.ParseInt(d.text("seconds", clock[0]), 10, 48)
	micros, err2 := strconv.ParseInt(d.text("microseconds", clock[1]), 10, 48)
	if err != nil || err2 != nil || seconds < 0 || micros < 0 || seconds > store.MaxNumber/2000 {
		d.fail("time is %.40v; want seconds and microseconds", clock)
		return 0
	}
	if s.clock != nil {
		return max(s.clock().UnixMilli(), 0)
	}
	return seconds*1000 + micros/1000
}

// nameField is the field with the breaker's name, the last that each read asks for. A hash of release 0.1 has none.
const nameField = "name"

// row reads the reply to HMGET, which ends with the name.
func (d *decoder) row(name string, list []any, now int64) row {
	r := row{fields: make([]string, len(list)), now: now, absent: true}
	for i, v := range list {
		if v != nil {
			r.fields[i], r.absent = d.text("field", v), false
		}
	}
	last := len(list) - 1
	if written := r.fields[last]; written != "" && written != escape.Replace(name) {
		r.bad = "the reply is another breaker's"
	}
	r.fields = r.fields[:last]
	return r
}

// snapshotFields reads the fields of a snapshot, unless they are not this breaker's: a broken proxy or client handed out
// another's, or the key holds something else.
func (r *row) snapshotFields(d *decoder) snapshotFields {
	if r.bad != "" {
		d.fail("%s", r.bad)
		return snapshotFields{}
	}
	return d.snapshotFields(r.fields[:len(snapshotFieldNames)], r.now)
}

// Read gives snapshots of names, or of all breakers of the index. It writes nothing.
func (s *Store) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	if s.closed() {
		return nil, store.ErrClosed
	}
	if len(names) == 0 {
		var err error
		if names, err = s.indexed(ctx); err != nil {
			return nil, err
		}
		sort.Strings(names)
	}
	names = valid(names)
	rows, err := s.read(ctx, names, snapshotFieldNames[:])
	if err != nil {
		return nil, err
	}
	out := make([]store.Snapshot, 0, len(rows))
	var unreadable *store.UnreadableError
	for i, r := range rows {
		if r.absent {
			continue
		}
		d := decoder{of: "read"}
		f := r.snapshotFields(&d)
		if d.problem == "" && f.hidden {
			continue
		}
		var snapshot store.Snapshot
		if d.problem == "" {
			snapshot = d.snapshot(names[i], f, store.Policy{})
		}
		if err := d.err(); err != nil {
			unreadable = alsoUnreadable(unreadable, names[i], err)
			continue
		}
		out = append(out, snapshot)
	}
	if unreadable != nil {
		return out, unreadable
	}
	return out, nil
}

// alsoUnreadable adds a breaker that cannot be read to those that are known so far.
func alsoUnreadable(e *store.UnreadableError, name string, err error) *store.UnreadableError {
	if e == nil {
		e = &store.UnreadableError{Err: err}
	}
	e.Names = append(e.Names, name)
	return e
}

// valid leaves out what cannot be a name.
func valid(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if store.ValidateName(name) == nil {
			out = append(out, name)
		}
	}
	return out
}

// Versions reads two numbers of each name in one pipeline, without a script. A breaker that cannot be read is left out:
// the report that follows for it says why.
func (s *Store) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	if s.closed() {
		return nil, store.ErrClosed
	}
	names = valid(names)
	calls := make([]*call, len(names))
	for i, name := range names {
		key := s.keys.breaker(name)
		calls[i] = &call{key: key, args: []any{"hmget", key, "generation", "rev", "tomb", nameField}}
	}
	if err := s.exchange(ctx, s.laneOf(calls), calls); err != nil {
		return nil, err
	}
	out := make([]store.Version, 0, len(names))
	for i, c := range calls {
		if notAHash(c.err) {
			continue
		}
		if c.err != nil {
			return nil, s.failure(c.err)
		}
		d := decoder{of: "versions"}
		r := d.row(names[i], d.list(c.reply, 4), 0)
		if err := d.err(); err != nil {
			return nil, err
		}
		if r.absent || r.bad != "" || r.fields[2] != "" {
			continue
		}
		v := store.Version{
			Name: names[i], Generation: uint64(d.numbers("generation", r.fields[0], 1)[0]),
			Rev: uint64(d.numbers("rev", r.fields[1], 1)[0]),
		}
		if d.err() == nil {
			out = append(out, v)
		}
	}
	return out, nil
}

// Roster lists the replicas that reported in this slice of 30 s or the one before, by name.
func (s *Store) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	rosters, err := s.Rosters(ctx, name)
	return rosters[name], ofOne(err)
}

// wholeBatch is how many whole hashes one exchange reads: one of 1000 replicas has 100 kB.
const wholeBatch = 100

// Rosters gives [Store.Roster] of each of the names, in a few exchanges. Breakers that are not there have no entry. An
// *[store.UnreadableError] comes beside the rosters of the others. It writes nothing.
func (s *Store) Rosters(ctx context.Context, names ...string) (map[string][]store.Replica, error) {
	wholes := map[string]*call{}
	return each(ctx, s, "roster", names, nil, func(batch []string) error {
		calls, err := s.wholes(ctx, batch)
		for i, c := range calls {
			wholes[batch[i]] = c
		}
		return err
	}, func(d *decoder, name string, f snapshotFields, _ []string) []store.Replica {
		return d.roster(name, wholes[name], f)
	})
}

// each decodes something of each breaker that is to be seen: from its snapshot's fields, from some more fields, and from what
// prepare may have read of the batch.
func each[T any](ctx context.Context, s *Store, of string, names, fields []string, prepare func(batch []string) error,
	decode func(d *decoder, name string, f snapshotFields, fields []string) T,
) (map[string]T, error) {
	if s.closed() {
		return nil, store.ErrClosed
	}
	out := map[string]T{}
	var unreadable *store.UnreadableError
	for batch := range slices.Chunk(valid(names), wholeBatch) {
		rows, err := s.read(ctx, batch, slices.Concat(snapshotFieldNames[:], fields))
		if err == nil && prepare != nil {
			err = prepare(batch)
		}
		if err != nil {
			return nil, err
		}
		for i, r := range rows {
			if r.absent {
				continue
			}
			d := decoder{of: of}
			f := r.snapshotFields(&d)
			if d.problem == "" && f.hidden {
				continue
			}
			var made T
			if d.problem == "" {
				made = decode(&d, batch[i], f, r.fields[len(snapshotFieldNames):])
			}
			if err := d.err(); err != nil {
				unreadable = alsoUnreadable(unreadable, batch[i], err)
			} else {
				out[batch[i]] = made
			}
		}
	}
	if unreadable != nil {
		return out, unreadable
	}
	return out, nil
}

// wholes reads the whole hash of each name.
func (s *Store) wholes(ctx context.Context, names []string) ([]*call, error) {
	calls := make([]*call, len(names))
	for i, name := range names {
		key := s.keys.breaker(name)
		calls[i] = &call{key: key, args: []any{"hgetall", key}}
	}
	if err := s.exchange(ctx, s.laneOf(calls), calls); err != nil {
		return nil, err
	}
	for _, c := range calls {
		if c.err != nil && !notAHash(c.err) {
			return nil, s.failure(c.err)
		}
	}
	return calls, nil
}

// roster reads the entries of the roster in a whole hash.
func (d *decoder) roster(name string, whole *call, f snapshotFields) []store.Replica {
	var out []store.Replica
	all := d.fieldsOf(whole.reply)
	if other := all[nameField]; other != "" && other != escape.Replace(name) {
		d.fail("the reply is another breaker's")
	}
	for field, value := range all {
		replica, ok := strings.CutPrefix(field, "r:")
		if !ok {
			continue
		}
		if r, ok := d.replica(replica, value, f.m); ok {
			if r.Conflict {
				d.differs(&r, all["p:"+replica], f.policy)
			}
			out = append(out, r)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// fieldsOf reads the reply to HGETALL: a list in RESP 2, a map in RESP 3.
func (d *decoder) fieldsOf(reply any) map[string]string {
	out := map[string]string{}
	switch reply := reply.(type) {
	case map[any]any:
		for k, v := range reply {
			out[d.text("field", k)] = d.text("value", v)
		}
	case []any:
		if len(reply)%2 != 0 {
			d.fail("%d elements; want pairs", len(reply))
			break
		}
		for i := 0; i < len(reply); i += 2 {
			out[d.text("field", reply[i])] = d.text("value", reply[i+1])
		}
	default:
		d.fail("%T; want fields", reply)
	}
	return out
}

// History lists the newest transitions and commands, newest first. One that cannot be read, such as a newer release's, is left
// out: the others are told all the same.
func (s *Store) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	histories, err := s.Histories(ctx, limit, name)
	return histories[name], ofOne(err)
}

// Histories gives [Store.History] of each of the names, in a few exchanges. Breakers that are not there have no entry. An
// *[store.UnreadableError] comes beside the histories of the others. It writes nothing.
func (s *Store) Histories(ctx context.Context, limit int, names ...string) (map[string][]store.Transition, error) {
	if limit <= 0 {
		limit = limits.HistoryKept + 1
	}
	fields := make([]string, 0, limits.HistoryKept+2)
	fields = append(fields, "count", "outage")
	for i := range limits.HistoryKept {
		fields = append(fields, "h"+strconv.Itoa(i))
	}
	return each(ctx, s, "history", names, fields, nil, func(d *decoder, name string, f snapshotFields, fields []string) []store.Transition {
		return d.history(name, fields, f, limit)
	})
}

// history reads the count of entries that were ever written, those that are kept, and the one that began an outage, if they
// begin in the middle of it.
func (d *decoder) history(name string, fields []string, f snapshotFields, limit int) []store.Transition {
	written := d.numbers("count", fields[0], 2)[0]
	if d.problem != "" {
		return nil
	}
	var out []store.Transition
	add := func(entry string) {
		one := decoder{of: "history"}
		if t := one.transition(name, entry, f.off); one.problem == "" {
			out = append(out, t)
		}
	}
	oldest := max(written-limits.HistoryKept, 0)
	for i := written - 1; i >= oldest && len(out) < limit; i-- {
		add(fields[2+i%limits.HistoryKept])
	}
	closed := func(t store.Transition) bool { return t.Effective() == store.Closed }
	number, entry, _ := strings.Cut(fields[1], "\n")
	if number == strconv.FormatInt(oldest, 10) && len(out) < limit && !slices.ContainsFunc(out, closed) {
		add(entry)
	}
	return out
}

// ofOne is the error of a read of one breaker.
func ofOne(err error) error {
	if bad, ok := errors.AsType[*store.UnreadableError](err); ok {
		return bad.Err
	}
	return err
}
