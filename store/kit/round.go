package storekit

import (
	"bytes"
	"context"
	"fmt"

	"github.com/commontrip/commontrip/internal/machine"
)

// round is one call of a Judge: the machines of the names that a step is about, and what the requests make of them.
type round struct {
	s      *Store
	now    int64
	cells  map[string]*cell
	effect Effect
}

// cell is what stands under a name.
type cell struct {
	name    string
	record  Record // as it is held; empty if nothing is
	machine machine.Machine
	err     error // the record cannot be read
}

// step carries out requests about sorted names as one atomic step. requests may be called again, and begins from scratch then.
func (s *Store) step(ctx context.Context, verb string, names []string, requests func(*round)) error {
	return s.call(ctx, verb, func(ctx context.Context) error {
		return s.backend.Step(ctx, names, func(now int64, held []Record) Effect {
			r := &round{s: s, now: s.millis(now), cells: make(map[string]*cell, len(names))}
			for _, name := range names {
				r.cells[name] = &cell{name: name}
			}
			for _, record := range held {
				if c := r.cells[record.Name]; c != nil {
					c.load(record)
				}
			}
			requests(r)
			for _, name := range names {
				r.save(r.cells[name])
			}
			return r.effect
		})
	})
}

// load reads what is held.
func (c *cell) load(record Record) {
	c.record = record
	if err := c.machine.Load(record.Name, record.Data); err != nil {
		c.err = fmt.Errorf("storekit: the record of %q: %w", record.Name, err)
	}
}

// on runs one request on a name's machine. It is an error if what is held cannot be read.
func (r *round) on(name string, request func(m *machine.Machine, now int64)) error {
	c := r.cells[name]
	if c.err != nil {
		return c.err
	}
	request(&c.machine, r.now)
	for _, t := range c.machine.Written() {
		r.effect.Push = append(r.effect.Push, r.s.encodePush(t, c.machine.Current(name)))
	}
	return nil
}

// save writes a machine that has changed.
func (r *round) save(c *cell) {
	if c.err != nil || c.machine.Absent() {
		return
	}
	data := c.machine.Save(make([]byte, 0, len(c.record.Data)+64))
	if bytes.Equal(data, c.record.Data) {
		return
	}
	record := Record{Name: c.name, Data: data, Shown: !c.machine.Removed()}
	numbers := c.machine.Current(c.name)
	record.Generation, record.Rev = numbers.Generation, numbers.Rev
	if life := c.machine.Lifetime(); life > 0 {
		record.Expires = r.now + life
	}
	r.effect.Put = append(r.effect.Put, record)
}
