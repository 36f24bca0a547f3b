package store_test

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/store"
)

func TestDefaults(t *testing.T) {
	want := store.Policy{
		WindowCalls: 100, ConsecutiveFailures: 5, MinCalls: 10, Reporters: 1, OpenFor: time.Minute, OpenForMax: time.Minute,
		Probes: 3, ProbeSuccesses: 2, ProbeLease: 30 * time.Second,
	}
	if got := store.DefaultPolicy(); got != want {
		t.Errorf("DefaultPolicy:\n got %+v\nwant %+v", got, want)
	}
	if got := (store.Policy{}).WithDefaults(); got != want {
		t.Errorf("the zero policy with defaults:\n got %+v\nwant %+v", got, want)
	}
	want.ConsecutiveFor, want.FailureRate, want.MinCalls, want.Reporters = time.Second, 0.5, 20, 2
	if got := store.FleetPolicy(); got != want {
		t.Errorf("FleetPolicy:\n got %+v\nwant %+v", got, want)
	}
	for _, p := range []store.Policy{store.DefaultPolicy(), store.FleetPolicy(), {}} {
		if err := p.Validate(); err != nil {
			t.Errorf("Validate: %v", err)
		}
	}
}

func TestADefaultFollowsWhatIsSet(t *testing.T) {
	for name, c := range map[string]struct{ given, changed store.Policy }{
		"a rule keeps the streak off":             {store.Policy{FailureRate: 0.5}, store.Policy{FailureRate: 0.5}},
		"a window of time has no calls":           {store.Policy{WindowTime: time.Minute}, store.Policy{WindowTime: time.Minute, ConsecutiveFailures: 5, MinCalls: 10}},
		"MinCalls fits a short window":            {store.Policy{WindowCalls: 4}, store.Policy{WindowCalls: 4, MinCalls: 4, ConsecutiveFailures: 5}},
		"OpenForMax is OpenFor":                   {store.Policy{OpenFor: time.Second}, store.Policy{OpenFor: time.Second, OpenForMax: time.Second, ConsecutiveFailures: 5}},
		"OpenForMax is OpenFor as it is rounded":  {store.Policy{OpenFor: 1}, store.Policy{OpenFor: time.Millisecond, OpenForMax: time.Millisecond, ConsecutiveFailures: 5}},
		"a rate alone is judged from 10 calls on": {store.Policy{SlowCallRate: 1, SlowCallAfter: 1}, store.Policy{SlowCallRate: 1, SlowCallAfter: time.Millisecond, MinCalls: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.changed
			if want.WindowTime == 0 && want.WindowCalls == 0 {
				want.WindowCalls = 100
			}
			fill(&want.MinCalls, 10)
			fill(&want.Reporters, 1)
			fill(&want.OpenFor, time.Minute)
			fill(&want.OpenForMax, time.Minute)
			fill(&want.Probes, 3)
			fill(&want.ProbeSuccesses, 2)
			fill(&want.ProbeLease, 30*time.Second)
			if got := c.given.WithDefaults(); got != want {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func TestRounding(t *testing.T) {
	for name, c := range map[string]struct{ given, want store.Policy }{
		"durations go up to whole milliseconds": {
			store.Policy{ConsecutiveFor: 1, SlowCallAfter: 1_000_001, OpenFor: 1_999_999, ProbeLease: 1, RampUp: 999_999},
			store.Policy{ConsecutiveFor: 1e6, SlowCallAfter: 2e6, OpenFor: 2e6, ProbeLease: 1e6, RampUp: 1e6},
		},
		"whole milliseconds stay":           {store.Policy{OpenFor: 5e6, RampUp: 7e6}, store.Policy{OpenFor: 5e6, RampUp: 7e6}},
		"WindowTime goes up to 10 ms":       {store.Policy{WindowTime: time.Second + 1}, store.Policy{WindowTime: time.Second + 10*time.Millisecond}},
		"rates go down to 1/10000":          {store.Policy{FailureRate: 0.33339}, store.Policy{FailureRate: 0.3333}},
		"what no float64 holds stays":       {store.Policy{FailureRate: 0.57}, store.Policy{FailureRate: 0.57}},
		"nor is a little less another rate": {store.Policy{FailureRate: 1 - 0.9}, store.Policy{FailureRate: 0.1}},
		"both rates are rounded":            {store.Policy{SlowCallRate: 0.99996}, store.Policy{SlowCallRate: 0.9999}},
		"a positive rate stays one":         {store.Policy{FailureRate: 1e-300}, store.Policy{FailureRate: 0.0001}},
		"a rate just above 1 is 1":          {store.Policy{FailureRate: 1.00001}, store.Policy{FailureRate: 1}},
		"a negative duration is not raised": {store.Policy{OpenFor: -1}, store.Policy{OpenFor: -1}},
		"the longest duration overflows not": {
			store.Policy{RampUp: math.MaxInt64}, store.Policy{RampUp: math.MaxInt64},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.given.WithDefaults()
			given, want := reflect.ValueOf(c.given), reflect.ValueOf(c.want)
			for i := range given.NumField() {
				if !given.Field(i).IsZero() && got != (store.Policy{}) {
					if g := reflect.ValueOf(got).Field(i).Interface(); g != want.Field(i).Interface() {
						t.Errorf("%s: got %v, want %v", given.Type().Field(i).Name, g, want.Field(i))
					}
				}
			}
		})
	}
}

// TestAShareThatIsHitExactlyReachesItsRate: rates were rounded to the nearest 1/10000, which put 751 of these 1829 shares out
// of the reach of a window of that many calls.
func TestAShareThatIsHitExactlyReachesItsRate(t *testing.T) {
	for calls := 1; calls <= 60; calls++ {
		for hits := 1; hits <= calls; hits++ {
			share := float64(hits) / float64(calls)
			p := store.Policy{WindowCalls: calls, FailureRate: share, SlowCallRate: share, SlowCallAfter: 1}.WithDefaults()
			if p.SlowCallRate != p.FailureRate {
				t.Fatalf("%d of %d: a FailureRate of %v, a SlowCallRate of %v", hits, calls, p.FailureRate, p.SlowCallRate)
			}
			rate := int(math.Round(p.FailureRate * 10_000))
			if hits*10_000 < rate*calls {
				t.Errorf("%d of %d calls do not reach the rate of %d/%d, kept as %v", hits, calls, hits, calls, p.FailureRate)
			}
			if (hits-1)*10_000 >= rate*calls {
				t.Errorf("%d of %d calls reach the rate of %d/%d, kept as %v", hits-1, calls, hits, calls, p.FailureRate)
			}
		}
	}
}

func TestValidateNamesTheFirstBadField(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		field string
		bad   store.Policy
	}{
		{"WindowCalls", store.Policy{WindowCalls: -1}},
		{"WindowCalls", store.Policy{WindowCalls: 10_001}},
		{"WindowTime", store.Policy{WindowCalls: 10, WindowTime: time.Minute}},
		{"WindowTime", store.Policy{WindowTime: time.Second - 10*time.Millisecond}},
		{"WindowTime", store.Policy{WindowTime: day + 1}},
		{"WindowTime", store.Policy{WindowTime: -1}},
		{"ConsecutiveFailures", store.Policy{ConsecutiveFailures: -1}},
		{"ConsecutiveFailures", store.Policy{ConsecutiveFailures: 1_000_001}},
		{"ConsecutiveFor", store.Policy{ConsecutiveFor: -1}},
		{"ConsecutiveFor", store.Policy{ConsecutiveFor: day + 1}},
		{"FailureRate", store.Policy{FailureRate: -1e-9}},
		{"FailureRate", store.Policy{FailureRate: 1.0001}},
		{"FailureRate", store.Policy{FailureRate: math.NaN()}},
		{"FailureRate", store.Policy{FailureRate: math.Inf(1)}},
		{"FailureRate", store.Policy{FailureRate: math.Inf(-1)}},
		{"SlowCallRate", store.Policy{SlowCallRate: 2, SlowCallAfter: time.Second}},
		{"SlowCallRate", store.Policy{SlowCallRate: math.NaN(), SlowCallAfter: time.Second}},
		{"SlowCallRate", store.Policy{SlowCallRate: 0.5}},
		{"SlowCallAfter", store.Policy{SlowCallAfter: -1}},
		{"SlowCallAfter", store.Policy{SlowCallAfter: day + 1}},
		{"MinCalls", store.Policy{MinCalls: -1}},
		{"MinCalls", store.Policy{MinCalls: 101}},
		{"MinCalls", store.Policy{WindowCalls: 5, MinCalls: 6}},
		{"MinCalls", store.Policy{WindowTime: time.Minute, MinCalls: 1_000_001}},
		{"Reporters", store.Policy{Reporters: -1}},
		{"Reporters", store.Policy{Reporters: 17}},
		{"OpenFor", store.Policy{OpenFor: -1}},
		{"OpenFor", store.Policy{OpenFor: day + 1}},
		{"OpenForMax", store.Policy{OpenForMax: time.Second}},
		{"OpenForMax", store.Policy{OpenForMax: day + 1}},
		{"OpenForMax", store.Policy{OpenForMax: -1}},
		{"Probes", store.Policy{Probes: -1}},
		{"Probes", store.Policy{Probes: 1001}},
		{"ProbeSuccesses", store.Policy{ProbeSuccesses: -1}},
		{"ProbeSuccesses", store.Policy{ProbeSuccesses: 1_000_001}},
		{"ProbeLease", store.Policy{ProbeLease: -1}},
		{"ProbeLease", store.Policy{ProbeLease: day + 1}},
		{"RampUp", store.Policy{RampUp: -1}},
		{"RampUp", store.Policy{RampUp: math.MaxInt64}},
		{"WindowTime", store.Policy{WindowTime: -1, RampUp: -1, FailureRate: -1}},
		{"FailureRate", store.Policy{RampUp: -1, FailureRate: -1, OpenFor: -1}},
	} {
		err := c.bad.Validate()
		var bad *store.PolicyError
		if !errors.As(err, &bad) || bad.Field != c.field || bad.Value == "" || bad.Range == "" {
			t.Errorf("%+v: got %v, want %s", c.bad, err, c.field)
		}
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v is not ErrInvalid", err)
		}
	}
}

func TestValidateTakesTheEdges(t *testing.T) {
	const day = 24 * time.Hour
	for _, p := range []store.Policy{
		{WindowCalls: 1},
		{WindowCalls: 10_000, MinCalls: 10_000},
		{WindowTime: time.Second, MinCalls: 1_000_000},
		{WindowTime: time.Second - 1}, // rounded up into the range
		{WindowTime: day},
		{ConsecutiveFailures: 1_000_000, ConsecutiveFor: day},
		{FailureRate: 1, SlowCallRate: 1, SlowCallAfter: day},
		{FailureRate: 1e-300},
		{Reporters: 16},
		{OpenFor: 1, OpenForMax: day},
		{OpenFor: day},
		{Probes: 1000, ProbeSuccesses: 1_000_000, ProbeLease: 1},
		{ProbeLease: day, RampUp: day, Observe: true},
	} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func anyPolicy(t *rapid.T) store.Policy {
	n := rapid.OneOf(rapid.IntRange(0, 20), rapid.Int())
	d := rapid.Map(rapid.OneOf(rapid.Int64Range(0, 1e9), rapid.Int64()), func(n int64) time.Duration { return time.Duration(n) })
	rate := rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64())
	return store.Policy{
		WindowCalls: n.Draw(t, "WindowCalls"), WindowTime: d.Draw(t, "WindowTime"), ConsecutiveFailures: n.Draw(t, "ConsecutiveFailures"),
		ConsecutiveFor: d.Draw(t, "ConsecutiveFor"), FailureRate: rate.Draw(t, "FailureRate"), SlowCallRate: rate.Draw(t, "SlowCallRate"),
		SlowCallAfter: d.Draw(t, "SlowCallAfter"), MinCalls: n.Draw(t, "MinCalls"), Reporters: n.Draw(t, "Reporters"),
		OpenFor: d.Draw(t, "OpenFor"), OpenForMax: d.Draw(t, "OpenForMax"), Probes: n.Draw(t, "Probes"),
		ProbeSuccesses: n.Draw(t, "ProbeSuccesses"), ProbeLease: d.Draw(t, "ProbeLease"), RampUp: d.Draw(t, "RampUp"),
		Observe: rapid.Bool().Draw(t, "Observe"),
	}
}

// wantSoundDefaults checks what holds for any policy: defaults are idempotent, and change no verdict of Validate.
func wantSoundDefaults(t rapid.TB, p store.Policy) {
	d := p.WithDefaults()
	if again := d.WithDefaults(); !reflect.DeepEqual(again, d) && again == again { // a NaN is not itself
		t.Errorf("WithDefaults is not idempotent:\nonce  %+v\ntwice %+v", d, again)
	}
	if err := p.Validate(); err != nil {
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v is not ErrInvalid", err)
		}
		return
	}
	if err := d.Validate(); err != nil {
		t.Errorf("a good policy is bad with its defaults: %v\n%+v", err, d)
	}
	if !d.HasRule() || d.WindowCalls == 0 == (d.WindowTime == 0) || d.Probes < 1 || d.OpenForMax < d.OpenFor {
		t.Errorf("a policy that cannot work is called good: %+v", d)
	}
}

func TestDefaultsAreSoundForAnyPolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { wantSoundDefaults(t, anyPolicy(t)) })
}

func FuzzPolicy(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { wantSoundDefaults(t, anyPolicy(t)) }))
}

// TestDefaultsLeaveWhatIsNoRate: this one was once rounded further down each time.
func TestDefaultsLeaveWhatIsNoRate(t *testing.T) {
	const rate = 1.677721603930664e+07
	if got := (store.Policy{FailureRate: rate}).WithDefaults().FailureRate; got != rate {
		t.Errorf("%v became %v", rate, got)
	}
}
