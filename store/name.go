package store

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// ValidateName reports whether s may name a breaker, a replica, an operator or a claim: 1 to [MaxName] bytes of UTF-8 without
// control, format or line-separating characters. Anything else is allowed, braces and blanks included. The error is an
// [ErrName] and quotes s, so that it is safe to print.
func ValidateName(s string) error {
	if s == "" {
		return fmt.Errorf("%w: it is empty; want 1..%d bytes", ErrName, MaxName)
	}
	if err := validateText(s, MaxName); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	return nil
}

// validateText holds the rules that names, notes and labels share, up to limit bytes; the empty text passes.
func validateText(s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%.40q... is %d bytes long; want at most %d", s, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%q is not UTF-8", s)
	}
	for _, r := range s {
		plain := ' ' <= r && r <= '~' // spares most names the look into the tables
		if !plain && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return fmt.Errorf("%q contains %U; want no control, format or line-separating characters", s, r)
		}
	}
	return nil
}

func checkName(field, s string) error {
	if err := ValidateName(s); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

func checkText(field, s string, limit int) error {
	if err := validateText(s, limit); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, field, err)
	}
	return nil
}
