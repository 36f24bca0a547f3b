package storetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// policyWords are the scenario language's words for the fields of a policy, each with a pointer to its field.
func policyWords(p *store.Policy) []struct {
	word  string
	field any
} {
	return []struct {
		word  string
		field any
	}{
		{"calls", &p.WindowCalls},
		{"time", &p.WindowTime},
		{"streak", &p.ConsecutiveFailures},
		{"streak-for", &p.ConsecutiveFor},
		{"rate", &p.FailureRate},
		{"slow-rate", &p.SlowCallRate},
		{"slow-after", &p.SlowCallAfter},
		{"min", &p.MinCalls},
		{"reporters", &p.Reporters},
		{"open", &p.OpenFor},
		{"open-max", &p.OpenForMax},
		{"probes", &p.Probes},
		{"successes", &p.ProbeSuccesses},
		{"lease", &p.ProbeLease},
		{"ramp", &p.RampUp},
		{"observe", &p.Observe},
	}
}

// parsePolicy reads words such as "streak=5 open=10s observe", and fills in defaults.
func parsePolicy(words []string) store.Policy {
	var p store.Policy
	fields := map[string]any{}
	for _, f := range policyWords(&p) {
		fields[f.word] = f.field
	}
	for _, word := range words {
		key, value := option(word)
		switch field := fields[key].(type) {
		case *int:
			*field = int(parseInt(value))
		case *time.Duration:
			*field = parseDuration(value)
		case *float64:
			rate, err := strconv.ParseFloat(value, 64)
			if err != nil {
				panic(badLine{err.Error()})
			}
			*field = rate
		case *bool:
			*field = true
		default:
			panic(badLine{"unknown word " + word})
		}
	}
	return p.WithDefaults()
}

// policyText writes p as parsePolicy reads it: what the defaults say already is left out.
func policyText(p store.Policy) string {
	var words []string
	var zero store.Policy
	defaults := policyWords(&zero)
	for i, f := range policyWords(&p) {
		if text := fieldText(f.field); text != fieldText(defaults[i].field) {
			words = append(words, strings.TrimSuffix(f.word+"="+text, "=true"))
		}
	}
	for i := 0; i < len(words); {
		fewer := append(append([]string{}, words[:i]...), words[i+1:]...)
		if parsePolicy(fewer) == p {
			words = fewer
		} else {
			i++
		}
	}
	return strings.Join(words, " ")
}

func fieldText(field any) string {
	switch f := field.(type) {
	case *int:
		return strconv.Itoa(*f)
	case *time.Duration:
		return durationText(*f)
	case *float64:
		return strconv.FormatFloat(*f, 'g', -1, 64)
	default:
		return fmt.Sprint(*field.(*bool))
	}
}

// durationText is Go's text without zero minutes and seconds at its end.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
