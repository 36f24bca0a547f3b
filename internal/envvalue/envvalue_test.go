package envvalue_test

import (
	"errors"
	"testing"

	"github.com/commontrip/commontrip/internal/envvalue"
)

func TestOnePairOfQuotesIsStripped(t *testing.T) {
	for value, want := range map[string]string{
		"team": "team", " team\t": "team", `"team"`: "team", `'team'`: "team", " ' team ' ": "team", "": "", `""`: "", "Bob's box": "Bob's box",
		`a"b`: `a"b`,
	} {
		if got, err := envvalue.Clean(value); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", value, got, err, want)
		}
	}
	for _, value := range []string{`"team`, `team"`, `'team"`, `""team""`, `"`, "`", "“team”", "‘team’", "„team“", "«team»", "team”", `"“team”"`} {
		if got, err := envvalue.Clean(value); got != "" || !errors.Is(err, envvalue.ErrQuotes) {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
}
