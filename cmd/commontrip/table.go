package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// ink is a colour of the terminal; the zero value is none.
type ink int

const (
	bold    ink = 1
	red     ink = 31
	green   ink = 32
	yellow  ink = 33
	magenta ink = 35
)

// cell is a text of one line and its colour.
type cell struct {
	text string
	ink  ink
}

// table aligns rows; the first one is its head if it has one.
type table struct{ rows [][]cell }

func (t *table) head(titles ...string) {
	row := make([]cell, len(titles))
	for i, title := range titles {
		row[i] = cell{title, bold}
	}
	t.rows = append(t.rows, row)
}

func (t *table) add(cells ...any) {
	row := make([]cell, len(cells))
	for i, c := range cells {
		if painted, ok := c.(cell); ok {
			row[i] = painted
		} else {
			row[i] = cell{text: fmt.Sprint(c)}
		}
	}
	t.rows = append(t.rows, row)
}

// write leaves no blanks at the ends of lines.
func (a *app) writeTable(w io.Writer, t table) {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(c.text))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		gap := 0
		for i, c := range row {
			if c.text != "" {
				line.WriteString(strings.Repeat(" ", gap) + a.paint(c.ink, c.text))
				gap = 0
			}
			gap += widths[i] - columns(c.text) + 2
		}
		fmt.Fprintln(w, line.String())
	}
}

// columns is how many places of a terminal text takes.
func columns(text string) int {
	n := 0
	for _, r := range text {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

func (a *app) paint(i ink, text string) string {
	if i == 0 || !a.colours {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", i, text)
}
