package breakerhttp

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
)

func TestRetryAfterIsReadAsTheStandardSays(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"absent":                       {"", "", 0},
		"seconds":                      {"120", "", 2 * time.Minute},
		"blanks around":                {" 3 ", "", 3 * time.Second},
		"zero":                         {"0", "", 0},
		"negative":                     {"-5", "", 0},
		"a day exactly":                {"86400", "", MaxRetryAfter},
		"too long":                     {"86401", "", MaxRetryAfter},
		"longer than a Duration":       {"9223372036854775807", "", MaxRetryAfter},
		"longer than an integer":       {strings.Repeat("9", 400), "", MaxRetryAfter},
		"a fraction is not allowed":    {"1.5", "", 0},
		"nor a unit":                   {"5s", "", 0},
		"nor another spelling":         {"+5", "", 0},
		"not a number":                 {"soon", "", 0},
		"a date":                       {at(90 * time.Second), "", 90 * time.Second},
		"a date in the old spelling":   {now.Add(time.Minute).Format(time.RFC850), "", time.Minute},
		"a date in C's spelling":       {now.Add(time.Minute).Format(time.ANSIC), "", time.Minute},
		"a date in the past":           {at(-time.Hour), "", 0},
		"a date far away":              {at(1000 * time.Hour), "", MaxRetryAfter},
		"the year 9999":                {"Fri, 31 Dec 9999 23:59:59 GMT", "", MaxRetryAfter},
		"the tier's clock is off":      {at(time.Hour + 30*time.Second), at(time.Hour), 30 * time.Second},
		"the tier's clock is unusable": {at(30 * time.Second), "yesterday", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Retry-After", c.value)
			h.Set("Date", c.date)
			if got := retryAfter(h, now); got != c.want {
				t.Errorf("Retry-After %q with Date %q reads as %v, want %v", c.value, c.date, got, c.want)
			}
		})
	}
}

func FuzzRetryAfterIsNeverNegativeNorAbsurd(f *testing.F) {
	for _, seed := range []string{"", "5", "-5", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"} {
		f.Add(seed, seed, int64(0))
	}
	f.Fuzz(func(t *testing.T, value, date string, now int64) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		if got := retryAfter(h, time.Unix(now, 0)); got < 0 || got > MaxRetryAfter {
			t.Errorf("Retry-After %q with Date %q reads as %v", value, date, got)
		}
	})
}

func TestCheckResponseFindsFaultWithFailuresOnly(t *testing.T) {
	body := io.NopCloser(strings.NewReader("details"))
	resp := &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"2"}}, Body: body}
	err := CheckResponse(resp)
	if want := "HTTP 503 Service Unavailable; retry after 2s"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %q", err, want)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "details" {
		t.Errorf("the body reads %q, %v: it is the caller's to read, closed or not", text, err)
	}
	for _, status := range []int{200, 302, 404, 501} {
		if err := CheckResponse(&http.Response{StatusCode: status}); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	if err := CheckResponse(nil); err != nil {
		t.Errorf("no response: %v", err)
	}
	if got := (&StatusError{Code: 599}).Error(); got != "HTTP 599" {
		t.Errorf("a status without a name reads %q", got)
	}
}

// waitError is an error that knows when to come back.
type waitError time.Duration

func (w waitError) Error() string             { return "secret" }
func (w waitError) RetryAfter() time.Duration { return time.Duration(w) }

// An error that did not know was answered with a second that nobody had named.
func TestWriteErrorAnswersWithWholeSecondsRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", -time.Hour: "", time.Nanosecond: "1", time.Second: "1", time.Second + 1: "2",
		1500 * time.Millisecond: "2", time.Minute: "60", math.MaxInt64: "9223372037",
	} {
		for _, err := range []error{waitError(d), fmt.Errorf("wrapped: %w", waitError(d)), errors.Join(io.EOF, waitError(d))} {
			rec := httptest.NewRecorder()
			if !WriteError(rec, err) {
				t.Fatalf("WriteError knows nothing of %T", err)
			}
			if got := rec.Header().Get("Retry-After"); rec.Code != http.StatusServiceUnavailable || got != want {
				t.Errorf("%v: %d with Retry-After %q, want 503 with %q", d, rec.Code, got, want)
			}
			if strings.Contains(rec.Body.String(), "secret") {
				t.Errorf("the body tells the client %q", rec.Body)
			}
		}
	}
}

func TestWriteErrorKnowsAFallbackWithNoTierLeft(t *testing.T) {
	rec := httptest.NewRecorder()
	skipped := &fallback.AllTiersFailedError{Attempts: []fallback.Attempt{
		{Tier: "a", Skipped: true, Err: waitError(9 * time.Second)}, {Tier: "b", Skipped: true, Err: waitError(4 * time.Second)},
	}}
	if !WriteError(rec, skipped) || rec.Header().Get("Retry-After") != "4" {
		t.Errorf("Retry-After is %q, want that of the tier that is back first", rec.Header().Get("Retry-After"))
	}
}

// All tiers had said 30 s, and the answer was a second.
func TestWriteErrorSaysWhatTheTiersSaid(t *testing.T) {
	told := &StatusError{Code: 429, Wait: 30 * time.Second}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a status that names none":      {&StatusError{Code: 500}, ""},
		"joined, unknown first":         {errors.Join(&StatusError{Code: 500}, told), "30"},
		"joined, unknown last":          {errors.Join(told, &StatusError{Code: 500}), "30"},
		"all tiers said it":             {tiersFailed(told, told), "30"},
		"all tiers, in a retrier":       {&retry.ExhaustedError{Last: tiersFailed(told, told)}, "30"},
		"one tier said it":              {tiersFailed(&StatusError{Code: 500}, told), "30"},
		"no tier named a time":          {tiersFailed(&StatusError{Code: 500}, io.EOF), ""},
		"a breaker that is to be asked": {&breaker.OpenError{}, ""},
	} {
		rec := httptest.NewRecorder()
		if got := WriteError(rec, c.err); !got || rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != c.want {
			t.Errorf("%s: %v, %d with Retry-After %q, want %q", name, got, rec.Code, rec.Header().Get("Retry-After"), c.want)
		}
	}
}

// tiersFailed is the error of a chain whose tiers were asked.
func tiersFailed(errs ...error) error {
	all := new(fallback.AllTiersFailedError)
	for _, err := range errs {
		all.Attempts = append(all.Attempts, fallback.Attempt{Tier: "a", Err: err})
	}
	return fmt.Errorf("docs: %w", all)
}

func TestWriteErrorWritesNothingForOtherErrors(t *testing.T) {
	for _, err := range []error{nil, io.EOF} {
		rec := httptest.NewRecorder()
		if WriteError(rec, err) || rec.Body.Len() > 0 || len(rec.Header()) > 0 {
			t.Errorf("%v: wrote %v %q", err, rec.Header(), rec.Body)
		}
	}
}

func TestAHostIsSpelledOneWay(t *testing.T) {
	for _, c := range []struct{ host, scheme, want string }{
		{"api.example.com", "https", "api.example.com"},
		{"API.Example.COM", "https", "api.example.com"},
		{"api.example.com.", "https", "api.example.com"},
		{"api.example.com:443", "https", "api.example.com"},
		{"api.example.com.:443", "https", "api.example.com"},
		{"api.example.com:80", "http", "api.example.com"},
		{"api.example.com:80", "https", "api.example.com:80"},
		{"api.example.com:443", "http", "api.example.com:443"},
		{"api.example.com:8080", "http", "api.example.com:8080"},
		{"127.0.0.1:80", "http", "127.0.0.1"},
		{"[::1]", "http", "[::1]"},
		{"[::1]:80", "http", "[::1]"},
		{"[2001:DB8::1]:8080", "http", "[2001:db8::1]:8080"},
		{"", "http", "*"},
		{":80", "http", "*"},
		{".", "http", "*"},
	} {
		if got := normal(c.host, c.scheme); got != c.want {
			t.Errorf("%s://%s is %q, want %q", c.scheme, c.host, got, c.want)
		}
	}
}
