package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/commontrip/commontrip/store"
)

// quote gives a name as it stands if nothing in it can be taken for something else, and quoted and escaped otherwise.
func quote(s string) string {
	strange := func(r rune) bool {
		return !strconv.IsPrint(r) || unicode.IsSpace(r) || strings.ContainsRune(`"'\`+"`", r)
	}
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, strange) {
		return strconv.Quote(s)
	}
	return s
}

// shell gives a name as a word for a shell, since what is shown as a command may be copied into one.
func shell(s string) string {
	harmless := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._:/@%+-", r)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "NAME"
	}
	word := s
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !harmless(r) }) {
		word = "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	if strings.HasPrefix(s, "-") {
		word = "-- " + word
	}
	return word
}

func quoteAll(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = quote(name)
	}
	return strings.Join(out, ", ")
}

// span is a duration in its two greatest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		text := d.Truncate(time.Second).String()
		if minutes, whole := strings.CutSuffix(text, "m0s"); whole {
			return minutes + "m"
		}
		return text
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
}

// moment is a time of the store's clock, here.
func (a *app) moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(a.zone).Format("2006-01-02 15:04:05 MST")
}

// tally is what share of the window failed.
func tally(w store.Tally) string {
	if w.Calls == 0 {
		return "no calls"
	}
	text := fmt.Sprintf("%d of %d failed (%.0f %%)", w.Failures, w.Calls, 100*float64(w.Failures)/float64(w.Calls))
	if w.Slow > 0 {
		text += fmt.Sprintf(", %d slow", w.Slow)
	}
	return text
}

func labels(errs []store.ErrorCount) string {
	out := make([]string, len(errs))
	for i, e := range errs {
		out[i] = fmt.Sprintf("%s x%d", quote(e.Label), e.Count)
	}
	return strings.Join(out, ", ")
}

// ending says until when a command stands.
func (a *app) ending(n store.Note, now time.Time) string {
	switch {
	case !n.Timed:
		return "without an end"
	case n.EndsIn <= 0:
		return "over"
	case n.EndsIn > 12*time.Hour:
		return "for another " + span(n.EndsIn) + ", until " + a.moment(now.Add(n.EndsIn))
	default:
		return "for another " + span(n.EndsIn) + ", until " + now.Add(n.EndsIn).In(a.zone).Format("15:04:05 MST")
	}
}

// signed is who gave a command, and why.
func signed(n store.Note) string {
	text := "by " + quote(n.By)
	if n.Why != "" {
		text += ": " + strconv.Quote(n.Why)
	}
	return text
}

// stateOf is what rules calls, and why if that is not the breaker's own state.
func stateOf(s store.Snapshot) string {
	switch {
	case s.Mode != store.Auto:
		return s.Mode.String()
	case s.Policy.Observe && s.State != store.Closed:
		return "closed (observing; else " + s.State.String() + ")"
	default:
		return s.State.String()
	}
}

func inkOf(s store.Snapshot) ink {
	switch {
	case s.Mode != store.Auto:
		return magenta
	case s.Effective() == store.Open:
		return red
	case s.Effective() == store.HalfOpen, s.State != store.Closed:
		return yellow
	default:
		return green
	}
}
