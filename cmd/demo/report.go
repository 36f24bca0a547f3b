package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// report gathers what was measured and what was promised, and says both at the end.
type report struct {
	tables   []*table
	promises []promise
	printed  bool
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
}

// promise records whether one held, and what was seen.
func (r *report) promise(held bool, text, got string, a ...any) {
	r.promises = append(r.promises, promise{text: text, held: held, got: fmt.Sprintf(got, a...)})
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

// kept reports whether every promise held.
func (r *report) kept() bool {
	for _, p := range r.promises {
		if !p.held {
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
	width := 0
	for _, p := range r.promises {
		width = max(width, utf8.RuneCountInString(p.text))
	}
	for _, p := range r.promises {
		mark := i.green("held  ")
		if !p.held {
			mark = i.red("BROKEN")
		}
		fmt.Fprintf(w, "  %s  %s  %s\n", mark, pad(p.text, width), i.dim(p.got))
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
