package config

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// parsers read a value by its field's type. Their errors are not shown: what is wanted stands in the table.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[time.Duration](): parseSeconds,
	reflect.TypeFor[int]():           func(v string) (any, error) { return strconv.Atoi(v) },
	reflect.TypeFor[float64]():       parseNumber,
	reflect.TypeFor[bool]():          parseBool,
}

// parseSeconds reads a plain number as seconds and anything else as a Go duration. Both ways it is decimal and exact, and
// an overflow is an error.
func parseSeconds(v string) (any, error) {
	if strings.Trim(v, "+-.0123456789") == "" {
		v += "s"
	}
	return time.ParseDuration(v)
}

func parseNumber(v string) (any, error) {
	f, err := strconv.ParseFloat(v, 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		err = errors.New("not a finite number")
	}
	return f, err
}

func parseBool(v string) (any, error) { return strconv.ParseBool(strings.ToLower(v)) }

// sameValue reports whether two spellings mean the same: "60", "60.0" and "1m", or equal texts.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, errA := parseSeconds(a)
	y, errB := parseSeconds(b)
	return errA == nil && errB == nil && x == y
}
