package queries

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// examiner goes through queries and notes what cannot be answered.
type examiner struct {
	known    series
	shared   map[string]bool // metrics that all replicas know alike: no sum over them is true
	problems []string
}

func (x *examiner) blame(format string, args ...any) {
	x.problems = append(x.problems, fmt.Sprintf(format, args...))
}

// query parses and examines one query, and gives the labels of its result.
func (x *examiner) query(text string) set {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		x.blame("%s: %v", text, err)
		return nil
	}
	return x.labels(expr)
}

type set map[string]bool

func setOf(names ...string) set {
	s := set{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

// within blames names that are none of s.
func (x *examiner) within(names []string, s set, where any) {
	for _, n := range names {
		if !s[n] {
			x.blame("%v: no label %s; there are %q", where, n, slices.Sorted(maps.Keys(s)))
		}
	}
}

// labels gives the labels of e's result.
func (x *examiner) labels(e parser.Expr) set {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return x.selector(e)
	case *parser.MatrixSelector:
		return x.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return x.labels(e.Expr)
	case *parser.ParenExpr:
		return x.labels(e.Expr)
	case *parser.UnaryExpr:
		return x.labels(e.Expr)
	case *parser.AggregateExpr:
		if e.Op != parser.MAX && e.Op != parser.MIN && e.Op != parser.GROUP {
			x.added(e.Expr, e)
		}
		x.within(e.Grouping, x.labels(e.Expr), e)
		return setOf(e.Grouping...)
	case *parser.Call:
		return x.call(e)
	case *parser.BinaryExpr:
		return x.binary(e)
	default: // numbers and texts
		return set{}
	}
}

func (x *examiner) selector(v *parser.VectorSelector) set {
	have, ok := x.known[v.Name]
	if !ok {
		x.blame("no metric %s", v.Name)
		return nil
	}
	for _, m := range v.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		values, ok := have[m.Name]
		if !ok {
			x.blame("%s has no label %s", v.Name, m.Name)
			continue
		}
		wanted := m.SetMatches()
		if m.Type == labels.MatchEqual {
			wanted = []string{m.Value}
		}
		for _, w := range wanted {
			if len(values) > 0 && !values[w] {
				x.blame("%s is never %s=%q", v.Name, m.Name, w)
			}
		}
	}
	return setOf(slices.Collect(maps.Keys(have))...)
}

func (x *examiner) call(c *parser.Call) set {
	out := set{}
	for _, arg := range c.Args {
		if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			maps.Copy(out, x.labels(arg))
		}
	}
	switch c.Func.Name {
	case "absent":
		return set{}
	case "histogram_quantile":
		x.within([]string{"le"}, out, c)
		delete(out, "le")
	}
	return out
}

func (x *examiner) binary(b *parser.BinaryExpr) set {
	left, right := x.labels(b.LHS), x.labels(b.RHS)
	switch {
	case b.LHS.Type() == parser.ValueTypeScalar:
		return right
	case b.RHS.Type() == parser.ValueTypeScalar:
		return left
	}
	if b.VectorMatching != nil && b.VectorMatching.On {
		x.within(b.VectorMatching.MatchingLabels, left, b)
		x.within(b.VectorMatching.MatchingLabels, right, b)
	} else if !maps.Equal(left, right) {
		x.blame("%s: nothing matches: %q, %q", b, slices.Sorted(maps.Keys(left)), slices.Sorted(maps.Keys(right)))
	}
	return left
}

// added blames metrics that a sum, an average or a count adds up although all replicas know them alike.
func (x *examiner) added(e parser.Expr, by any) {
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		inner := slices.ContainsFunc(path, func(p parser.Node) bool { _, ok := p.(*parser.AggregateExpr); return ok })
		if v, ok := n.(*parser.VectorSelector); ok && !inner && x.shared[v.Name] {
			x.blame("%v adds up %s, which all replicas know alike: take the max", by, v.Name)
		}
		return nil
	})
}

func TestTheExaminerSeesWhatIsWrong(t *testing.T) {
	known := series{}
	known.add("m", map[string]string{"job": "api", "breaker": "mcp", "state": "open"})
	known.add("d_bucket", map[string]string{"job": "api", "le": "+Inf"})
	for query, want := range map[string]string{
		`m`: "",
		`sum by (job) (rate(m{state="open"}[5m])) / on (job) max by (job) (m) > 0.5`: "",
		`histogram_quantile(0.9, sum by (job, le) (rate(d_bucket[5m])))`:             "",
		`n`:                                     "no metric n",
		`rate(n[5m])`:                           "no metric n",
		`absent(n)`:                             "no metric n",
		`m{tier="x"}`:                           "no label tier",
		`m{state="opened"}`:                     `never state="opened"`,
		`m{state=~"open|opened"}`:               `never state="opened"`,
		`sum by (tier) (m)`:                     "no label tier",
		`m and on (tier) m`:                     "no label tier",
		`sum by (job) (m) / sum by (state) (m)`: "nothing matches",
		`sum(s)`:                                "take the max",
		`avg by (job) (1 - s)`:                  "take the max",
		`sum(max by (job) (s))`:                 "",
		`histogram_quantile(0.9, sum by (job) (rate(d_bucket[5m])))`: "no label le",
		`sum by (job`: "parse error",
	} {
		known.add("s", map[string]string{"job": "api"})
		x := &examiner{known: known, shared: map[string]bool{"s": true}}
		x.query(query)
		said := strings.Join(x.problems, "; ")
		if want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%s: %q; want %q", query, said, want)
		}
	}
}
