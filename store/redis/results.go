package redisstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// errAbsent: a settlement for a breaker that is not there.
var errAbsent = errors.New("redisstore: absent")

// headLen is what a script's reply holds before the snapshot's fields: 'ok', token, fresh, pushed, made.
const headLen = 5

// result reads the reply of a script that answers with a snapshot. policy stands in for a tombstone's. more reads the two
// elements that only a claim's reply has. fresh: the breaker is newly to be seen.
func (s *Store) result(of, name string, policy store.Policy, c *call, more func(*decoder, []any)) (store.Result, bool, error) {
	if c.err != nil {
		return store.Result{}, false, s.failure(c.err)
	}
	if err := refusal(of, c); err != nil {
		return store.Result{}, false, err
	}
	d := decoder{of: of}
	size := headLen + len(snapshotFieldNames)
	if more != nil {
		size += 2
	}
	list := d.list(c.reply, size)
	if d.problem != "" {
		return store.Result{}, false, d.err()
	}
	if word := d.text("word", list[0]); word != "ok" {
		d.fail("%.40q; want ok", word)
	}
	d.token(list[1], c)
	fresh := d.small("fresh", list[2], 0, 1) == 1
	pushed := d.small("pushed", list[3], -1, 1)
	made := d.text("made", list[4])
	fields := make([]string, len(snapshotFieldNames))
	for i, field := range snapshotFieldNames {
		fields[i] = d.text(field, list[headLen+i])
	}
	f := d.snapshotFields(fields, -1)
	result := store.Result{Snapshot: d.snapshot(name, f, policy)}
	if made != "" {
		t := d.transition(name, made, f.off)
		result.Made = &t
	}
	if more != nil {
		more(&d, list[size-2:])
	}
	if d.problem != "" {
		return store.Result{}, false, d.err()
	}
	s.pushes.note(pushed)
	return result, fresh, nil
}

// refusal reads the replies that hold no snapshot.
func refusal(of string, c *call) error {
	list, ok := c.reply.([]any)
	if !ok || len(list) < 2 || len(list) > 4 {
		return nil
	}
	d := decoder{of: of}
	if d.token(list[1], c); d.problem != "" {
		return d.err()
	}
	switch word := d.text("word", list[0]); {
	case word == "unknown" && len(list) == 2:
		return store.ErrUnknown
	case word == "absent" && len(list) == 2:
		return errAbsent
	case word == "invalid" && len(list) == 4:
		field, value := d.text("field", list[2]), d.text("value", list[3])
		if field == "Report.SentAt" {
			n := d.numbers(field, value, 1)[0]
			if d.problem == "" {
				return fmt.Errorf("%w: by %v", store.ErrLate, span(n))
			}
		}
		if field == "Known.Generation" || field == "Known.Rev" {
			n := d.numbers(field, value, 1)[0]
			if d.problem == "" {
				return fmt.Errorf("%w: %s is %d; want at most the store's own or its clock in ms + 24h", store.ErrAhead, field, n)
			}
		}
	}
	d.fail("a list of %d elements", len(list))
	return d.err()
}

// token checks that a reply is the one to this call: a broken proxy or client may hand out another's, of the same shape.
func (d *decoder) token(v any, c *call) {
	if d.text("token", v) != c.token {
		d.fail("the reply is another request's")
	}
}

// leases reads a claim's: lines of id, generation, what is left in ms.
func (d *decoder) leases(name, s string) []store.Lease {
	var out []store.Lease
	for s != "" {
		line, rest, ok := strings.Cut(s, "\n")
		id, numbers, _ := strings.Cut(line, " ")
		if !ok || store.ValidateName(id) != nil {
			d.fail("leases has the line %.60q", line)
			return nil
		}
		n := d.numbers("lease", numbers, 2)
		out = append(out, store.Lease{Name: name, ID: id, Generation: uint64(n[0]), For: min(span(n[1]), store.MaxFor)})
		s = rest
	}
	return out
}
