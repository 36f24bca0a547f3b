// Package envvalue reads values that people write into the environment and into files of "name = value" lines, for all
// programs of this module alike.
package envvalue

import (
	"errors"
	"strings"
)

// ErrQuotes is the error for a quote that has no other end.
var ErrQuotes = errors.New("a value without quotes, or with the same plain quote at both ends")

// Clean cuts off the blanks around a value, and one pair of quotes. Some readers of env files strip quotes and others,
// such as docker's, keep them: without this the same file would name two prefixes. A quote at one end only is ErrQuotes, and so
// is a printer's quote at either end, which no reader of env files strips.
func Clean(value string) (string, error) {
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && isQuote(value[0]) && value[0] == value[n-1] {
		value = strings.TrimSpace(value[1 : n-1])
	}
	if n := len(value); n > 0 && (isQuote(value[0]) || isQuote(value[n-1])) || strings.Trim(value, printed) != value {
		return "", ErrQuotes
	}
	return value, nil
}

// printed are the quotes that word processors put in the place of those of a keyboard.
const printed = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }
