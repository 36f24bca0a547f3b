package redisstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// ReplyError is a reply of Redis that no script of this library gives, or a hash that none of them wrote: another
// program's key, a hand's edit, a broken proxy. It is a failure of the store, never a verdict.
type ReplyError struct {
	Of      string // what was decoded, such as "sync" or "history"
	Problem string
}

func (e *ReplyError) Error() string {
	return fmt.Sprintf("redisstore: reply to %s: %s", e.Of, e.Problem)
}

// decoder reads numbers and texts strictly and keeps the first problem: after it everything is zero.
type decoder struct {
	of      string
	problem string
}

// fail notes a problem, if it is the first.
func (d *decoder) fail(format string, args ...any) {
	if d.problem == "" {
		d.problem = fmt.Sprintf(format, args...)
	}
}

// err is the problem, if there was one.
func (d *decoder) err() error {
	if d.problem == "" {
		return nil
	}
	return &ReplyError{Of: d.of, Problem: d.problem}
}

// list is a reply of exactly n elements.
func (d *decoder) list(reply any, n int) []any {
	list, ok := reply.([]any)
	if !ok {
		d.fail("%T; want a list", reply)
	} else if len(list) != n {
		d.fail("%d elements; want %d", len(list), n)
	} else {
		return list
	}
	return make([]any, n)
}

// text is a string.
func (d *decoder) text(field string, v any) string {
	s, ok := v.(string)
	if !ok {
		d.fail("%s is a %T; want a string", field, v)
	}
	return s
}

// small is an integer from lo to hi.
func (d *decoder) small(field string, v any, lo, hi int64) int64 {
	n, ok := v.(int64)
	if !ok || n < lo || n > hi {
		d.fail("%s is %.40v; want %d..%d", field, v, lo, hi)
		return lo
	}
	return n
}

// numbers are exactly n integers with one blank between them, 0..2^53-1 each; those at signed may be negative.
func (d *decoder) numbers(field, s string, n int, signed ...int) []int64 {
	out := make([]int64, n)
	rest := s
	for i := range out {
		word, after, more := strings.Cut(rest, " ")
		if more != (i < n-1) {
			d.fail("%s is %.60q; want %d integers", field, s, n)
			return make([]int64, n)
		}
		v, err := strconv.ParseInt(word, 10, 64)
		negative := v < 0 && !contains(signed, i)
		if err != nil || negative || v > store.MaxNumber || v < -store.MaxNumber || word[0] == '+' {
			d.fail("%s is %.60q; want integers", field, s)
			return make([]int64, n)
		}
		out[i], rest = v, after
	}
	return out
}

// leading are the first n integers of at least that many: a newer release may have put more behind them.
func (d *decoder) leading(field, s string, n int) []int64 {
	end := 0
	for range n {
		i := strings.IndexByte(s[end:], ' ')
		if i < 0 {
			return d.numbers(field, s, n)
		}
		end += i + 1
	}
	return d.numbers(field, s[:end-1], n)
}

// contains reports that v is in the list.
func contains(list []int, v int) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// within is a number from lo to hi that was read already.
func (d *decoder) within(field string, v, lo, hi int64) int64 {
	if v < lo || v > hi {
		d.fail("%s is %d; want %d..%d", field, v, lo, hi)
		return lo
	}
	return v
}

// optional is a name or nothing.
func (d *decoder) optional(field, s string) string {
	if s != "" && store.ValidateName(s) != nil {
		d.fail("%s is %.60q; want a name", field, s)
		return ""
	}
	return s
}

// firstLines are the first n texts of at least that many in lines of their own.
func (d *decoder) firstLines(field, s string, n int) []string {
	out := strings.SplitN(s, "\n", n+1)
	if len(out) < n {
		d.fail("%s has %d lines; want %d", field, len(out), n)
		return make([]string, n)
	}
	return out[:n]
}

// lines are exactly n texts in lines of their own.
func (d *decoder) lines(field, s string, n int) []string {
	out := strings.Split(s, "\n")
	if len(out) != n {
		d.fail("%s has %d lines; want %d", field, len(out), n)
		return make([]string, n)
	}
	return out
}

// policy reads the 16 integers of one, and passes over what a newer release put behind them.
func (d *decoder) policy(field, s string) store.Policy {
	n := d.leading(field, s, 16)
	if d.problem != "" {
		return store.Policy{}
	}
	p := store.Policy{
		WindowCalls: int(n[0]), WindowTime: span(n[1]), ConsecutiveFailures: int(n[2]), ConsecutiveFor: span(n[3]),
		FailureRate: float64(n[4]) / limits.RateUnit, SlowCallRate: float64(n[5]) / limits.RateUnit, SlowCallAfter: span(n[6]),
		MinCalls: int(n[7]), Reporters: int(n[8]), OpenFor: span(n[9]), OpenForMax: span(n[10]), Probes: int(n[11]),
		ProbeSuccesses: int(n[12]), ProbeLease: span(n[13]), RampUp: span(n[14]), Observe: n[15] == 1,
	}
	if err := p.Validate(); err != nil || n[15] > 1 || p != p.WithDefaults() {
		d.fail("%s is %.100q; want a valid policy with all defaults", field, s)
		return store.Policy{}
	}
	return p
}

// span is a duration of ms, cut to what a duration can hold.
func span(ms int64) time.Duration {
	const limit = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(max(ms, -limit), limit)) * time.Millisecond
}

// moment is a time of day.
func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
