package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// report gathers what was measured and what was promised, and says both at the end. Its note may be called at any time, the
// rest by the story alone.
type report struct {
	tables   []func() string // each with its title
	promises []promise
	whole    bool   // what is promised now is about the whole half
	own      *pulse // of this process

	mu     sync.Mutex
	scenes []time.Duration // how late the latest timer of any process was, in each scene of this half
	most   time.Duration   // in all of the story
}

// promise is one that was put to the test.
type promise struct {
	text string
	held bool
	got  string
	late time.Duration // it did not hold, and is not judged: the machine was late by this
}

// half begins a half of the story: what happened before excuses nothing in it.
func (r *report) half() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whole, r.scenes = false, nil
}

func (r *report) scene() {
	r.note(r.own.take(time.Now()))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scenes = append(r.scenes, 0)
}

// note takes how late a timer was.
func (r *report) note(late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = max(r.most, late)
	if n := len(r.scenes); n > 0 {
		r.scenes[n-1] = max(r.scenes[n-1], late)
	}
}

// lateness is how late the machine was in the time that the promises of now are about: this scene and the one before, or the
// whole half.
func (r *report) lateness() (latest time.Duration) {
	r.note(r.own.take(time.Now()))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, late := range r.scenes {
		if r.whole || i >= len(r.scenes)-2 {
			latest = max(latest, late)
		}
	}
	return latest
}

// promise records whether one held, and what was seen. One that did not hold while timers were late is not judged: all that
// replicas do goes by timers, so it says nothing about them.
func (r *report) promise(held bool, text, got string, a ...any) {
	p := promise{text: text, held: held, got: fmt.Sprintf(got, a...)}
	if late := r.lateness(); !held && late >= tardy {
		p.late = late
	}
	r.promises = append(r.promises, p)
}

// law is a promise that no lateness excuses.
func (r *report) law(held bool, text, got string, a ...any) {
	r.promises = append(r.promises, promise{text: text, held: held, got: fmt.Sprintf(got, a...)})
}

// table begins one more table, and gives what adds a row to it. The first column is the rows' name.
func (r *report) table(title string, columns ...any) (row func(cells ...any)) {
	rows := newTable()
	rows.AppendHeader(columns)
	var right []table.ColumnConfig
	for i := range columns[1:] {
		right = append(right, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	rows.SetColumnConfigs(right)
	r.tables = append(r.tables, func() string { return text.Bold.Sprint(title) + "\n" + rows.Render() })
	return func(cells ...any) { rows.AppendRow(cells) }
}

func newTable() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.Style{
		Box:     table.BoxStyle{PaddingLeft: "  "},
		Color:   table.ColorOptions{Header: text.Colors{text.Faint}},
		Options: table.OptionsNoBordersAndSeparators,
	})
	t.SuppressTrailingSpaces()
	return t
}

// kept reports whether every promise held that was judged.
func (r *report) kept() bool {
	for _, p := range r.promises {
		if !p.held && p.late == 0 {
			return false
		}
	}
	return true
}

func (r *report) print(w io.Writer) {
	r.mu.Lock() // with -stay, the fleet goes on
	defer r.mu.Unlock()
	for _, t := range r.tables {
		fmt.Fprintf(w, "\n%s\n", t())
	}
	fmt.Fprintf(w, "\n%s\n", text.Bold.Sprint("What was promised"))
	fmt.Fprintln(w, text.Faint.Sprintf("  (the latest timer of this run: %s; from %s on, what does not hold is not judged)",
		brief(r.most), brief(tardy)))
	rows := newTable()
	for _, p := range r.promises {
		mark, got := text.FgGreen.Sprint("held"), p.got
		switch {
		case p.late > 0:
			mark, got = text.FgYellow.Sprint("not judged"), fmt.Sprintf("this machine was late by %s; seen: %s", brief(p.late), p.got)
		case !p.held:
			mark = text.FgRed.Sprint("BROKEN")
		}
		rows.AppendRow(table.Row{mark, p.text, text.Faint.Sprint(got)})
	}
	fmt.Fprintln(w, rows.Render())
}

// brief is a duration as one reads it.
func brief(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

const (
	beat  = 10 * time.Millisecond // how often a pulse beats
	tardy = 50 * time.Millisecond // a beat that is late by as much says that the machine has no time for this process
)

// pulse measures how late the timers of its process are. It beats on its own goroutine, and notes the latest beat.
type pulse struct {
	mu    sync.Mutex
	last  time.Time     // when it beat
	worst time.Duration // the latest beat that nobody has taken yet
}

func newPulse() *pulse { return &pulse{last: time.Now()} }

// run beats until ctx ends.
func (p *pulse) run(ctx context.Context) {
	for wait(ctx, beat) {
		p.beat(time.Now())
	}
}

func (p *pulse) beat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.worst = now, max(p.worst, now.Sub(p.last)-beat)
}

// take gives the latest beat since the last take. A beat that is due now counts as far as it is late.
func (p *pulse) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := max(p.worst, now.Sub(p.last)-beat, 0)
	p.worst = 0
	return late
}
