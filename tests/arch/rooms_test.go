package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// rooms are the types of package breaker that keep their fields to themselves. Each names a second type whose methods may
// touch them, and each field that others may read although a lock of the room guards its other fields.
var rooms = map[string]struct {
	with   string
	lock   bool // it has a lock of its own
	open   map[string]string
	upward string // why its methods may call those of the coordinator
}{
	"epoch": {}, "outbox": {}, "fleetState": {}, "localBreaker": {}, "liveness": {}, "delivery": {},
	"counter": {}, "refusals": {}, "exchangeStats": {}, "latencies": {},
	"backlog":      {with: "outbox"}, // it is the part of one that an idle breaker does without
	"listener":     {lock: true},
	"pendingClaim": {lock: true, open: map[string]string{"answered": "never changes"}},
	"probes": {
		lock: true, open: map[string]string{"c": "never changes"},
		upward: "it makes exchanges with the store, in the call that needs a lease, and holds no lock of its own meanwhile",
	},
	"lane": {
		lock: true, with: "member", open: map[string]string{
			"timing": "never changes", "remote": "never changes", "salt": "never changes", "stats": "never changes",
			"wake": "never changes", "turned": "never changes", "healthy": "atomic",
		},
	},
	"member": {
		lock: true, with: "lane", open: map[string]string{
			"lane": "never changes", "breaker": "never changes",
		},
	},
}

func TestARoomsFieldsAreItsOwn(t *testing.T) {
	p := load(t)
	for _, f := range p.functions {
		f.inspect(func(stack []ast.Node) {
			owner, field := p.field(stack[len(stack)-1])
			room, isRoom := rooms[owner]
			switch at := p.at(stack[len(stack)-1]); {
			case !isRoom || f.receiver == owner || f.receiver != "" && f.receiver == room.with:
			case p.changed(stack):
				t.Errorf("%s: %s changes %s.%s", at, f.name, owner, field)
			case room.lock && room.open[field] == "":
				t.Errorf("%s: %s reads %s.%s, which a lock of the %s guards", at, f.name, owner, field, owner)
			}
		})
	}
	for name, room := range rooms {
		for field := range room.open {
			if !slices.Contains(p.fieldsOf(name), field) {
				t.Errorf("the list of open fields names %s.%s, which is gone", name, field)
			}
		}
		if len(p.fieldsOf(name)) == 0 {
			t.Errorf("the list of rooms names %s, which is gone", name)
		}
	}
}

// A room gives back what has changed, and calls nobody above it.
func TestNoRoomCallsBack(t *testing.T) {
	p := load(t)
	for _, f := range p.functions {
		room, isRoom := rooms[f.receiver]
		if !isRoom || room.upward != "" {
			continue
		}
		f.inspect(func(stack []ast.Node) {
			owner, method := p.method(stack[len(stack)-1])
			if slices.Contains([]string{"Breaker", "coordinator", "rooms", "Manager", "reporter"}, owner) {
				t.Errorf("%s: %s uses %s.%s", p.at(stack[len(stack)-1]), f.name, owner, method)
			}
		})
	}
}

// Who touches the rooms of a breaker is a method of rooms, or has taken the coordinator's lock itself. Who takes a lock gives
// it back, and nobody else's.
func TestLocksAreHeldByWhoTakesThem(t *testing.T) {
	p := load(t)
	for _, f := range p.functions {
		w := walk{p: p, f: f, t: t}
		if held, ended := w.block(f.body.List, nil); !ended {
			w.end(f.body, held)
		}
	}
}

// newRooms makes rooms that nobody else has yet.
const newRooms = "newBreaker"

// walk follows the statements of a function with the locks that it holds, by their names in the source.
type walk struct {
	p        *source
	f        function
	t        *testing.T
	deferred []string // locks that are given back at the end
}

// block gives the locks that are held after some statements, and whether these do not come to their end.
func (w *walk) block(list []ast.Stmt, held []string) (after []string, ended bool) {
	for _, stmt := range list {
		if held, ended = w.stmt(stmt, held); ended {
			return held, true
		}
	}
	return held, false
}

func (w *walk) stmt(stmt ast.Stmt, held []string) (after []string, ended bool) {
	w.touches(stmt, held)
	switch s := stmt.(type) {
	case *ast.ExprStmt:
		switch lock, verb := w.p.lock(s.X); verb {
		case "Lock":
			return append(slices.Clip(held), lock), false
		case "Unlock":
			w.gives(s, lock, held)
			return slices.DeleteFunc(slices.Clone(held), func(l string) bool { return l == lock }), false
		}
	case *ast.DeferStmt:
		if lock, verb := w.p.lock(s.Call); verb == "Unlock" {
			w.gives(s, lock, held)
			w.deferred = append(w.deferred, lock)
		}
	case *ast.ReturnStmt:
		w.end(s, held)
		return held, true
	case *ast.BranchStmt:
		return held, true
	}
	for _, body := range bodies(stmt) {
		if then, ended := w.block(body, held); !ended && !slices.Equal(w.kept(then), w.kept(held)) {
			w.t.Errorf("%s: %s holds %v on one way and %v on another", w.p.at(stmt), w.f.name, then, held)
		}
	}
	return held, false
}

func (w *walk) gives(at ast.Node, lock string, held []string) {
	if !slices.Contains(held, lock) {
		w.t.Errorf("%s: %s gives back %s, which it has not taken", w.p.at(at), w.f.name, lock)
	}
}

func (w *walk) end(at ast.Node, held []string) {
	if kept := w.kept(held); len(kept) > 0 {
		w.t.Errorf("%s: %s ends with %v held", w.p.at(at), w.f.name, kept)
	}
}

// kept are those of the locks that the end of the function does not give back.
func (w *walk) kept(held []string) []string {
	return slices.DeleteFunc(slices.Clone(held), func(l string) bool { return slices.Contains(w.deferred, l) })
}

// touches looks at what stands in a statement itself.
func (w *walk) touches(stmt ast.Stmt, held []string) {
	if w.f.receiver == "rooms" || w.f.name == newRooms || slices.ContainsFunc(held, func(l string) bool { return strings.HasSuffix(l, ".mu (coordinator)") }) {
		return
	}
	eachPart(stmt, func(n ast.Node) {
		field, _ := w.p.field(n)
		method, _ := w.p.method(n)
		if _, name := w.p.field(n); field == "coordinator" && name == "rooms" || method == "rooms" {
			w.t.Errorf("%s: %s touches rooms without the coordinator's lock", w.p.at(n), w.f.name)
		}
	})
}
