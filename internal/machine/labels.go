package machine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// labels are those of the newest failures of a generation. An empty label takes its place, too.
type labels struct {
	newest []string // grows to limits.LabelsKept, then a ring
	oldest int
}

// addLabels enters the label of n failures.
func (m *Machine) addLabels(label string, n int) {
	if m.labels == nil {
		m.labels = &labels{}
	}
	l := m.labels
	for range min(n, limits.LabelsKept) {
		if len(l.newest) < limits.LabelsKept {
			l.newest = append(l.newest, label)
			continue
		}
		l.newest[l.oldest] = label
		l.oldest = (l.oldest + 1) % limits.LabelsKept
	}
}

// countLabels says how often each label came up, the most frequent first, ties by label, and the first few only.
func (m *Machine) countLabels() []store.ErrorCount {
	if m.labels == nil {
		return nil
	}
	var out []store.ErrorCount
	for _, label := range m.labels.newest {
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
	return slices.Clip(out[:min(len(out), limits.LabelsShown)])
}
