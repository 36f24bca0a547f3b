// Package envvalue reads values that people write into the environment and into files of "name = value" lines, for all
// programs of this module alike.
package envvalue

import (
	"errors"
	"strings"
)

// ErrQuotes is the error for a quote that has no other end.
var ErrQuotes = errors.New("a value without quotes, or with the same quote at both ends")

// Clean cuts off the blanks around a value, and one pair of quotes. Some readers of env files strip quotes and others,
// such as docker's, keep them: without this the same file would name two prefixes. A quote at one end only is ErrQuotes.
func Clean(value string) (string, error) {
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && isQuote(value[0]) && value[0] == value[n-1] {
		value = strings.TrimSpace(value[1 : n-1])
	}
	if n := len(value); n > 0 && (isQuote(value[0]) || isQuote(value[n-1])) {
		return "", ErrQuotes
	}
	return value, nil
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }
