package breakerhttp_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

var errOwn = errors.New("the disk is full")

// refusal is the error of a guard of another library.
type refusal struct{}

func (refusal) Error() string { return "the bulkhead is full" }
func (refusal) Refused() bool { return true }

// guardsAnswer is the response of a guard that WriteError has written.
func guardsAnswer() *http.Response {
	rec := httptest.NewRecorder()
	breakerhttp.WriteError(rec, fmt.Errorf("users: %w", breaker.NewOpenError("db", breaker.RefusedOpen, time.Second)))
	return rec.Result()
}

// The lines of the package's table for a client that no request can show to a server, or that need none.
func TestAClientsRequestCountsByWhoseFaultItsEndIs(t *testing.T) {
	gives := func(resp *http.Response, err error) roundTrip {
		return func(*http.Request) (*http.Response, error) { return resp, err }
	}
	for name, c := range map[string]struct {
		base roundTrip
		want count
	}{
		"neither a response nor an error":   {gives(nil, nil), failure},
		"an error":                          {gives(nil, errors.New("connection reset")), failure},
		"a certificate that nobody trusts":  {gives(nil, errors.New("x509: unknown authority")), failure},
		"a breaker within refused":          {gives(nil, breaker.ErrOpen), ignored},
		"another guard within refused":      {gives(nil, fmt.Errorf("users: %w", refusal{})), ignored},
		"a refusal beside a failure":        {gives(nil, errors.Join(refusal{}, io.ErrUnexpectedEOF)), failure},
		"a guard's answer":                  {gives(guardsAnswer(), nil), ignored},
		"a limiter's 429 that says so":      {gives(&http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{breakerhttp.RefusedHeader: {"limiter"}}}, nil), ignored},
		"an answer with a guard's header":   {gives(&http.Response{StatusCode: http.StatusNotFound, Header: http.Header{breakerhttp.RefusedHeader: {"true"}}}, nil), success},
		"a tier that quotes our own faults": {gives(nil, errors.New(`malformed HTTP response "http: ContentLength="`)), failure},
		"headers longer than HTTP/2 takes":  {gives(nil, errors.New("http2: request header list larger than peer's advertised limit")), ignored},
		"an own fault, wrapped":             {gives(nil, fmt.Errorf("a proxy: %w", errors.New("http: invalid Host header"))), ignored},
	} {
		for with, opts := range map[string][]breakerhttp.Option{
			"":              nil,
			", WithOutcome": {breakerhttp.WithOutcome(breakerhttp.DefaultOutcome)},
			", an outcome of ours": {breakerhttp.WithOutcome(func(r *http.Response, err error) breaker.Outcome {
				if err != nil || r.StatusCode >= 429 {
					return breaker.Failure
				}
				return breaker.Success
			})},
			", WithBodyOutcome": {breakerhttp.WithBodyOutcome()},
		} {
			t.Run(name+with, func(t *testing.T) {
				b := newBreaker(t)
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
				_, _ = breakerhttp.NewTransport(c.base, b, opts...).RoundTrip(req)
				wantCount(t, b, c.want)
			})
		}
	}
}

func TestARequestThatNeverLeftTheProcessIsIgnored(t *testing.T) {
	// Five requests with a token that ended in a line break opened the breaker, in a fleet for all, and the tier was not asked.
	var asked atomic.Int32
	tier := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	for name, spoil := range map[string]func(*http.Request){
		"a header's value":         func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc\n") },
		"a header's name":          func(r *http.Request) { r.Header["bad name"] = []string{"x"} },
		"an empty header's name":   func(r *http.Request) { r.Header[""] = []string{"x"} },
		"a trailer":                func(r *http.Request) { r.Trailer = http.Header{"X\r\n": {"x"}} },
		"a method":                 func(r *http.Request) { r.Method = "GE T" },
		"no URL":                   func(r *http.Request) { r.URL = nil },
		"no headers":               func(r *http.Request) { r.Header = nil },
		"no host":                  func(r *http.Request) { r.URL.Host = "" },
		"a host with a blank":      func(r *http.Request) { r.URL.Host = "a b" },
		"a scheme":                 func(r *http.Request) { r.URL.Scheme = "gopher" },
		"no scheme":                func(r *http.Request) { r.URL.Scheme = "" },
		"a port":                   func(r *http.Request) { r.URL.Host = "127.0.0.1:99999" },
		"a path of control bytes":  func(r *http.Request) { r.URL.Opaque = "//x/a\nb" },
		"a length without a body":  func(r *http.Request) { r.ContentLength = 3 },
		"a body of another length": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 3 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, tier, nil)
			spoil(req)
			if resp, err := clientOf(t, b).Transport.RoundTrip(req); err == nil {
				_ = resp.Body.Close()
				t.Fatal("the request was sent")
			}
			wantCount(t, b, ignored)
		})
	}
	if asked.Load() != 0 {
		t.Errorf("the tier was asked %d times", asked.Load())
	}
}

// A process without a free socket opened its breakers, in a fleet for all, while the tiers answered.
func TestWhatThisProcessLacksIsNotTheTiersFault(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", err)}
	}
	for name, c := range map[string]struct {
		err  error
		want count
	}{
		"files":                    {dial(syscall.EMFILE), ignored},
		"files, of all processes":  {dial(syscall.ENFILE), ignored},
		"buffers":                  {dial(syscall.ENOBUFS), ignored},
		"nothing, but IPv6":        {dial(syscall.EADDRNOTAVAIL), failure},
		"nothing, the tier is off": {dial(syscall.ECONNREFUSED), failure},
		"certificates of roots":    {x509.SystemRootsError{}, ignored},
		"a TLS version":            {errors.New("tls: no supported versions satisfy MinVersion and MaxVersion"), ignored},
		"a label in the host":      {&net.DNSError{Name: "a..b", IsNotFound: true}, ignored},
		"a shorter label":          {&net.DNSError{Name: strings.Repeat("a", 64) + ".example", IsNotFound: true}, ignored},
		"a shorter host":           {&net.DNSError{Name: strings.Repeat("a.", 128), IsNotFound: true}, ignored},
		"nothing, no such host":    {&net.DNSError{Name: "tier.example.", IsNotFound: true}, failure},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			client := &http.Client{Transport: breakerhttp.NewTransport(&http.Transport{
				DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, c.err },
			}, b)}
			if resp, err := client.Get("http://tier/"); err == nil {
				_ = resp.Body.Close()
				t.Fatal("the tier answered")
			}
			wantCount(t, b, c.want)
		})
	}
}

func TestAnUploadThatBreaksIsIgnored(t *testing.T) {
	discard := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	two := httptest.NewUnstartedServer(http.HandlerFunc(discard))
	two.EnableHTTP2 = true
	two.StartTLS()
	t.Cleanup(two.Close)
	start := strings.NewReader(strings.Repeat("x", 100_000))
	for name, body := range map[string]func(*http.Request) io.Reader{
		"its reader fails": func(*http.Request) io.Reader {
			return io.MultiReader(strings.NewReader("x"), iotest.ErrReader(errOwn))
		},
		"its reader fails late": func(*http.Request) io.Reader {
			start.Reset(strings.Repeat("x", 100_000))
			return io.MultiReader(start, iotest.ErrReader(errOwn))
		},
		"it is short": func(r *http.Request) io.Reader {
			r.ContentLength = 10
			return iotest.OneByteReader(strings.NewReader("x"))
		},
		"it is long": func(r *http.Request) io.Reader {
			r.ContentLength = 1
			return iotest.OneByteReader(strings.NewReader("xyz"))
		},
		"a client's, beyond a limit": func(*http.Request) io.Reader {
			return http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader("xyz")), 2)
		},
	} {
		for proto, tier := range map[string]string{"HTTP/1": serve(t, discard), "HTTP/2": two.URL} {
			t.Run(name+", "+proto, func(t *testing.T) {
				b := newBreaker(t)
				client := clientOf(t, b)
				if proto == "HTTP/2" {
					client = &http.Client{Transport: breakerhttp.NewTransport(two.Client().Transport, b)}
				}
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, tier, nil)
				req.Body = io.NopCloser(body(req))
				if req.ContentLength == 0 {
					req.ContentLength = -1
				}
				resp, err := client.Do(req)
				if err == nil {
					_ = resp.Body.Close()
					if resp.StatusCode < 400 { // the tier took as much as was announced, and answered before the rest was seen
						if name != "it is long" {
							t.Fatal("the upload arrived whole")
						}
						wantCount(t, b, success)
						return
					}
				}
				wantCount(t, b, ignored)
			})
		}
	}
}

func TestAProxiedUploadThatBreaksIsNotTheTiersFault(t *testing.T) {
	tier, err := url.Parse(serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	if err != nil {
		t.Fatal(err)
	}
	b := newBreaker(t)
	proxy := httputil.NewSingleHostReverseProxy(tier)
	proxy.Transport = clientOf(t, b).Transport
	proxy.ErrorHandler = breakerhttp.ProxyError
	front := serve(t, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1000)
		proxy.ServeHTTP(w, r)
	})
	resp, err := http.Post(front, "text/plain", strings.NewReader(strings.Repeat("x", 50_000)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	wantCount(t, b, ignored)
}

func TestATierThatHangsUpDuringAnUploadIsAFailure(t *testing.T) {
	// The body's reader fails too, but only since the request has ended.
	b := newBreaker(t)
	pr, pw := io.Pipe()
	defer func() { _ = pw.Close() }()
	rt := breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		read := make(chan error)
		go func() { _, err := r.Body.Read(make([]byte, 1)); read <- err }()
		_ = r.Body.Close()
		if err := <-read; err == nil {
			t.Error("the body can be read on")
		}
		return nil, errors.New("connection reset by peer")
	}), b)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://tier/", pr)
	if _, err := rt.RoundTrip(req); err == nil {
		t.Fatal("the tier answered")
	}
	wantCount(t, b, failure)
}

func TestARequestWhoseBodyCannotBreakIsSentAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for name, body := range map[string]io.Reader{
		"none": nil, "nothing": http.NoBody, "a string": strings.NewReader("x"), "bytes": bytes.NewReader([]byte("x")),
		"a buffer": bytes.NewBufferString("x"), "a file, which the kernel sends": file,
	} {
		var sent *http.Request
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://tier/", body)
		_, _ = breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = r
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}), newBreaker(t)).RoundTrip(req)
		if sent != req {
			t.Errorf("%s: the request was copied on the way", name)
		}
	}
}

// answering gives responses with that body.
func answering(body io.Reader) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), Request: r}, nil
	}
}

func TestWithBodyOutcomeABodyCountsByItsEnd(t *testing.T) {
	// 20 of 20 answers of a model broke off, and the breaker counted 20 successes.
	broken := func() io.Reader {
		return io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	degraded := breakerhttp.WithOutcome(func(r *http.Response, err error) breaker.Outcome {
		if err != nil || r.Header.Get("X-Degraded") != "" {
			return breaker.Failure
		}
		return breaker.Success
	})
	read := func(r *http.Response, _ func()) { _, _ = io.Copy(io.Discard, r.Body); _ = r.Body.Close() }
	for name, c := range map[string]struct {
		base roundTrip
		opts []breakerhttp.Option
		use  func(r *http.Response, leave func())
		want count
	}{
		"read to its end":          {answering(strings.NewReader("all")), nil, read, success},
		"broken off":               {answering(broken()), nil, read, failure},
		"broken off, WithOutcome":  {answering(broken()), []breakerhttp.Option{degraded}, read, failure},
		"closed early":             {answering(broken()), nil, func(r *http.Response, _ func()) { _ = r.Body.Close() }, success},
		"closed twice, read later": {answering(broken()), nil, func(r *http.Response, _ func()) { _ = r.Body.Close(); read(r, nil) }, success},
		"left by its caller":       {answering(broken()), nil, func(r *http.Response, leave func()) { leave(); read(r, nil) }, success},
		"still being read":         {answering(strings.NewReader("all")), nil, func(r *http.Response, _ func()) { _, _ = r.Body.Read(make([]byte, 1)) }, nothing},
		"no body": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
		}, nil, func(*http.Response, func()) {}, success},
		"a failure at once": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusInternalServerError, Body: io.NopCloser(broken())}, nil
		}, nil, func(*http.Response, func()) {}, failure},
		"WithOutcome at once": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Degraded": {"y"}}, Body: io.NopCloser(broken())}, nil
		}, []breakerhttp.Option{degraded}, func(*http.Response, func()) {}, failure},
		"an upgrade": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: io.NopCloser(broken())}, nil
		}, nil, func(*http.Response, func()) {}, success},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://tier/", nil)
			resp, err := breakerhttp.NewTransport(c.base, b, append(c.opts, breakerhttp.WithBodyOutcome())...).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			c.use(resp, leave)
			wantCount(t, b, c.want)
		})
	}
	t.Run("over a connection", func(t *testing.T) {
		b := newBreaker(t)
		tier := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		for range 5 {
			resp, err := clientOf(t, b, breakerhttp.WithBodyOutcome()).Get(tier)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if b.State() != breaker.Open {
			t.Errorf("after 5 answers that broke off it is %v, want open", b.State())
		}
	})
	t.Run("the caller's deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 5, SlowCallAfter: time.Second}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://tier/", nil)
			resp, _ := breakerhttp.NewTransport(answering(readerFunc(func([]byte) (int, error) { <-ctx.Done(); return 0, ctx.Err() })), b,
				breakerhttp.WithBodyOutcome()).RoundTrip(req)
			_, _ = io.Copy(io.Discard, resp.Body)
			wantCount(t, b, failure)
			if got := totals(t, b).Slow; got != 1 {
				t.Errorf("%d slow calls, want 1: a call lasts until its body ends", got)
			}
		})
	})
	t.Run("a probe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := probing(t)
			var ctx context.Context
			rt := breakerhttp.NewTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
				ctx = r.Context()
				return answering(readerFunc(func([]byte) (int, error) { <-ctx.Done(); return 0, ctx.Err() }))(r)
			}), b, breakerhttp.WithBodyOutcome())
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the body ended with %v", err)
			}
			synctest.Wait()
			if b.State() != breaker.Open {
				t.Errorf("state is %v after a probe whose body outlasted its lease", b.State())
			}
		})
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAProbeThatRunsOutOfItsLeaseIsATimeoutToTheClient(t *testing.T) {
	// http.Client said "probe took longer than its lease", which is neither a timeout nor DeadlineExceeded.
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{
		ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeLease: time.Second, ProbeSuccesses: 1,
	}))
	command(t, b, breaker.Trip)
	tier := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	client := clientOf(t, b)
	until(t, "no probe came back", func() bool {
		resp, err := client.Get(tier)
		if err == nil {
			_ = resp.Body.Close()
		}
		if errors.Is(err, breaker.ErrOpen) {
			return false
		}
		var timeout net.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("the probe ended with %v, want a timeout", err)
		}
		return true
	})
}
