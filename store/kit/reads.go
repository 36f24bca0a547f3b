package storekit

import (
	"context"
	"slices"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// look reads names, or all that are shown, in order.
func (s *Store) look(ctx context.Context, verb string, names []string) (now int64, cells []*cell, err error) {
	all := len(names) == 0
	if names = valid(names); len(names) == 0 && !all {
		return 0, nil, s.open(ctx, verb)
	}
	var records []Record
	err = s.call(ctx, verb, func(ctx context.Context) (err error) {
		now, records, err = s.backend.Look(ctx, names)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	found := make(map[string]*cell, len(records))
	for _, record := range records {
		found[record.Name] = &cell{name: record.Name}
		found[record.Name].load(record)
		if all {
			names = append(names, record.Name)
		}
	}
	if all {
		slices.SortFunc(names, strings.Compare)
	}
	for _, name := range names {
		if c := found[name]; c != nil {
			cells = append(cells, c)
		}
	}
	return s.millis(now), cells, nil
}

// valid leaves out the names that no breaker has.
func valid(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return store.ValidateName(name) != nil })
}

// Read implements [store.Store].
func (s *Store) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	now, cells, err := s.look(ctx, "Read", names)
	if err != nil {
		return nil, err
	}
	var out []store.Snapshot
	err = readable(cells, func(c *cell) {
		if snapshot, ok := c.machine.Snapshot(now, c.name); ok {
			out = append(out, snapshot)
		}
	})
	return out, err
}

// readable hands over the cells that can be read. Its error names the others.
func readable(cells []*cell, read func(*cell)) error {
	var bad *store.UnreadableError
	for _, c := range cells {
		if c.err == nil {
			read(c)
			continue
		}
		if bad == nil {
			bad = &store.UnreadableError{Err: c.err}
		}
		bad.Names = append(bad.Names, c.name)
	}
	if bad == nil {
		return nil // not bad, which would be a nil pointer in an error
	}
	return bad
}

// Versions implements [store.Store].
func (s *Store) Versions(ctx context.Context, names ...string) (out []store.Version, err error) {
	if names = valid(names); len(names) == 0 {
		return nil, s.open(ctx, "Versions")
	}
	found := make(map[string]store.Version, len(names))
	err = s.call(ctx, "Versions", func(ctx context.Context) error {
		versions, err := s.versions(ctx, names)
		for _, v := range versions {
			found[v.Name] = v
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if v, ok := found[name]; ok {
			out = append(out, v)
		}
	}
	return out, nil
}

// versions asks the Backend in the way that costs it least.
func (s *Store) versions(ctx context.Context, names []string) ([]store.Version, error) {
	if v, ok := s.backend.(Versioner); ok {
		return v.Versions(ctx, names)
	}
	_, records, err := s.backend.Look(ctx, names)
	var out []store.Version
	for _, r := range records {
		if r.Shown {
			out = append(out, store.Version{Name: r.Name, Generation: r.Generation, Rev: r.Rev})
		}
	}
	return out, err
}

// Roster implements [store.Store].
func (s *Store) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	now, c, err := s.lookAt(ctx, "Roster", name)
	if err != nil || c == nil {
		return nil, err
	}
	return c.machine.Roster(now), nil
}

// History implements [store.Store].
func (s *Store) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	now, c, err := s.lookAt(ctx, "History", name)
	if err != nil || c == nil {
		return nil, err
	}
	return c.machine.History(now, name, limit), nil
}

// lookAt reads one name; nil: nothing is there.
func (s *Store) lookAt(ctx context.Context, verb, name string) (now int64, c *cell, err error) {
	now, cells, err := s.look(ctx, verb, []string{name})
	if err != nil || len(cells) == 0 {
		return 0, nil, err
	}
	return now, cells[0], cells[0].err
}

// Rosters gives [Store.Roster] of each of the names in one exchange. Breakers that are not there have no entry. An
// *[store.UnreadableError] comes beside the rosters of the others. It writes nothing.
func (s *Store) Rosters(ctx context.Context, names ...string) (map[string][]store.Replica, error) {
	return each(ctx, s, "Roster", names, func(c *cell, now int64) []store.Replica { return c.machine.Roster(now) })
}

// Histories gives [Store.History] of each of the names in one exchange, as Rosters does.
func (s *Store) Histories(ctx context.Context, limit int, names ...string) (map[string][]store.Transition, error) {
	return each(ctx, s, "History", names, func(c *cell, now int64) []store.Transition { return c.machine.History(now, c.name, limit) })
}

// each reads something of each breaker that is shown.
func each[T any](ctx context.Context, s *Store, verb string, names []string, read func(c *cell, now int64) T) (map[string]T, error) {
	if len(names) == 0 {
		return nil, s.open(ctx, verb)
	}
	now, cells, err := s.look(ctx, verb, names)
	if err != nil {
		return nil, err
	}
	out := map[string]T{}
	err = readable(cells, func(c *cell) {
		if !c.machine.Removed() {
			out[c.name] = read(c, now)
		}
	})
	return out, err
}
