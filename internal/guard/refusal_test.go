package guard_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/commontrip/commontrip/internal/guard"
)

// foreign is an error of a guard that this module does not know.
type foreign struct{ refused bool }

func (f foreign) Error() string { return "the bulkhead is full" }
func (f foreign) Refused() bool { return f.refused }

// asking is an error that is found by its As method alone.
type asking struct{}

func (asking) Error() string { return "as" }

func (asking) As(target any) bool {
	r, ok := target.(*interface{ Refused() bool })
	if ok {
		*r = foreign{true}
	}
	return ok
}

// being is an error that is found by its Is method alone.
type being struct{ target error }

func (being) Error() string          { return "is" }
func (b being) Is(target error) bool { return target == b.target }

func TestARefusalIsFoundUnderAnyWrapping(t *testing.T) {
	tier, sentinel := errors.New("the tier failed"), errors.New("open")
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                                    {nil, false},
		"the tier's error":                       {tier, false},
		"a guard's own":                          {foreign{true}, true},
		"one that says it is none":               {foreign{false}, false},
		"wrapped":                                {fmt.Errorf("a: %w", fmt.Errorf("b: %w", foreign{true})), true},
		"marked":                                 {guard.MarkRefused(tier), true},
		"a sentinel of ours":                     {fmt.Errorf("users: %w", guard.NewRefusal("down")), true},
		"by As":                                  {fmt.Errorf("a: %w", asking{}), true},
		"by Is":                                  {fmt.Errorf("a: %w", being{sentinel}), true},
		"joined refusals":                        {errors.Join(foreign{true}, fmt.Errorf("a: %w", foreign{true})), true},
		"joined with a failure":                  {errors.Join(foreign{true}, tier), false},
		"a failure first":                        {errors.Join(tier, foreign{true}), false},
		"a failure deep in a join":               {errors.Join(foreign{true}, fmt.Errorf("%w; %w", foreign{true}, tier)), false},
		"the outer one decides, yes":             {guard.MarkRefused(errors.Join(foreign{true}, tier)), true},
		"the outer one decides, no":              {errors.Join(foreign{true}, wrapping{foreign{true}}), false},
		"a join of nothing":                      {many{}, false},
		"a join with a nil":                      {many{nil, foreign{true}}, true},
		"a join of nils":                         {many{nil}, false},
		"an error that wraps nil":                {wrapsNil{}, false},
		"Is of another sentinel":                 {being{tier}, false},
		"a formatted error that wraps both ways": {fmt.Errorf("%w: %w", foreign{true}, foreign{true}), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := guard.Refused(c.err, sentinel); got != c.want {
				t.Errorf("%v is a refusal: %v, want %v", c.err, got, c.want)
			}
		})
	}
}

// wrapping was refused at last, and had asked before.
type wrapping struct{ error }

func (w wrapping) Unwrap() error { return w.error }
func (wrapping) Refused() bool   { return false }

type many []error

func (many) Error() string     { return "many" }
func (m many) Unwrap() []error { return m }

type wrapsNil struct{}

func (wrapsNil) Error() string { return "wraps nil" }
func (wrapsNil) Unwrap() error { return nil }

func TestAMarkIsSeenThrough(t *testing.T) {
	full := errors.New("full")
	err := guard.MarkRefused(full)
	if !errors.Is(err, full) || err.Error() != "full" {
		t.Errorf("the mark hides %v", err)
	}
	if guard.MarkRefused(nil) != nil {
		t.Error("no error is a refusal")
	}
}
