package config

import (
	"cmp"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/internal/envvalue"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
)

// reader holds the environment under the names of fields, whatever name it was set by.
type reader struct {
	values  map[string]string // by field's name, never empty
	setBy   map[string]string // the variable that set it
	unknown []string
	bad     []error
}

// newReader sorts environ into variables that mean something and others.
func newReader(environ []string) *reader {
	set := map[string]string{}
	r := &reader{values: map[string]string{}, setBy: map[string]string{}}
	for name, given := range env.ToMap(environ) {
		if !ours(name) {
			continue
		}
		value, err := envvalue.Clean(given)
		if err != nil {
			r.refuse(name, given, err.Error())
		} else if value != "" {
			set[name] = value
		}
	}
	r.takeJitterEnabled(set)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		key, ok := fieldName(name)
		if !ok {
			r.unknown = append(r.unknown, name)
			continue
		}
		r.take(key, name, set[name])
	}
	return r
}

// take gives key its value, unless another name has given it another one.
func (r *reader) take(key, variable, value string) {
	if before, ok := r.values[key]; ok && !sameValue(before, value) {
		r.refuse(variable, value, "the same as "+r.setBy[key]+" ("+hide(before)+"), or only one of the two set")
		return
	}
	r.values[key], r.setBy[key] = value, variable
}

// takeJitterEnabled turns RETRY_JITTER_ENABLED into RETRY_JITTER: true is full, or any kind that RETRY_JITTER names.
func (r *reader) takeJitterEnabled(set map[string]string) {
	const enabled, kind = "RETRY_JITTER_ENABLED", "RETRY_JITTER"
	value, ok := set[enabled]
	if !ok {
		return
	}
	delete(set, enabled)
	on, err := parseBool(value)
	if err != nil {
		r.refuse(enabled, value, wanted(enabled))
		return
	}
	jitter := "none"
	if on.(bool) {
		jitter = "full"
	}
	named, ok := set[kind]
	switch {
	case !ok:
		r.values[kind], r.setBy[kind] = jitter, enabled
	case (named == "none") == on.(bool):
		r.refuse(enabled, value, "what agrees with "+kind+" ("+hide(named)+"), or only one of the two set")
	}
}

func (r *reader) refuse(variable, value, want string) {
	r.bad = append(r.bad, &Error{Variable: variable, Value: hide(value), Want: want})
}

// refuseKey refuses the value of a field, under the variable that set it; inferred is the value if none did.
func (r *reader) refuseKey(key, inferred, want string) {
	r.refuse(cmp.Or(r.setBy[key], key), cmp.Or(r.values[key], inferred), want)
}

// options are how the env package reads a struct: fields by their names, values by our parsers.
func (r *reader) options(prefix string) env.Options {
	return env.Options{Environment: r.values, Prefix: prefix, UseFieldNameByDefault: true, FuncMap: parsers}
}

// keys are the names of v's fields under prefix, in order.
func (r *reader) keys(prefix string, v any) []string {
	params, err := env.GetFieldParamsWithOptions(v, r.options(prefix))
	if err != nil {
		panic("config: a struct that the env package cannot read: " + err.Error())
	}
	keys := make([]string, len(params))
	for i, p := range params {
		keys[i] = p.Key
	}
	return keys
}

// read parses the fields of v that are set under prefix and judges the whole. What is bad is refused and left at zero.
func read[T any](r *reader, prefix string, v T, validate func(T) error) T {
	r.parse(prefix, &v)
	return judge(r, r.keys(prefix, &v), v, validate)
}

// policy reads a policy under prefix, and says which of its fields are set.
func (r *reader) policy(prefix string) (p store.Policy, set map[int]bool) {
	fields := r.parse(prefix, &p)
	return judge(r, r.keys(prefix, &p), p, store.Policy.Validate), with(nil, fields)
}

// parse sets the fields of the struct that v points to, and gives the numbers of those that it has set.
func (r *reader) parse(prefix string, v any) []int {
	keys, fields := r.keys(prefix, v), reflect.ValueOf(v).Elem()
	failed := map[int]bool{}
	var all env.AggregateError
	if errors.As(env.ParseWithOptions(v, r.options(prefix)), &all) {
		for _, err := range all.Errors {
			var pe env.ParseError
			if !errors.As(err, &pe) {
				panic("config: a field that the env package cannot read: " + err.Error())
			}
			field, _ := fields.Type().FieldByName(pe.Name)
			i := field.Index[0]
			failed[i] = true
			r.refuseKey(keys[i], "", wanted(keys[i]))
		}
	}
	var set []int
	for i, key := range keys {
		if _, ok := r.values[key]; !ok || failed[i] {
			continue
		}
		if fields.Field(i).IsZero() && !zeroMeans(key) {
			r.refuseKey(key, "", "more than 0; unset for the default, "+defaultOf(key))
			continue
		}
		set = append(set, i)
	}
	return set
}

// judge refuses one bad field of v after the other, putting each back to zero, until validate finds no more.
func judge[T any](r *reader, keys []string, v T, validate func(T) error) T {
	for range keys {
		field, value, want := badField(validate(v))
		if field == "" {
			break
		}
		at, _ := reflect.TypeFor[T]().FieldByName(field)
		key := keys[at.Index[0]]
		if !zeroMeans(key) {
			want, _, _ = strings.Cut(want, ", or 0 for") // what the struct offers, and parse has refused
		}
		r.refuseKey(key, value, want)
		reflect.ValueOf(&v).Elem().FieldByIndex(at.Index).SetZero()
	}
	return v
}

// badField takes a validation's error apart.
func badField(err error) (field, value, want string) {
	var (
		policy   *store.PolicyError
		timing   *breaker.TimingError
		again    *retry.PolicyError
		check    *health.ConfigError
		settings *fieldError
	)
	switch {
	case err == nil:
		return "", "", ""
	case errors.As(err, &policy):
		return policy.Field, policy.Value, policy.Range
	case errors.As(err, &timing):
		return timing.Field, timing.Value, timing.Range
	case errors.As(err, &again):
		return again.Field, again.Value, again.Range
	case errors.As(err, &check):
		return check.Field, check.Value, check.Range
	case errors.As(err, &settings):
		return settings.field, settings.value, settings.want
	}
	panic("config: a validation whose error names no field: " + err.Error())
}

// checkRules refuses a rule that is switched off if no other is left: the default's rules would come back.
func (r *reader) checkRules(prefix string, p store.Policy) {
	if p.HasRule() {
		return
	}
	for _, rule := range []string{"CONSECUTIVE_FAILURES", "FAILURE_RATE", "SLOW_CALL_RATE"} {
		if v, ok := r.values[prefix+rule]; ok && sameValue(v, "0") {
			r.refuseKey(prefix+rule, "", "more than 0, as no other rule is set: a breaker without any takes the default's")
		}
	}
}

// overrides reads what is set for single breakers and judges each on top of what is set for all.
func (r *reader) overrides(all store.Policy, base defaults) map[string]override {
	names := map[string]bool{}
	for key := range r.values {
		if name, _, ok := splitOwn(key); ok {
			names[name] = true
		}
	}
	own := map[string]override{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		prefix := ownPrefix + name + "__"
		var o override
		o.fields = r.parse(prefix, &o.policy)
		keys := r.keys(prefix, &o.policy)
		for i, global := range r.keys("CIRCUIT_BREAKER_", &o.policy) {
			if !slices.Contains(o.fields, i) {
				keys[i] = global // what a bad value came from
			}
		}
		base := defaults{fields: with(base.fields, o.fields), local: base.local}
		r.checkRules(prefix, base.under(judge(r, keys, o.over(all), store.Policy.Validate)))
		own[name] = o
	}
	return own
}
