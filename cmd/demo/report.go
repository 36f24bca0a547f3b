package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// report gathers what was measured and what was promised, and says both at the end.
type report struct {
	tables   []*table
	promises []promise
	printed  bool

	delays *delays     // how late timers were; nil: nobody measures
	scenes []time.Time // when those of this half began
	all    bool        // what is promised now is about the whole half
}

// table is one set of measurements: a heading, columns, rows.
type table struct {
	title   string
	columns []string // the first is the rows' name
	rows    [][]string
}

// promise is one that was put to the test.
type promise struct {
	text string
	held bool
	got  string
	late time.Duration // not held, and not judged: the machine was late by this
}

// half begins a half of the story: what happened before excuses nothing in it.
func (r *report) half() { r.scenes, r.all = nil, false }

// scene begins a scene. Its promises are excused by what happened in it, or in the one before.
func (r *report) scene() { r.scenes = append(r.scenes, time.Now()) }

// whole says that the promises that follow are about the whole half.
func (r *report) whole() { r.all = true }

// promise records whether one held, and what was seen. One that did not hold while timers were late is not judged: all
// that replicas do goes by timers, so that it says nothing about them.
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

// lateness is how late the machine was in the time that the promises of now are about.
func (r *report) lateness() time.Duration {
	if r.delays == nil || len(r.scenes) == 0 {
		return 0
	}
	from := r.scenes[max(0, len(r.scenes)-2)]
	if r.all {
		from = r.scenes[0]
	}
	return r.delays.since(from)
}

func (r *report) table(title string, columns ...string) *table {
	t := &table{title: title, columns: columns}
	r.tables = append(r.tables, t)
	return t
}

func (t *table) row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
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

func (r *report) print(w io.Writer, i ink) {
	r.printed = true
	for _, t := range r.tables {
		t.print(w, i)
	}
	if len(r.promises) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", i.bold("What was promised"))
	if r.delays != nil {
		fmt.Fprintf(w, "  %s\n", i.dim(fmt.Sprintf("(the latest timer of this run: %s; from %s on, what does not hold is not judged)",
			brief(r.delays.longest()), brief(tardy))))
	}
	width := 0
	for _, p := range r.promises {
		width = max(width, utf8.RuneCountInString(p.text))
	}
	for _, p := range r.promises {
		mark, got := i.green("held      "), p.got
		switch {
		case p.late > 0:
			mark, got = i.yellow("not judged"), fmt.Sprintf("this machine was late by %s; seen: %s", brief(p.late), p.got)
		case !p.held:
			mark = i.red("BROKEN    ")
		}
		fmt.Fprintf(w, "  %s  %s  %s\n", mark, pad(p.text, width), i.dim(got))
	}
}

func (t *table) print(w io.Writer, i ink) {
	widths := make([]int, len(t.columns))
	for _, row := range append([][]string{t.columns}, t.rows...) {
		for c, cell := range row {
			widths[c] = max(widths[c], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string) string {
		var b strings.Builder
		for c, cell := range row {
			space := strings.Repeat(" ", widths[c]-utf8.RuneCountInString(cell))
			if c == 0 {
				b.WriteString("  " + cell + space)
			} else {
				b.WriteString("  " + space + cell)
			}
		}
		return b.String()
	}
	fmt.Fprintf(w, "\n%s\n%s\n", i.bold(t.title), i.dim(line(t.columns)))
	for _, row := range t.rows {
		fmt.Fprintln(w, line(row))
	}
}
