package machine

import (
	"slices"

	"github.com/commontrip/commontrip/internal/limits"
)

// place orders outcomes: by the bucket of a window of time (0 in a window of calls), then by arrival.
type place struct {
	bucket  int64
	arrival uint64
}

// before reports that p is the older place.
func (p place) before(q place) bool {
	return p.bucket < q.bucket || p.bucket == q.bucket && p.arrival < q.arrival
}

// witness is a replica and the place of its newest adverse outcome of one kind.
type witness struct {
	replica string
	place   place
}

// witnesses are the replicas whose newest outcomes have the greatest places: as many as a policy can ask for.
type witnesses []witness

// touch moves a replica to its newest place, never back. A full list gives up its least place, or the new one if that is the
// least.
func (w *witnesses) touch(replica string, p place) {
	least := -1
	for i := range *w {
		known := &(*w)[i]
		if known.replica == replica {
			// mutant: place
			if known.place.before(p) {
				known.place = p
			}
			return
		}
		if least < 0 || known.place.before((*w)[least].place) {
			least = i
		}
	}
	switch {
	case len(*w) < limits.WitnessesKept:
		*w = append(*w, witness{replica, p})
	case (*w)[least].place.before(p):
		(*w)[least] = witness{replica, p}
	}
}

// since counts the replicas whose place is not before p.
func (w witnesses) since(p place) int {
	n := 0
	for i := range w {
		if !w[i].place.before(p) {
			n++
		}
	}
	return n
}

// names are those that since counts, sorted, the first few.
func (w witnesses) names(p place) []string {
	var out []string
	for i := range w {
		if !w[i].place.before(p) {
			out = append(out, w[i].replica)
		}
	}
	return firstNames(out)
}

// firstNames sorts names and keeps the first few.
func firstNames(names []string) []string {
	slices.Sort(names)
	return slices.Clip(names[:min(len(names), limits.WitnessesShown)])
}
