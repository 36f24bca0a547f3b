package page

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// Chart is a chart of lines over two logarithmic axes, that can be read on a light page and on a dark one.
type Chart struct {
	Title, X, Y string
	Lines       []Line
	YNumber     func(float64) string // how a value of Y is written; nil: as a number
}

// Line is one line of a chart; a dashed one is what others are compared with.
type Line struct {
	Name   string
	Dashed bool
	Color  int // 0..3; lines of one color belong together
	Points []Point
}

// Point is a value with the range in which it was seen.
type Point struct{ X, Y, Low, High float64 }

// The picture's measures.
const (
	width, height            = 720, 420
	left, right, top, bottom = 76, 200, 48, 52
)

const style = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}
.title{font-size:16px;font-weight:600}
.axis{stroke:#57606a;fill:none}
.grid{stroke:#d0d7de;fill:none}
.line{fill:none;stroke-width:2.5}
.dash{stroke-dasharray:6 4}
.band{stroke:none;opacity:.15}
.c0{stroke:#0969da}.f0{fill:#0969da}
.c1{stroke:#bc4c00}.f1{fill:#bc4c00}
.c2{stroke:#1a7f37}.f2{fill:#1a7f37}
.c3{stroke:#8250df}.f3{fill:#8250df}
.dot{stroke:none}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.axis{stroke:#8b949e}
.grid{stroke:#30363d}
.c0{stroke:#58a6ff}.f0{fill:#58a6ff}
.c1{stroke:#f0883e}.f1{fill:#f0883e}
.c2{stroke:#3fb950}.f2{fill:#3fb950}
.c3{stroke:#bc8cff}.f3{fill:#bc8cff}
}
</style>
`

// SVG draws the chart. Values must be above 0.
func (c Chart) SVG() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", width, height, escape(c.Title))
	b.WriteString(style)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="26">%s</text>`+"\n", left, escape(c.Title))
	x, y := c.scales()
	number := c.YNumber
	if number == nil {
		number = Number
	}
	for _, v := range y.ticks() {
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text text-anchor="end" x="%d" y="%.1f">%s</text>`+"\n",
			left, y.at(v), width-right, left-8, y.at(v)+4, escape(number(v)))
	}
	for _, v := range c.xs() {
		fmt.Fprintf(&b, `<path class="axis" d="M%.1f %dv5"/><text text-anchor="middle" x="%.1f" y="%d">%s</text>`+"\n",
			x.at(v), height-bottom, x.at(v), height-bottom+20, Number(v))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%d %dV%dH%d"/>`+"\n", left, top, height-bottom, width-right)
	fmt.Fprintf(&b, `<text text-anchor="middle" x="%d" y="%d">%s</text>`+"\n", (left+width-right)/2, height-10, escape(c.X))
	fmt.Fprintf(&b, `<text text-anchor="middle" transform="translate(16 %d) rotate(-90)">%s</text>`+"\n", (top+height-bottom)/2, escape(c.Y))
	for _, l := range c.Lines {
		l.band(&b, x, y)
	}
	for i, l := range c.Lines {
		l.draw(&b, x, y, i)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (l Line) band(b *bytes.Buffer, x, y scale) {
	var there, back []string
	for i, p := range l.Points {
		there = append(there, fmt.Sprintf("%.1f %.1f", x.at(p.X), y.at(p.High)))
		q := l.Points[len(l.Points)-1-i]
		back = append(back, fmt.Sprintf("%.1f %.1f", x.at(q.X), y.at(q.Low)))
	}
	fmt.Fprintf(b, `<path class="band f%d" d="M%s L%s Z"/>`+"\n", l.Color, strings.Join(there, " L"), strings.Join(back, " L"))
}

func (l Line) draw(b *bytes.Buffer, x, y scale, place int) {
	class := fmt.Sprintf("line c%d", l.Color)
	if l.Dashed {
		class += " dash"
	}
	var points []string
	for _, p := range l.Points {
		points = append(points, fmt.Sprintf("%.1f %.1f", x.at(p.X), y.at(p.Y)))
	}
	fmt.Fprintf(b, `<path class="%s" d="M%s"/>`, class, strings.Join(points, " L"))
	for _, p := range l.Points {
		fmt.Fprintf(b, `<circle class="dot f%d" cx="%.1f" cy="%.1f" r="3.5"/>`, l.Color, x.at(p.X), y.at(p.Y))
	}
	at := top + 16 + 22*place
	fmt.Fprintf(b, `<path class="%s" d="M%d %dh28"/><text x="%d" y="%d">%s</text>`+"\n",
		class, width-right+14, at-4, width-right+50, at, escape(l.Name))
}

// scale is a logarithmic axis.
type scale struct{ low, high, from, to float64 }

func (s scale) at(v float64) float64 {
	if s.high <= s.low {
		return s.from
	}
	share := (math.Log(max(v, s.low)) - math.Log(s.low)) / (math.Log(s.high) - math.Log(s.low))
	return s.from + share*(s.to-s.from)
}

// ticks are the powers of ten, with what lies between if they are few.
func (s scale) ticks() []float64 {
	steps := []float64{1}
	if s.high/s.low <= 1000 {
		steps = []float64{1, 2, 5}
	}
	var out []float64
	for power := math.Pow(10, math.Floor(math.Log10(s.low))); power <= s.high; power *= 10 {
		for _, step := range steps {
			if v := power * step; v >= s.low && v <= s.high {
				out = append(out, v)
			}
		}
	}
	return out
}

func (c Chart) scales() (x, y scale) {
	x = scale{low: math.Inf(1), from: left, to: width - right}
	y = scale{low: math.Inf(1), from: height - bottom, to: top}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			x.low, x.high = min(x.low, p.X), max(x.high, p.X)
			y.low, y.high = min(y.low, p.Low), max(y.high, p.High)
		}
	}
	y.low, y.high = y.low/1.3, y.high*1.3
	return x, y
}

// xs are the values of X that have points.
func (c Chart) xs() []float64 {
	var out []float64
	seen := map[float64]bool{}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if !seen[p.X] {
				seen[p.X] = true
				out = append(out, p.X)
			}
		}
	}
	return out
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
