package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// hidden stands for what is not shown.
const hidden = "xxxxx"

// hide takes out of a value what may be a secret, wherever a URL may have been put: all before the last "@", so that a
// password may itself hold any character, and all of a query. If it cannot be told which is which, and of a URL that
// cannot be read, only the scheme is left. Long values are cut.
func hide(value string) string {
	const most = 200
	scheme, rest, isURL := strings.Cut(value, "://")
	if isURL {
		scheme += "://"
	} else {
		scheme, rest = "", value
	}
	user, query := strings.LastIndex(rest, "@"), strings.Index(rest, "?")
	_, err := url.Parse(value)
	switch {
	case user >= 0 && query >= 0 && query < user, isURL && user < 0 && err != nil:
		rest = hidden
	default:
		if query >= 0 && (isURL || user >= 0) {
			rest = rest[:query] + "?" + hidden
		}
		if user >= 0 {
			rest = hidden + rest[user:]
		}
	}
	if value = scheme + rest; len(value) > most {
		value = value[:most] + "..."
	}
	return value
}

// shown is a Store as it may be seen: its type has none of Store's methods.
type shown struct {
	URL     string        `json:"url"`
	Prefix  string        `json:"prefix"`
	Timeout time.Duration `json:"timeout"`
}

func (s Store) shown() shown { return shown{hide(s.URL), s.Prefix, s.Timeout} }

// String is fmt.Sprintf("%+v"), without what may be secret.
func (s Store) String() string { return fmt.Sprintf("%+v", s.shown()) }

// Format prints s by any verb without what may be secret.
func (s Store) Format(f fmt.State, verb rune) { fmt.Fprintf(f, fmt.FormatString(f, verb), s.shown()) }

// MarshalJSON gives url, prefix and timeout (in nanoseconds), without what may be secret: it does not read back.
func (s Store) MarshalJSON() ([]byte, error) { return json.Marshal(s.shown()) }

// LogValue gives url, prefix and timeout to slog, without what may be secret.
func (s Store) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("url", hide(s.URL)),
		slog.String("prefix", s.Prefix),
		slog.Duration("timeout", s.Timeout),
	)
}
