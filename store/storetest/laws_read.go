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
		func(f *fixture) {
			for _, name := range []string{"a", "b", "c"} {
				f.send(f.reportOn(name, "r"))
			}
			asked := []string{"c", "no such", "a", "", "\n", "b"}
			same(f, "Read", namesOf(f.readAll(asked...), snapshotName), []string{"c", "a", "b"})
			same(f, "Versions", namesOf(f.versions(asked...), versionName), []string{"c", "a", "b"})
		},
	},
	{
		"reading everything goes by name",
		"Read without names gives every breaker, sorted by name; Versions without names gives none.",
		func(f *fixture) {
			same(f, "an empty store", len(f.readAll()), 0)
			names := []string{"b", "é", "a", "B", "a b", "10", "9"}
			for _, name := range names {
				f.send(f.reportOn(name, "r"))
			}
			slices.Sort(names)
			same(f, "Read", namesOf(f.readAll(), snapshotName), names)
			same(f, "Versions", len(f.versions()), 0)
		},
	},
	{
		"reading nothing that is there is no error",
		"Unknown names have no snapshot, version, roster or history, and no error.",
		func(f *fixture) {
			for _, name := range append([]string{tier}, badNames...) {
				f.wantEmpty(name)
			}
			same(f, "reading makes no breaker", len(f.readAll()), 0)
		},
	},
	{
		"reading makes no transition",
		"A read writes nothing: polling an open breaker past its time does not make it half-open, nor end a force.",
		func(f *fixture) {
			f.trip()
			f.force(store.ForceClosed, sec)
			f.after(hour)
			before := f.everything()
			for range 10 {
				f.everything()
			}
			same(f, "what the store shows", f.everything(), before)
			s := f.read()
			same(f, "state, mode", []any{s.State, s.Mode}, []any{store.Open, store.ForcedClosed})
		},
	},
	{
		"reading is no sign of life",
		"A read makes no roster entry and moves none.",
		func(f *fixture) {
			f.touch()
			f.after(20 * sec)
			f.everything()
			same(f, "Seen", f.member("a").Seen, 20*sec)
			f.after(41 * sec)
			f.everything()
			same(f, "roster", len(f.roster()), 0)
		},
	},
	{
		"a result's snapshot is what a read shows",
		"Each script answers with the snapshot that a read at the same time shows.",
		func(f *fixture) {
			f.policy = doubling
			f.agree("a report", f.tell("a", labelled("timeout", 1), ignored(1)).Snapshot)
			f.agree("a command", f.force(store.ForceOpen, sec).Snapshot)
			f.after(sec)
			g := f.claim("a", 1)
			f.agree("a claim", g.Snapshot)
			f.agree("a settlement", f.settle("a", g.Leases[0], store.Failure).Snapshot)
			f.after(hour)
			f.agree("a retune", f.retune(another, minute).Snapshot)
			f.agree("a sign of life", f.touch().Snapshot)
		},
	},
	{
		"versions are the snapshot's numbers",
		"Versions is Read of two numbers only.",
		func(f *fixture) {
			f.trip()
			f.do(store.ForceOpen)
			s := f.read()
			same(f, "versions", f.versions(tier), []store.Version{{Name: tier, Generation: s.Generation, Rev: s.Rev}})
		},
	},
	{
		"a roster is sorted by name",
		"A roster is listed by name.",
		func(f *fixture) {
			names := []string{"web-10", "web-2", "Web-1", "é", "a b"}
			for _, name := range names {
				f.tell(name)
			}
			slices.Sort(names)
			same(f, "roster", namesOf(f.roster(), func(r store.Replica) string { return r.Name }), names)
		},
	},
	{
		"a reader may do with an answer what it likes",
		"What a store returns is the caller's: changing it changes nothing in the store, nor in what another was given.",
		func(f *fixture) {
			result := f.tell("a", labelled("timeout", 5))
			f.tell("a", labelled("refused", 2))
			spoil := func() {
				for _, s := range f.readAll(tier) {
					s.Errors[0].Label = "spoilt"
				}
				for _, e := range f.history() {
					e.Errors[0].Label, e.Witnesses[0] = "spoilt", "spoilt"
				}
				f.roster()[0].Name = "spoilt"
				f.versions(tier)[0].Name = "spoilt"
				result.Made.Errors[0].Label, result.Made.Witnesses[0] = "spoilt", "spoilt"
			}
			f.wantUnchanged("spoiling answers", spoil)
		},
	},
}

// agree wants a script's snapshot to be what a read shows.
func (f *fixture) agree(what string, s store.Snapshot) {
	f.Helper()
	same(f, "the snapshot of "+what, inMillis(s), inMillis(f.read()))
}

// wantEmpty wants every read of a name to be empty and no error.
func (f *fixture) wantEmpty(name string) {
	f.Helper()
	same(f, "snapshots", len(f.readAll(name)), 0)
	same(f, "versions", len(f.versions(name)), 0)
	roster, err := f.store.Roster(f.ctx, name)
	same(f, "roster", []any{len(roster), err}, []any{0, error(nil)})
	history, err := f.store.History(f.ctx, name, 0)
	same(f, "history", []any{len(history), err}, []any{0, error(nil)})
}
