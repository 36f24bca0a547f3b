package config

import (
	"reflect"
	"slices"

	"github.com/commontrip/commontrip/store"
)

// override is what is set for one breaker: the fields of those numbers, which may be zero.
type override struct {
	policy store.Policy
	fields []int
}

func (o override) over(p store.Policy) store.Policy {
	to, from := reflect.ValueOf(&p).Elem(), reflect.ValueOf(o.policy)
	for _, i := range o.fields {
		to.Field(i).Set(from.Field(i))
	}
	return p
}

// defaults are the fields of the default policy in use that variables left alone.
type defaults struct {
	fields map[int]bool // that variables set
	local  bool         // the store is this process's own
}

// with adds numbers to a set, which stays as it is.
func with(set map[int]bool, fields []int) map[int]bool {
	all := map[int]bool{}
	for i := range set {
		all[i] = true
	}
	for _, i := range fields {
		all[i] = true
	}
	return all
}

// The fields in which the default policies differ: the rules, and what goes with them.
var (
	ruleFields = fieldsOf("ConsecutiveFailures", "FailureRate", "SlowCallRate")
	besideThem = fieldsOf("ConsecutiveFor", "MinCalls", "Reporters")
)

func fieldsOf(names ...string) (fields []int) {
	for _, name := range names {
		f, _ := reflect.TypeFor[store.Policy]().FieldByName(name)
		fields = append(fields, f.Index[0])
	}
	return fields
}

// under lays p over the default policy in use. A breaker does that itself for a policy without rules. So p is completed only
// if it has one, or has switched one off.
func (d defaults) under(p store.Policy) store.Policy {
	switch {
	case !d.anyOf(ruleFields) && (d.local || !d.anyOf(besideThem)):
		return p
	case d.local && d.isDefaultRule(p):
		p.ConsecutiveFailures = 0 // the default rule itself: a breaker fills it in, with what goes with it on its store
		return p
	case d.local:
		return d.complete(p, store.DefaultPolicy(), ruleFields)
	}
	p = d.complete(p, store.FleetPolicy(), slices.Concat(ruleFields, besideThem))
	if p.WindowCalls > 0 && !d.anyOf(fieldsOf("MinCalls")) {
		p.MinCalls = min(p.MinCalls, p.WindowCalls)
	}
	return p
}

// complete gives p those fields of base that nobody has set.
func (d defaults) complete(p, base store.Policy, fields []int) store.Policy {
	to, from := reflect.ValueOf(&p).Elem(), reflect.ValueOf(base)
	for _, i := range fields {
		if !d.fields[i] && to.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return p
}

// isDefaultRule reports that variables set nothing but the default's only rule, as it is.
func (d defaults) isDefaultRule(p store.Policy) bool {
	return p.ConsecutiveFailures == store.DefaultPolicy().ConsecutiveFailures && !d.anyOf(fieldsOf("FailureRate", "SlowCallRate"))
}

func (d defaults) anyOf(fields []int) bool {
	return slices.ContainsFunc(fields, func(i int) bool { return d.fields[i] })
}
