package breakerhttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/commontrip/commontrip/internal/guard"
)

// Retryable reports whether an attempt that failed with err may succeed another time; it is for retry.WithRetryIf. It is
// false for nil and for what the same request meets again, however often it is sent:
//
//   - a loop of redirects, as http.Client ends it (what a CheckRedirect of yours refuses, mark with retry.Permanent);
//   - a URL without a host, or of a scheme that the transport does not know; a header that is not legal;
//   - a certificate that is not trusted, or is another host's; a server that does not speak TLS;
//   - a body that can be sent only once ([ErrSentOnce]), and whatever else says Permanent() bool;
//   - 505 and 508 among the failures of [CheckResponse].
//
// Anything else may be a tier's bad moment, a refusal by a breaker too.
func Retryable(err error) bool {
	if err == nil || guard.Permanent(err) {
		return false
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Code != http.StatusHTTPVersionNotSupported && status.Code != http.StatusLoopDetected
	}
	return !distrusted(err) && !errors.Is(err, http.ErrSchemeMismatch) && !illegal(err)
}

// distrusted reports that TLS has found the peer to be another than the one that was asked for.
func distrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok
}

// never are the beginnings of what http.Client and http.Transport say of a request that cannot be sent. Their errors have
// no identity: the text is all there is.
var never = []string{
	"stopped after 10 redirects",
	"failed to parse Location header",
	"unsupported protocol scheme",
	"http: no Host in request URL",
	"http: nil Request.URL",
	"http: nil Request.Header",
	"http: Request.RequestURI can't be set in client requests",
	"net/http: invalid header field",
	"net/http: invalid trailer field",
	"net/http: invalid method",
}

// illegal reports that a client refused to send the request, or to follow it any further. Only errors that have no other
// below them are looked at, so that no tier's text is taken for one.
func illegal(err error) bool {
	failed, ok := errors.AsType[*url.Error](err)
	if !ok {
		return false
	}
	if failed.Op == "parse" {
		return true
	}
	text := failed.Err.Error()
	return errors.Unwrap(failed.Err) == nil &&
		slices.ContainsFunc(never, func(begin string) bool { return strings.HasPrefix(text, begin) })
}
