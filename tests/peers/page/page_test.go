package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestATableAlignsItsColumns(t *testing.T) {
	table := NewTable("what", "ns")
	table.Row("a long name", "5")
	table.Row("µ", "1 234")
	want := `| what        |    ns |
|-------------|------:|
| a long name |     5 |
| µ           | 1 234 |
`
	if got := table.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNumbersAreShort(t *testing.T) {
	for _, c := range []struct {
		x    float64
		want string
	}{{0, "0"}, {0.001234, "0.001"}, {0.00001, "0.00001"}, {0.5, "0.50"}, {12.34, "12.3"}, {17, "17"}, {123.4, "123"}, {-1234567, "-1 234 567"}} {
		if got := Number(c.x); got != c.want {
			t.Errorf("Number(%g) is %q, want %q", c.x, got, c.want)
		}
	}
	for _, c := range []struct {
		d    time.Duration
		want string
	}{{450, "450 ns"}, {1500, "1.5 µs"}, {20 * time.Millisecond, "20 ms"}, {90 * time.Second, "90 s"}} {
		if got := Duration(c.d); got != c.want {
			t.Errorf("Duration(%d) is %q, want %q", c.d, got, c.want)
		}
	}
}

func TestABlockIsReplacedAndNothingElse(t *testing.T) {
	page := []byte("above\n<!-- a -->\nold\n<!-- /a -->\nbelow\n<!-- b -->\n<!-- /b -->\n")
	got, err := Replace(page, "a", "new")
	if want := "above\n<!-- a -->\n\nnew\n\n<!-- /a -->\nbelow\n<!-- b -->\n<!-- /b -->\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := Replace(page, "c", "new"); err == nil {
		t.Error("a block that is not there was replaced")
	}
}

func TestAChartIsXMLWithAllItsLines(t *testing.T) {
	c := Chart{Title: `a < b & "c"`, X: "replicas", Y: "calls", Lines: []Line{
		{Name: "shared", Points: []Point{{3, 20, 10, 30}, {1000, 40, 30, 60}}},
		{Name: "separate", Dashed: true, Color: 1, Points: []Point{{3, 15, 15, 15}, {1000, 5000, 4000, 6000}}},
	}}
	svg := c.SVG()
	paths := 0
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "circle" {
			paths++
		}
	}
	if paths != 4 {
		t.Errorf("%d points are drawn, want 4", paths)
	}
	for _, want := range []string{"shared", "separate", "1 000", "&quot;c&quot;"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the chart has no %q", want)
		}
	}
}
