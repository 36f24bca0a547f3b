package lua

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// constants are the numbers that scripts share with Go, so that no script spells one again. SCHEMA is a text, since it is
// compared with a field and written to one.
var constants = []struct{ name, value string }{
	{"SCHEMA", fmt.Sprintf("'%d'", limits.Schema)},

	{"MAX_NUMBER", digits(int64(store.MaxNumber))},
	{"MAX_OPENINGS", digits(store.MaxOpening)},
	{"MAX_FOR", digits(store.MaxFor.Milliseconds())},
	{"MAX_WINDOW_CALLS", digits(limits.MaxWindowCalls)},
	{"MAX_REPORTERS", digits(limits.MaxReporters)},
	{"MAX_PROBES", digits(limits.MaxProbes)},
	{"MAX_DOUBLINGS", digits(limits.MaxDoublings)},
	{"HOUR", digits(limits.Hour)},
	{"DAY", digits(limits.Day)},
	{"QUIET_KEPT", digits(limits.QuietKept)},
	{"QUIET_SET", digits(limits.QuietSet)},
	{"SLICE_FOR", digits(limits.SliceFor)},
	{"TOO_LATE", digits(limits.TooLate)},
	{"ASK_AGAIN", digits(limits.AskAgain)},
	{"BUCKETS", digits(limits.Buckets)},
	{"RESET_BELOW", digits(limits.ResetBelow)},
	{"RATE_UNIT", digits(limits.RateUnit)},
	{"HISTORY_KEPT", digits(limits.HistoryKept)},
	{"LABELS_KEPT", digits(limits.LabelsKept)},
	{"WITNESSES_KEPT", digits(limits.WitnessesKept)},

	{"CLOSED", digits(store.Closed)},
	{"OPEN", digits(store.Open)},
	{"HALF_OPEN", digits(store.HalfOpen)},
	{"AUTO", digits(store.Auto)},
	{"FORCED_OPEN", digits(store.ForcedOpen)},
	{"FORCED_CLOSED", digits(store.ForcedClosed)},
	{"OUTCOME_FAILURE", digits(store.Failure)},
	{"OUTCOME_IGNORED", digits(store.Ignored)},
	{"FORCE_OPEN", digits(store.ForceOpen)},
	{"FORCE_CLOSED", digits(store.ForceClosed)},
	{"LIFT", digits(store.Lift)},
	{"TRIP", digits(store.Trip)},
	{"RESET", digits(store.Reset)},
	{"RETUNE", digits(store.Retune)},
	{"RESTORE", digits(store.Restore)},
}

func digits[T ~int | ~int64 | ~uint8](n T) string { return fmt.Sprintf("%d", n) }

var constantName = regexp.MustCompile(`\b[A-Z][A-Z_]+\b`)

// withConstants puts each constant in front of the first part that names it. One place in front of all parts would do as
// well, but a function takes longer to make the farther before it the locals stand that it uses.
func withConstants(parts []string) []string {
	known := map[string]bool{}
	out := make([]string, len(parts))
	for i, part := range parts {
		words := map[string]bool{}
		for _, word := range constantName.FindAllString(strip(part), -1) {
			words[word] = true
		}
		var b strings.Builder
		for _, c := range constants {
			if words[c.name] && !known[c.name] {
				known[c.name] = true
				fmt.Fprintf(&b, "local %s = %s\n", c.name, c.value)
			}
		}
		out[i] = b.String() + part
	}
	return out
}
