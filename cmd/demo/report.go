package main

import (
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
	tables   []measurements
	promises []promise
	whole    bool   // what is promised now is about the whole half
	own      *pulse // of this process

	mu     sync.Mutex
	scenes []time.Duration // how late the latest timer of any process was, in each scene of this half
	most   time.Duration   // in all of the story
}

// measurements are a table. The first column is the rows' name.
type measurements struct {
	title string
	rows  table.Writer
}

func (m measurements) row(cells ...any) { m.rows.AppendRow(cells) }

// promise is one that was put to the test.
type promise struct {
	text string
	held bool
	got  string
	late time.Duration // it did not hold, and is not judged: the machine was late by this
}

func newReport() *report { return &report{own: newPulse()} }

// half begins a half of the story: what happened before excuses nothing in it.
func (r *report) half() { r.whole, r.scenes = false, nil }

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

// table begins one more table, to which rows can be added.
func (r *report) table(title string, columns ...any) measurements {
	rows := newTable()
	rows.AppendHeader(columns)
	var right []table.ColumnConfig
	for i := range columns[1:] {
		right = append(right, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	rows.SetColumnConfigs(right)
	m := measurements{title, rows}
	r.tables = append(r.tables, m)
	return m
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
	for _, t := range r.tables {
		fmt.Fprintf(w, "\n%s\n%s\n", text.Bold.Sprint(t.title), t.rows.Render())
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

// brief is a duration as one reads it: three figures.
func brief(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	default:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
}
