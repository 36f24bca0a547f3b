package store_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/commontrip/commontrip/store"
)

func TestNames(t *testing.T) {
	for _, good := range []string{
		"a", " ", "a b", "{a}", "}{", "%", "%7B", "*[?]", "<img onerror>", "{{.}}", "'\"`\\", "é", "世界", "\u00a0", "👩", "0",
		strings.Repeat("x", 200), strings.Repeat("é", 100), "\ufffd",
	} {
		if err := store.ValidateName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", strings.Repeat("x", 201), strings.Repeat("é", 100) + "x", "\x00", "a\nb", "a\r", "\t", "\x1b[0m", "\x7f", "\u0085",
		"\u200b", "\u202e", "\u2066", "\ufeff", "\u2028", "\u2029", "\xff", "a\xc3", "\u00ad", "\U000e0041",
	} {
		err := store.ValidateName(bad)
		if !errors.Is(err, store.ErrName) || !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrName, which is ErrInvalid", bad, err)
		}
	}
}

// An error about a name must be fit for a log line, whatever the name holds.
func FuzzName(f *testing.F) {
	for _, s := range []string{"", "a", "{}", "a\nb", "\xff", "\u202e", strings.Repeat("x", 201), strings.Repeat("\xff", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := store.ValidateName(s)
		plain := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
			return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
		})
		if good := plain && len(s) >= 1 && len(s) <= 200; good != (err == nil) {
			t.Errorf("%q is good: %v; got %v", s, good, err)
		}
		if err == nil {
			return
		}
		if text := err.Error(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the error %q is not fit to print", text)
		}
	})
}
