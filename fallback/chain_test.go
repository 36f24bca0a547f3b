package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/commontrip/commontrip/fallback"
)

type tier = fallback.Tier[string, string]

var (
	errBoom    = errors.New("boom")
	errRefused = errors.New("refused")
)

// guard is a guard made of a function.
type guard func(ctx context.Context, fn func(context.Context) error) error

func (g guard) Run(ctx context.Context, fn func(context.Context) error) error { return g(ctx, fn) }

// refusing returns a guard that never calls on.
func refusing(err error) guard {
	return func(context.Context, func(context.Context) error) error { return err }
}

func serving(name string) tier {
	return tier{Name: name, Call: func(_ context.Context, req string) (string, error) { return name + " " + req, nil }}
}

func failing(name string, err error) tier {
	return tier{Name: name, Call: func(context.Context, string) (string, error) { return "not this", err }}
}

func guarded(t tier, guards ...fallback.Guard) tier {
	t.Guards = guards
	return t
}

func never(t *testing.T, name string) tier {
	t.Helper()
	return tier{Name: name, Call: func(context.Context, string) (string, error) {
		t.Errorf("tier %s was asked", name)
		return "", nil
	}}
}

func mustNew(tb testing.TB, tiers []tier, opts ...fallback.Option) *fallback.Chain[string, string] {
	tb.Helper()
	c, err := fallback.New(tiers, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestBadTiersAreRefusedWithFieldValueAndRange(t *testing.T) {
	var noBreaker *counter
	ok := serving("ok")
	for field, tiers := range map[string][]tier{
		"tiers":              nil,
		"tiers[0].Name":      {serving("")},
		"tiers[1].Name":      {ok, serving("ok")},
		"tiers[2].Name":      {ok, serving("b"), serving("b")},
		"tiers[1].Call":      {ok, {Name: "no call"}},
		"tiers[0].Guards[1]": {guarded(ok, &counter{}, nil)},
		"tiers[0].Guards[0]": {guarded(ok, noBreaker)},
		"tiers[1].Guards[0]": {ok, guarded(serving("nil function"), guard(nil))},
		"tiers[0].Timeout":   {{Name: "a", Call: ok.Call, Timeout: -1}, {}},
	} {
		c, err := fallback.New(tiers)
		e, isConfig := errors.AsType[*fallback.ConfigError](err)
		if c != nil || !isConfig || e.Field != field || e.Value == "" || e.Range == "" {
			t.Errorf("%s: got %v, %#v", field, c, err)
			continue
		}
		for _, part := range []string{"fallback: ", e.Field, e.Value, e.Range} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
}

func TestNilOptionsAreRefused(t *testing.T) {
	for name, opt := range map[string]fallback.Option{
		"nil Option": nil, "WithFallIf": fallback.WithFallIf(nil), "WithObserver": fallback.WithObserver(nil),
	} {
		if c, err := fallback.New([]tier{serving("a")}, opt); c != nil || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
	}
}

func FuzzTierName(f *testing.F) {
	for _, s := range []string{"mcp", "", "a\nb", "\u202e", "\xff", "日本", strings.Repeat("x", 200), strings.Repeat("x", 201)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_, err := fallback.New([]tier{serving(name)})
		good := name != "" && len(name) <= 200 && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
		})
		if (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q: the refusal carries control characters: %q", name, err)
		}
	})
}

func TestChainKeepsItsOwnCopyOfTheTiers(t *testing.T) {
	tiers := []tier{guarded(serving("a"), &counter{}), serving("b")}
	c := mustNew(t, tiers)
	tiers[0].Guards[0] = refusing(errRefused)
	tiers[0].Call = nil
	c.Tiers()[0] = "changed"
	if res, err := c.Do(t.Context(), "x"); res != "a x" || err != nil {
		t.Errorf("got %q, %v", res, err)
	}
	if got := c.Tiers(); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("tiers %q", got)
	}
}

func TestViaIsAnotherSequenceOfTheSameTiers(t *testing.T) {
	seen := 0
	c := mustNew(t, []tier{serving("a"), guarded(serving("b"), refusing(errRefused)), serving("c")},
		fallback.WithObserver(func(context.Context, fallback.Trace) { seen++ }))
	via, err := c.Via("b", "c")
	if err != nil {
		t.Fatal(err)
	}
	res, trace, err := via.Trace(t.Context(), "x")
	if res != "c x" || err != nil || trace.Tier != "c" || len(trace.Attempts) != 1 || trace.Attempts[0].Tier != "b" {
		t.Errorf("got %q, %v, %v", res, trace, err)
	}
	if seen != 1 {
		t.Errorf("the observer saw %d traces", seen)
	}
	if got := via.Tiers(); !reflect.DeepEqual(got, []string{"b", "c"}) {
		t.Errorf("tiers %q", got)
	}
	if _, err := via.Via("a"); err == nil {
		t.Error("a tier that the sequence left out came back")
	}
}

func TestViaRefusesUnknownAndRepeatedNames(t *testing.T) {
	c := mustNew(t, []tier{serving("a"), serving("b")})
	for field, names := range map[string][]string{
		"names": nil, "names[1]": {"a", "x"}, "names[2]": {"a", "b", "a"}, "names[0]": {""},
	} {
		via, err := c.Via(names...)
		if e, ok := errors.AsType[*fallback.ConfigError](err); via != nil || !ok || e.Field != field || e.Value == "" || e.Range == "" {
			t.Errorf("Via(%q): %v, %v", names, via, err)
		}
	}
}

func TestMisusePanicsWithASentence(t *testing.T) {
	var none *fallback.Chain[string, string]
	c := mustNew(t, []tier{serving("a")})
	for want, misuse := range map[string]func(){
		"nil *Chain":  func() { _, _ = none.Do(t.Context(), "") },
		"nil context": func() { _, _ = c.Do(nil, "") }, //nolint:staticcheck // the point
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "fallback: ") || !strings.Contains(text, want) {
					t.Errorf("panicked with %q, want it to say %q", text, want)
				}
			}()
			misuse()
		}()
	}
}

func TestNoAllocationWithoutGuardsAndOneAGuard(t *testing.T) {
	for guards, most := range map[int]float64{0: 0, 1: 1, 2: 2, 3: 3} {
		one := serving("a")
		one.Call = func(context.Context, string) (string, error) { return "served", nil }
		for range guards {
			one.Guards = append(one.Guards, &counter{})
		}
		for name, opts := range map[string][]fallback.Option{"plain": nil, "observed": {fallback.WithObserver(func(context.Context, fallback.Trace) {})}} {
			c := mustNew(t, []tier{one, serving("b")}, opts...)
			if n := testing.AllocsPerRun(1000, func() { _, _ = c.Do(t.Context(), "x") }); n > most {
				t.Errorf("%d guards, %s: %v allocations", guards, name, n)
			}
		}
	}
}

func ExampleNew() {
	_, err := fallback.New([]tier{serving("mcp"), serving("mcp")})
	fmt.Println(err)
	// Output: fallback: tiers[1].Name is "mcp", want another than tiers[0].Name
}
