package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/commontrip/commontrip/store"
)

// policyField is a field of a policy by the name of its JSON form, durations without the _ms.
type policyField struct {
	name  string
	index int
	kind  reflect.Type
}

// policyFields are in the order of declaration.
var policyFields = func() []policyField {
	var fields []policyField
	for i, f := range reflect.VisibleFields(reflect.TypeFor[store.Policy]()) {
		fields = append(fields, policyField{snake(f.Name), i, f.Type})
	}
	return fields
}()

// snake makes "open_for" of "OpenFor".
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

func fieldNames() []string {
	out := make([]string, len(policyFields))
	for i, f := range policyFields {
		out[i] = f.name
	}
	return out
}

var duration = reflect.TypeFor[time.Duration]()

func (f policyField) of(p *store.Policy) reflect.Value {
	return reflect.ValueOf(p).Elem().Field(f.index)
}

func (f policyField) format(p store.Policy) string { return fmt.Sprint(f.of(&p).Interface()) }

// set reads text into the field of p: durations such as 30s, or integers of ms if inMS; rates such as 0.5 or 50%.
func (f policyField) set(p *store.Policy, text string, inMS bool) error {
	bad := func(want string) error { return misuse("%s is %q; want %s", f.name, text, want) }
	v := f.of(p)
	switch {
	case inMS:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n > int64(24*time.Hour/time.Millisecond) || n < -int64(24*time.Hour/time.Millisecond) {
			return misuse("%s_ms is %q; want an integer of milliseconds, at most 24 h", f.name, text)
		}
		v.SetInt(n * int64(time.Millisecond))
	case f.kind == duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return bad("a duration such as 30s or 1m30s")
		}
		v.SetInt(int64(d))
	case f.kind.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return bad("an integer")
		}
		v.SetInt(int64(n))
	case f.kind.Kind() == reflect.Float64:
		number, percent := strings.CutSuffix(text, "%")
		r, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return bad("a number from 0 to 1, or a percentage such as 50%")
		}
		if percent {
			r /= 100
		}
		v.SetFloat(r)
	default:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return bad("true or false")
		}
		v.SetBool(b)
	}
	return nil
}

// retuned is p with "field=value" assignments carried out. What hangs on a field that was set follows it if it was
// not set itself: the other kind of window goes, and an open time that did not grow goes on not growing.
func retuned(p store.Policy, assignments []string) (store.Policy, error) {
	from := p
	var given []string
	for _, assignment := range assignments {
		key, text, ok := strings.Cut(assignment, "=")
		if !ok {
			return p, misuse("%q: want field=value, such as open_for=30s", assignment)
		}
		name, inMS := strings.CutSuffix(key, "_ms")
		i := slices.IndexFunc(policyFields, func(f policyField) bool { return f.name == name })
		if i < 0 || inMS && policyFields[i].kind != duration {
			return p, misuse("%q is not a field of a policy; want one of %s", key, strings.Join(fieldNames(), ", "))
		}
		if slices.Contains(given, name) {
			return p, misuse("%s is given twice", name)
		}
		given = append(given, name)
		if err := policyFields[i].set(&p, text, inMS); err != nil {
			return p, err
		}
	}
	set := func(name string) bool { return slices.Contains(given, name) }
	if set("window_time") && p.WindowTime != 0 && !set("window_calls") {
		p.WindowCalls = 0
	}
	if set("window_calls") && p.WindowCalls != 0 && !set("window_time") {
		p.WindowTime = 0
	}
	if set("open_for") && !set("open_for_max") && from.OpenForMax == from.OpenFor {
		p.OpenForMax = 0
	}
	if err := p.Validate(); err != nil {
		return p, err
	}
	return p.WithDefaults(), nil
}
