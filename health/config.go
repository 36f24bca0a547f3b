package health

import (
	"fmt"
	"time"
)

// Config says how often to check and how soon to believe it. Each zero field takes its default.
type Config struct {
	Interval  time.Duration // from the start of one check to the start of the next, spread by 10 % either way; 1 ms..24 h; default 30 s
	Timeout   time.Duration // a check that takes as long has failed; 1 ms..24 h; default 10 s. If it is longer than Interval, a slow check delays the next
	DownAfter int           // failures in a row until Down; 1..1000; default 3
	UpAfter   int           // successes in a row until Up; 1..1000; default 1
}

// WithDefaults fills each zero field. It is idempotent and leaves bad values for [Config.Validate] to find.
func (c Config) WithDefaults() Config {
	setDefault(&c.Interval, 30*time.Second)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.DownAfter, 3)
	setDefault(&c.UpAfter, 1)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports the first bad field, in order of declaration, as a *[ConfigError]. Zero fields are good.
func (c Config) Validate() error {
	d := c.WithDefaults()
	for _, err := range []error{
		checkSpan("Interval", d.Interval, "or 0 for 30s"),
		checkSpan("Timeout", d.Timeout, "or 0 for 10s"),
		checkCount("DownAfter", d.DownAfter, "or 0 for 3"),
		checkCount("UpAfter", d.UpAfter, "or 0 for 1"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// ConfigError is one bad field of a [Config], or of a [Check].
type ConfigError struct {
	Check string // the check's name; "" for a field of Config
	Field string // the field's Go name, such as "Interval"
	Value string // what was given
	Range string // what would be accepted
}

func (e *ConfigError) Error() string {
	of := "health"
	if e.Check != "" {
		of = fmt.Sprintf("health: check %q", e.Check)
	}
	return fmt.Sprintf("%s: %s is %s; want %s", of, e.Field, e.Value, e.Range)
}

func checkSpan(field string, d time.Duration, zero string) error {
	if d >= time.Millisecond && d <= 24*time.Hour {
		return nil
	}
	return &ConfigError{Field: field, Value: d.String(), Range: "1ms..24h, " + zero}
}

func checkCount(field string, n int, zero string) error {
	if n >= 1 && n <= 1000 {
		return nil
	}
	return &ConfigError{Field: field, Value: fmt.Sprint(n), Range: "1..1000, " + zero}
}
