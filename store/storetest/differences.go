package storetest

import (
	"fmt"
	"reflect"
	"time"
)

// differences names the parts in which two values differ, one on a line, by their path.
func differences(got, want reflect.Value, path string) (lines []string) {
	if got.IsValid() && want.IsValid() && reflect.DeepEqual(got.Interface(), want.Interface()) {
		return nil
	}
	if parts, ok := partsOf(got, want); ok {
		for _, p := range parts {
			lines = append(lines, differences(p.got, p.want, path+p.name)...)
		}
		return lines
	}
	if path != "" {
		path += ": "
	}
	g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
	from, to := 0, 0
	if got.Kind() == reflect.String {
		from, to = common(g, w)
	}
	return []string{fmt.Sprintf("  %sgot  %s\n  %swant %s", path, middle(g, from, to), path, middle(w, from, to))}
}

// part is a field or an element of two values.
type part struct {
	name      string
	got, want reflect.Value
}

// partsOf gives the parts of two values that have the same ones.
func partsOf(got, want reflect.Value) (parts []part, ok bool) {
	if !got.IsValid() || !want.IsValid() || got.Type() != want.Type() {
		return nil, false
	}
	switch got.Kind() {
	case reflect.Struct:
		if got.Type() == reflect.TypeFor[time.Time]() {
			return nil, false
		}
		for i := range got.NumField() {
			parts = append(parts, part{"." + got.Type().Field(i).Name, got.Field(i), want.Field(i)})
		}
		return parts, true
	case reflect.Slice:
		if got.Len() != want.Len() || got.Len() == 0 {
			return nil, false
		}
		for i := range got.Len() {
			parts = append(parts, part{fmt.Sprintf("[%d]", i), got.Index(i), want.Index(i)})
		}
		return parts, true
	case reflect.Pointer, reflect.Interface:
		if got.IsNil() || want.IsNil() {
			return nil, false
		}
		return []part{{"", got.Elem(), want.Elem()}}, true
	}
	return nil, false
}

const around = 30 // bytes of a long text that are shown beside what differs

// common is how many bytes two texts have in common at the beginning, and at the end.
func common(a, b string) (from, to int) {
	for from < min(len(a), len(b)) && a[from] == b[from] {
		from++
	}
	for to < min(len(a), len(b))-from && a[len(a)-1-to] == b[len(b)-1-to] {
		to++
	}
	return from, to
}

// middle is a text without what is common, but for a little of it.
func middle(text string, from, to int) string {
	begin, end := "", ""
	if from > around {
		text, begin = text[from-around:], "..."
	}
	if to > around {
		text, end = text[:len(text)-(to-around)], "..."
	}
	return begin + text + end
}
