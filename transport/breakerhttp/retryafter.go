package breakerhttp

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/guard"
)

// MaxRetryAfter is the longest wait that is believed of a tier: a longer one reads as this.
const MaxRetryAfter = 24 * time.Hour

// RefusedHeader is the header by which a response says that a guard answered it in the place of the tier: [WriteError] and a
// [Middleware] set it, and guards of your own may, to any value. In a response that would be a failure (429, or 5xx but 501)
// it means that the tier was not asked: transports and middlewares outside ignore such a response, in this process and in
// others.
const RefusedHeader = "X-Guard-Refused"

// StatusError is a response that means a failure: 429, or 5xx but 501. Or it is a guard's, and means that the tier was not
// asked; see [RefusedHeader].
type StatusError struct {
	Code  int           // the HTTP status code
	Wait  time.Duration // what Retry-After asked for: 0 (it asked for nothing) to [MaxRetryAfter]
	Guard bool          // a guard refused the request
}

// Error says the status, and the wait if the tier asked for one.
func (e *StatusError) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.Code, http.StatusText(e.Code)))
	if e.Wait > 0 {
		text += fmt.Sprintf("; retry after %v", e.Wait)
	}
	return text
}

// RetryAfter returns Wait. A retrier does not try again before.
func (e *StatusError) RetryAfter() time.Duration { return e.Wait }

// Refused returns Guard; see [breaker.IsRefusal].
func (e *StatusError) Refused() bool { return e.Guard }

// StatusCode returns Code.
func (e *StatusError) StatusCode() int { return e.Code }

// CheckResponse returns a *[StatusError] for a response that counts as a failure by default, else nil; so too for a nil
// one. It turns the answer of an http.Client into what a retrier or a fallback needs: an error, with the tier's
// Retry-After.
//
// With an error the response is done with: its body has been read and closed, so that its connection can serve the next
// attempt, whether the caller closes it or drops it. What was read, up to 64 KiB within 250 ms, can still be read from
// resp.Body; what was not is an error there. Without an error the body is not touched, and the caller closes it.
func CheckResponse(resp *http.Response) error {
	err := faultOf(resp)
	if err != nil {
		putAway(resp)
	}
	return err
}

// faultOf is CheckResponse without a look at the body.
func faultOf(resp *http.Response) error {
	if resp == nil || !failed(resp.StatusCode) {
		return nil
	}
	return &StatusError{
		Code: resp.StatusCode, Wait: retryAfter(resp.Header, time.Now()), Guard: resp.Header.Get(RefusedHeader) != "",
	}
}

func failed(status int) bool {
	return status == http.StatusTooManyRequests ||
		500 <= status && status <= 599 && status != http.StatusNotImplemented
}

// retryAfter reads the Retry-After of a response: whole seconds, or an HTTP date. A date is the tier's, so it is compared
// with the Date of the same response if it has one, else with now. What is negative, past or unreadable
// is 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	seconds, err := strconv.ParseUint(value, 10, 64)
	switch {
	case err == nil && seconds < uint64(MaxRetryAfter/time.Second):
		return time.Duration(seconds) * time.Second
	case err == nil, errors.Is(err, strconv.ErrRange):
		return MaxRetryAfter
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), MaxRetryAfter)
}

// WriteError answers a request whose handler got a guard's refusal ([breaker.IsRefusal]) or an error that may know when to come
// back (it has a method RetryAfter() time.Duration), such as a *[breaker.OpenError] or a fallback.AllTiersFailedError, however
// deep it is wrapped: 503, with Retry-After in whole seconds, rounded up, if a time is named. The longest of the error's tree
// counts; an error that joins others and has the method itself speaks for them. A refusal's answer has [RefusedHeader] too.
// For any other error, nil included, it writes nothing and returns false. The error's text is not sent.
func WriteError(w http.ResponseWriter, err error) bool {
	refused := breaker.IsRefusal(err)
	if !refused && !guard.HasRetryAfter(err) {
		return false
	}
	if refused {
		w.Header().Set(RefusedHeader, "true")
	}
	if wait := guard.RetryAfter(err); wait > 0 {
		seconds := wait / time.Second
		if wait%time.Second > 0 {
			seconds++
		}
		w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	unavailable(w)
	return true
}

// ProxyError is an ErrorHandler for httputil.ReverseProxy. It answers a refusal of the proxy's guarded transport as
// [WriteError] does, 413 for an upload that is longer than http.MaxBytesReader lets through, and 502 for anything else. The
// proxy's own handler says 502 of them all, which a [Middleware] around it takes for the tier's failure.
func ProxyError(w http.ResponseWriter, _ *http.Request, err error) {
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLong:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case !WriteError(w, err):
		w.WriteHeader(http.StatusBadGateway)
	}
}

func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	if !WriteError(w, err) {
		unavailable(w)
	}
}

func unavailable(w http.ResponseWriter) {
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}
