package storetest

import (
	"slices"

	"github.com/commontrip/commontrip/store"
)

func namesOf[T any](list []T, name func(T) string) []string {
	names := []string{}
	for _, e := range list {
		names = append(names, name(e))
	}
	return names
}

func snapshotName(s store.Snapshot) string { return s.Name }
func versionName(v store.Version) string   { return v.Name }

var readRules = []rule{
	{
		"reading names keeps their order",
		"Read and Versions give the named breakers in the order asked and leave unknown and badly named ones out.",
		func(w *world) {
			for _, name := range []string{"a", "b", "c"} {
				w.send(w.reportOn(name, "r"))
			}
			asked := []string{"c", "no such", "a", "", "\n", "b"}
			same(w, "Read", namesOf(w.readAll(asked...), snapshotName), []string{"c", "a", "b"})
			same(w, "Versions", namesOf(w.versions(asked...), versionName), []string{"c", "a", "b"})
		},
	},
	{
		"reading everything goes by name",
		"Read without names gives every breaker, sorted by name; Versions without names gives none.",
		func(w *world) {
			same(w, "an empty store", len(w.readAll()), 0)
			names := []string{"b", "é", "a", "B", "a b", "10", "9"}
			for _, name := range names {
				w.send(w.reportOn(name, "r"))
			}
			slices.Sort(names)
			same(w, "Read", namesOf(w.readAll(), snapshotName), names)
			same(w, "Versions", len(w.versions()), 0)
		},
	},
	{
		"reading nothing that is there is no error",
		"Unknown names have no snapshot, version, roster or history, and no error.",
		func(w *world) {
			for _, name := range append([]string{tier}, badNames...) {
				w.wantEmpty(name)
			}
			same(w, "reading makes no breaker", len(w.readAll()), 0)
		},
	},
	{
		"reading makes no transition",
		"A read writes nothing: polling an open breaker past its time does not make it half-open, nor end a force.",
		func(w *world) {
			w.trip()
			w.force(store.ForceClosed, sec)
			w.after(hour)
			before := w.everything()
			for range 10 {
				w.everything()
			}
			same(w, "what the store shows", w.everything(), before)
			s := w.read()
			same(w, "state, mode", []any{s.State, s.Mode}, []any{store.Open, store.ForcedClosed})
		},
	},
	{
		"reading is no sign of life",
		"A read makes no roster entry and moves none.",
		func(w *world) {
			w.touch()
			w.after(20 * sec)
			w.everything()
			same(w, "Seen", w.member("a").Seen, 20*sec)
			w.after(41 * sec)
			w.everything()
			same(w, "roster", len(w.roster()), 0)
		},
	},
	{
		"a result's snapshot is what a read shows",
		"Each script answers with the snapshot that a read at the same time shows.",
		func(w *world) {
			w.policy = doubling
			w.agree("a report", w.tell("a", labelled("timeout", 1), ignored(1)).Snapshot)
			w.agree("a command", w.force(store.ForceOpen, sec).Snapshot)
			w.after(sec)
			g := w.claim("a", 1)
			w.agree("a claim", g.Snapshot)
			w.agree("a settlement", w.settle("a", g.Leases[0], store.Failure).Snapshot)
			w.after(hour)
			w.agree("a retune", w.retune(another, minute).Snapshot)
			w.agree("a sign of life", w.touch().Snapshot)
		},
	},
	{
		"versions are the snapshot's numbers",
		"Versions is Read of two numbers only.",
		func(w *world) {
			w.trip()
			w.do(store.ForceOpen)
			s := w.read()
			same(w, "versions", w.versions(tier), []store.Version{{Name: tier, Generation: s.Generation, Rev: s.Rev}})
		},
	},
	{
		"a roster is sorted by name",
		"A roster is listed by name.",
		func(w *world) {
			names := []string{"web-10", "web-2", "Web-1", "é", "a b"}
			for _, name := range names {
				w.tell(name)
			}
			slices.Sort(names)
			same(w, "roster", namesOf(w.roster(), func(r store.Replica) string { return r.Name }), names)
		},
	},
	{
		"a reader may do with an answer what it likes",
		"What a store returns is the caller's: changing it changes nothing in the store, nor in what another was given.",
		func(w *world) {
			result := w.tell("a", labelled("timeout", 5))
			w.tell("a", labelled("refused", 2))
			spoil := func() {
				for _, s := range w.readAll(tier) {
					s.Errors[0].Label = "spoilt"
				}
				for _, e := range w.history() {
					e.Errors[0].Label, e.Witnesses[0] = "spoilt", "spoilt"
				}
				w.roster()[0].Name = "spoilt"
				w.versions(tier)[0].Name = "spoilt"
				result.Made.Errors[0].Label, result.Made.Witnesses[0] = "spoilt", "spoilt"
			}
			w.wantUnchanged("spoiling answers", spoil)
		},
	},
}

// agree wants a script's snapshot to be what a read shows.
func (w *world) agree(what string, s store.Snapshot) {
	w.Helper()
	same(w, "the snapshot of "+what, inMillis(s), inMillis(w.read()))
}

// wantEmpty wants every read of a name to be empty and no error.
func (w *world) wantEmpty(name string) {
	w.Helper()
	same(w, "snapshots", len(w.readAll(name)), 0)
	same(w, "versions", len(w.versions(name)), 0)
	roster, err := w.store.Roster(w.ctx, name)
	same(w, "roster", []any{len(roster), err}, []any{0, error(nil)})
	history, err := w.store.History(w.ctx, name, 0)
	same(w, "history", []any{len(history), err}, []any{0, error(nil)})
}
