package machine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/commontrip/commontrip/store"
)

const (
	labelsKept  = 32 // newest failures whose labels are counted
	labelsShown = 8
)

// labels are those of the newest failures of a generation; an empty one takes its place too.
type labels struct {
	newest []string // grows to labelsKept, then a ring
	oldest int
}

func (m *Machine) label(l string) {
	if m.labels == nil {
		m.labels = &labels{}
	}
	m.labels.add(l)
}

func (l *labels) add(label string) {
	if len(l.newest) < labelsKept {
		l.newest = append(l.newest, label)
		return
	}
	l.newest[l.oldest] = label
	l.oldest = (l.oldest + 1) % labelsKept
}

// top counts them, the most frequent first, ties by label.
func (l *labels) top() []store.ErrorCount {
	if l == nil {
		return nil
	}
	var out []store.ErrorCount
	for _, label := range l.newest {
		if label == "" {
			continue
		}
		i := slices.IndexFunc(out, func(e store.ErrorCount) bool { return e.Label == label })
		if i < 0 {
			i = len(out)
			out = append(out, store.ErrorCount{Label: label})
		}
		out[i].Count++
	}
	slices.SortFunc(out, func(a, b store.ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Label, b.Label))
	})
	return slices.Clip(out[:min(len(out), labelsShown)])
}
