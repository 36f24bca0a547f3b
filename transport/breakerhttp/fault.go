package breakerhttp

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/commontrip/commontrip/breaker"
)

// noResponseError is what counts if a base round tripper gave neither a response nor an error.
type noResponseError struct{}

func (noResponseError) Error() string {
	return "the round tripper gave neither a response nor an error"
}

// told is the error of a request as the breaker is to know it: a refusal if the fault is the caller's own, so that the tier
// says nothing by it.
func told(req *http.Request, up *upload, err error) error {
	if malformed(req) || up.broke() || up.stalled() || unsendable(err) {
		return breaker.AsRefusal(err)
	}
	return err
}

// malformed reports whether no server can have got such a request: net/http, and whatever keeps to HTTP, sends none.
func malformed(req *http.Request) bool {
	return req.URL == nil || req.Header == nil || req.URL.Host == "" || strings.ContainsFunc(req.URL.Host, blankOrControl) ||
		strings.ContainsFunc(req.URL.RequestURI(), control) ||
		req.Method != "" && !isToken(req.Method) ||
		req.Body == nil && req.ContentLength != 0 ||
		!validHeader(req.Header) || !validHeader(req.Trailer)
}

func validHeader(h http.Header) bool {
	for name, values := range h {
		if !isToken(name) {
			return false
		}
		for _, v := range values {
			for i := range len(v) {
				if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
					return false
				}
			}
		}
	}
	return true
}

// isToken reports whether s is a token of HTTP: the name of a method or a header.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

func blankOrControl(r rune) bool { return r == ' ' || control(r) }

// unsendable reports whether err says by itself that the request did not leave the process. Most of these errors have no
// type of their own.
func unsendable(err error) bool {
	var addr *net.AddrError
	var invalid net.InvalidAddrError
	var network net.UnknownNetworkError
	var roots x509.SystemRootsError
	if errors.As(err, &addr) || errors.As(err, &invalid) || errors.As(err, &network) || errors.As(err, &roots) {
		return true
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok && lookup.IsNotFound && !isDomain(lookup.Name) {
		return true
	}
	if slices.ContainsFunc(exhausted, func(e error) bool { return errors.Is(err, e) }) {
		return true
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if slices.ContainsFunc(ownFaults, func(start string) bool { return strings.HasPrefix(e.Error(), start) }) {
			return true
		}
	}
	return false
}

// exhausted is what the system says if it has no socket left for this process. That no address is free (EADDRNOTAVAIL) is not
// among it: a host without IPv6 says so of every tier that has an address there, and hides how the other address failed.
var exhausted = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// isDomain reports whether a name server could be asked for such a name.
func isDomain(name string) bool {
	name = strings.TrimSuffix(name, ".")
	return len(name) <= 253 && !slices.ContainsFunc(strings.Split(name, "."), func(label string) bool {
		return label == "" || len(label) > 63
	})
}

// ownFaults is how the errors begin by which net/http, its HTTP/2 and HTTP/3 say that they cannot send a request. What a server
// says stands behind words of theirs, so that none can say this.
var ownFaults = []string{
	"unsupported protocol scheme", "http2: unsupported scheme", "http3: unsupported protocol scheme",
	"http: invalid Host header", "net/http: can't write control character in Request.URL", "invalid Trailer key",
	"http: ContentLength=", "http2: request body larger than specified content length",
	"http2: request header list larger than peer's advertised limit",
	"net/http: cannot rewind body after connection loss",
	"tls: either ServerName or InsecureSkipVerify must be specified", "tls: no supported versions satisfy MinVersion and MaxVersion",
}

// upload is what is known of a request's own body. A nil one is of a request without a body that could break.
type upload struct {
	caller  context.Context
	size    int64 // what was announced; below 1: nothing was
	broken  atomic.Bool
	awaited atomic.Bool // a Read is under way, or was when the request's time was over
}

func (u *upload) broke() bool { return u != nil && u.broken.Load() }

// stalled reports whether the request was not whole when its time was over, and its own sender was waited for.
func (u *upload) stalled() bool { return u != nil && late(u.caller) && u.awaited.Load() }

// watchUpload gives a request like req whose body tells if reading it fails, or if it is not as long as announced. A body that
// can do neither is left as it is, and so is req itself.
func watchUpload(req *http.Request) (*http.Request, *upload) {
	if req.Body == nil || req.Body == http.NoBody || inMemory(req.Body) {
		return req, nil
	}
	u := &upload{caller: req.Context(), size: req.ContentLength}
	sent := req.WithContext(req.Context())
	sent.Body = &uploadBody{ReadCloser: req.Body, of: u}
	if again := req.GetBody; again != nil {
		sent.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				u.broken.Store(true)
				return nil, err
			}
			return &uploadBody{ReadCloser: body, of: u}, nil
		}
	}
	return sent, u
}

// watchClient watches the body of a server's request, in its place: a copy of the request would keep what a mux within notes
// in it from who stands outside.
func watchClient(r *http.Request) *upload {
	sent, u := watchUpload(r)
	if u != nil {
		r.Body = sent.Body
	}
	return u
}

// uploadBody is a request's body on its way.
type uploadBody struct {
	io.ReadCloser
	of     *upload
	read   int64
	closed atomic.Bool
}

// Read implements io.Reader. An error after Close is the effect of the request's end, and not its cause.
func (b *uploadBody) Read(p []byte) (int, error) {
	inTime := !late(b.of.caller) && (b.of.size <= 0 || b.read < b.of.size)
	if inTime {
		b.of.awaited.Store(true)
	}
	n, err := b.ReadCloser.Read(p)
	if inTime && !late(b.of.caller) {
		b.of.awaited.Store(false)
	}
	b.read += int64(n)
	switch size := b.of.size; {
	case b.closed.Load() || errors.Is(err, http.ErrBodyReadAfterClose):
	case size > 0 && (b.read > size || b.read < size && err == io.EOF), //nolint:errorlint // io.Reader's contract is the very value
		err != nil && err != io.EOF: //nolint:errorlint // the same
		b.of.broken.Store(true)
	}
	return n, err
}

// Close implements io.Closer.
func (b *uploadBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// inMemory reports whether a body is one that http.NewRequest made of bytes or a string, which cannot break, or a file, which
// the kernel sends by itself as long as it is seen to be one.
func inMemory(body io.ReadCloser) bool {
	var inner any = body
	if t := reflect.TypeOf(body); t == nopCloser || t == nopCloserWriterTo {
		inner = reflect.ValueOf(body).Field(0).Interface()
	}
	switch inner.(type) {
	case *bytes.Buffer, *bytes.Reader, *strings.Reader, *os.File:
		return true
	}
	return false
}

// What io.NopCloser gives, by which net/http looks through it too.
var (
	nopCloser         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterTo = reflect.TypeOf(io.NopCloser(new(bytes.Buffer)))
)
