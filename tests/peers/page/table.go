package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Table is a table of Markdown whose columns are aligned, so that it reads well in a terminal, too.
type Table struct{ rows [][]string }

// NewTable begins a table with the names of its columns.
func NewTable(columns ...string) *Table { return &Table{rows: [][]string{columns}} }

// Row adds a row, in the order of the columns.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// String writes columns of words to the left and others to the right.
func (t *Table) String() string {
	widths, words := make([]int, len(t.rows[0])), make([]bool, len(t.rows[0]))
	for i := range widths {
		words[i] = i == 0 || len(t.rows) > 1 && len(t.rows[1]) > i && startsWithLetter(t.rows[1][i])
		for _, row := range t.rows {
			if i < len(row) {
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i]), 3)
			}
		}
	}
	var b strings.Builder
	for n, row := range t.rows {
		for i, width := range widths {
			cell := ""
			if i < len(row) {
				cell = row[i]
			}
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
			if words[i] {
				b.WriteString("| " + cell + pad + " ")
			} else {
				b.WriteString("| " + pad + cell + " ")
			}
		}
		b.WriteString("|\n")
		if n == 0 {
			writeRule(&b, widths, words)
		}
	}
	return b.String()
}

func startsWithLetter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}

// writeRule writes what is between a table's head and its body.
func writeRule(b *strings.Builder, widths []int, words []bool) {
	for i, width := range widths {
		if words[i] {
			b.WriteString("|" + strings.Repeat("-", width+2))
		} else {
			b.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	b.WriteString("|\n")
}

// Number writes a number with three digits that count, and thousands apart.
func Number(x float64) string {
	switch size := math.Abs(x); {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return "-"
	case size == 0:
		return "0"
	case size < 0.01:
		return strconv.FormatFloat(x, 'f', int(math.Ceil(-math.Log10(size))), 64)
	case size < 1:
		return fmt.Sprintf("%.2f", x)
	case size < 100:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
	}
	digits := fmt.Sprintf("%.0f", math.Abs(x))
	var b strings.Builder
	if x < 0 {
		b.WriteByte('-')
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// Percent writes a share.
func Percent(x float64) string { return Number(x*100) + " %" }

// Duration writes a duration with three digits that count.
func Duration(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= unit.of {
			return Number(float64(d)/float64(unit.of)) + " " + unit.name
		}
	}
	return fmt.Sprintf("%d ns", d.Nanoseconds())
}
