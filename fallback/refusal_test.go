package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/commontrip/commontrip/fallback"
	internalguard "github.com/commontrip/commontrip/internal/guard"
)

// shut is the refusal of a guard within a tier's Call.
type shut struct{}

func (shut) Error() string { return "the circuit is open" }
func (shut) Refused() bool { return true }

// twice is a guard that calls on twice, and gives the second error.
type twice struct{}

func (twice) Run(ctx context.Context, fn func(context.Context) error) error {
	_ = fn(ctx)
	return fn(ctx)
}

// inTurn is a tier whose calls fail with these errors, one after the other.
func inTurn(errs ...error) tier {
	n := 0
	return tier{Name: "a", Call: func(context.Context, string) (string, error) {
		n++
		return "", errs[min(n, len(errs))-1]
	}}
}

func TestATierWhoseCallWasRefusedWithinIsSkipped(t *testing.T) {
	// It was called failed: WithFallIf stopped the chain there, and nobody knew when to come back.
	for name, c := range map[string]struct {
		tier    tier
		skipped bool
	}{
		"a breaker within Call":            {failing("a", fmt.Errorf("get: %w", shut{})), true},
		"the same behind a guard":          {guarded(failing("a", shut{}), &counter{}), true},
		"refused each time":                {guarded(inTurn(shut{}), twice{}), true},
		"failed first, refused afterwards": {guarded(inTurn(errBoom, shut{}), twice{}), false},
		"one part failed":                  {failing("a", errors.Join(shut{}, errBoom)), false},
		"failed":                           {failing("a", errBoom), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, trace, err := mustNew(t, []tier{c.tier}, fallback.WithFallIf(func(error) bool { return false })).Trace(t.Context(), "x")
			if got := trace.Attempts[0].Skipped; got != c.skipped {
				t.Errorf("skipped: %v, want %v", got, c.skipped)
			}
			if got := errors.Is(err, fallback.ErrAllTiersFailed); got != c.skipped {
				t.Errorf("%v; a skipped tier is passed over, and a failed one is the answer here", err)
			}
		})
	}
}

func TestAChainWhoseTiersWereAllSkippedIsARefusal(t *testing.T) {
	// A breaker around the chain took five of them for failures.
	closed := guarded(never(t, "a"), refusing(errRefused))
	for name, c := range map[string]struct {
		tiers []tier
		want  bool
	}{
		"all skipped": {[]tier{closed, failing("b", shut{})}, true},
		"one failed":  {[]tier{closed, failing("b", errBoom)}, false},
		"all failed":  {[]tier{failing("b", errBoom)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mustNew(t, c.tiers).Do(t.Context(), "x")
			if got := internalguard.Refused(err); got != c.want {
				t.Errorf("%v is a refusal: %v, want %v", err, got, c.want)
			}
			ctx, leave := context.WithCancel(t.Context())
			last := c.tiers[len(c.tiers)-1]
			call := last.Call
			last.Call = func(ctx context.Context, req string) (string, error) { leave(); return call(ctx, req) }
			_, err = mustNew(t, append(c.tiers[:len(c.tiers)-1:len(c.tiers)-1], last)).Do(ctx, "x")
			if got := internalguard.Refused(err); got != c.want || !errors.Is(err, context.Canceled) {
				t.Errorf("with its caller gone, %v is a refusal: %v, want %v", err, got, c.want)
			}
		})
	}
	t.Run("an earlier tier was asked", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		last := tier{Name: "b", Call: func(context.Context, string) (string, error) {
			leave()
			return "", internalguard.MarkRefused(context.Canceled)
		}}
		if _, err := mustNew(t, []tier{failing("a", errBoom), last}).Do(ctx, "x"); internalguard.Refused(err) {
			t.Errorf("%v is a refusal, and tier a was asked", err)
		}
	})
	if (&fallback.AllTiersFailedError{}).Refused() {
		t.Error("an error of no tiers is a refusal")
	}
}
