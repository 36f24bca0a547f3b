package figures

import "fmt"

// Family is what all breakers, checks or replicas (T) show of a metric.
type Family[T any] struct {
	Metric  ID
	Columns []Column[T]
}

// Column is a series that each of them has.
type Column[T any] struct {
	Values []string // of the metric's labels behind the first, which names the T
	Read   func(*T) float64
	Rare   bool // not shown while it is 0
}

// one is a metric of one series.
func one[T any](m ID, read func(*T) float64) Family[T] {
	return Family[T]{m, []Column[T]{{Read: read}}}
}

// many is a metric of one series a value of its second label.
func many[T, V any](m ID, values []V, read func(*T, V) float64) Family[T] {
	f := Family[T]{Metric: m}
	for _, v := range values {
		f.Columns = append(f.Columns, Column[T]{Values: []string{fmt.Sprint(v)}, Read: func(t *T) float64 { return read(t, v) }})
	}
	return f
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
