package breakerhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// counting is a server that counts the connections it was opened, and how many are open.
func counting(t *testing.T, h http.HandlerFunc) (url string, client *http.Client, made, open *atomic.Int32) {
	t.Helper()
	made, open = new(atomic.Int32), new(atomic.Int32)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			made.Add(1)
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	client = s.Client()
	t.Cleanup(client.CloseIdleConnections)
	return s.URL, client, made, open
}

// downWith answers with an error page of that size.
func downWith(size int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(bytes.Repeat([]byte("x"), size))
	}
}

func attempts(t *testing.T, n int, opts ...retry.Option) *retry.Retrier {
	t.Helper()
	r, err := retry.New(retry.Policy{Attempts: n, Delay: 1, Jitter: retry.NoJitter}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each 503 cost a connection: ten attempts made ten TLS handshakes.
func TestAnAttemptThatFailedKeepsItsConnection(t *testing.T) {
	for _, size := range []int{0, 100, 10_000, 64 << 10} {
		url, client, made, _ := counting(t, downWith(size))
		err := attempts(t, 10).Run(t.Context(), func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }()
			return breakerhttp.CheckResponse(resp)
		})
		var status *breakerhttp.StatusError
		if !errors.As(err, &status) || made.Load() != 1 {
			t.Errorf("a page of %d bytes: %d connections, %v", size, made.Load(), err)
		}
	}
}

// A retrier drops the answer of an attempt that failed: 20 calls left 61 connections open.
func TestAnAnswerThatARetrierDropsLeavesNoConnectionOpen(t *testing.T) {
	for _, size := range []int{100, 10_000, 1 << 20} {
		url, client, _, open := counting(t, downWith(size))
		for range 20 {
			resp, err := retry.Do(t.Context(), attempts(t, 3), func(ctx context.Context) (*http.Response, error) {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
				if err != nil {
					return nil, err
				}
				resp, err := client.Do(req)
				if err != nil {
					return nil, err
				}
				return resp, breakerhttp.CheckResponse(resp)
			})
			if err == nil || resp == nil {
				t.Fatalf("%v, %v", resp, err)
			}
		}
		until(t, "at most one connection is open", func() bool { return open.Load() <= 1 })
	}
}

func TestWhatIsNotReadOfAFailedAnswerIsAnErrorThere(t *testing.T) {
	_, err := io.ReadAll(checked(t, strings.NewReader(strings.Repeat("x", 64<<10))).Body)
	if err != nil {
		t.Errorf("a page that is just short enough: %v", err)
	}
	text, err := io.ReadAll(checked(t, strings.NewReader(strings.Repeat("x", 64<<10+1))).Body)
	if err == nil || len(text) != 64<<10 {
		t.Errorf("a page that is longer: %d bytes, %v", len(text), err)
	}
	broken := errors.New("broken")
	text, err = io.ReadAll(checked(t, io.MultiReader(strings.NewReader("half"), failingReader{broken})).Body)
	if string(text) != "half" || !errors.Is(err, broken) {
		t.Errorf("a page that breaks off: %q, %v", text, err)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// checked is a failed response with that body, after CheckResponse, twice.
func checked(t *testing.T, body io.Reader) *http.Response {
	t.Helper()
	spy := &closeSpy{Reader: body}
	resp := &http.Response{StatusCode: http.StatusInternalServerError, Body: spy}
	for range 2 {
		if breakerhttp.CheckResponse(resp) == nil {
			t.Error("a 500 is not a failure")
		}
	}
	if !spy.closed {
		t.Error("the body is open")
	}
	return resp
}

func TestAnErrorPageThatDoesNotComeIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe() // nobody writes
		start := time.Now()
		resp := &http.Response{StatusCode: http.StatusBadGateway, Body: r}
		if err := breakerhttp.CheckResponse(resp); err == nil || time.Since(start) > 250*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("the page reads as whole")
		}
		_ = w.Close()
	})
}

func TestAnAnswerThatIsNoFailureIsNotTouched(t *testing.T) {
	body := &closeSpy{Reader: strings.NewReader("hello")}
	resp := &http.Response{StatusCode: http.StatusNotFound, Body: body}
	if err := breakerhttp.CheckResponse(resp); err != nil || resp.Body != io.ReadCloser(body) || body.read || body.closed {
		t.Errorf("%v, read %v, closed %v", err, body.read, body.closed)
	}
}

// What judges a request for a breaker leaves its body to the caller.
func TestABreakersJudgementLeavesTheBodyOpen(t *testing.T) {
	for _, opts := range [][]breakerhttp.Option{nil, {breakerhttp.WithOutcome(breakerhttp.DefaultOutcome)}} {
		body := &closeSpy{Reader: strings.NewReader("down")}
		rt := breakerhttp.NewTransport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusInternalServerError, Body: body}, nil
		}), newBreaker(t), opts...)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tier/", nil)
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.Body != io.ReadCloser(body) || body.read || body.closed {
			t.Errorf("%v, read %v, closed %v", err, body.read, body.closed)
		}
	}
}

// docs is a chain of two tiers, which answer with the body that they were sent; the first then fails.
func docs(t *testing.T) *fallback.Chain[*http.Request, string] {
	t.Helper()
	tier := func(name string, status int) fallback.Tier[*http.Request, string] {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			w.WriteHeader(status)
			_, _ = w.Write(text)
		})
		client := clientOf(t, newBreaker(t))
		return fallback.Tier[*http.Request, string]{Name: name, Call: func(ctx context.Context, req *http.Request) (string, error) {
			sent, err := breakerhttp.Attempt(ctx, req)
			if err != nil {
				return "", err
			}
			sent.URL.Host = strings.TrimPrefix(url, "http://")
			resp, err := client.Do(sent)
			if err != nil {
				return "", err
			}
			defer func() { _ = resp.Body.Close() }()
			if err := breakerhttp.CheckResponse(resp); err != nil {
				return "", err
			}
			text, err := io.ReadAll(resp.Body)
			return string(text), err
		}}
	}
	c, err := fallback.New([]fallback.Tier[*http.Request, string]{tier("a", http.StatusBadGateway), tier("b", http.StatusOK)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The second tier got an empty body and answered 200.
func TestEachTierOfAChainIsSentTheWholeBody(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://tier/", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	c := docs(t)
	for range 2 {
		if got, err := c.Do(t.Context(), req); got != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestABodyThatCanBeSentOnlyOnceIsRefusedWithASentence(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://tier/", io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	c, calls := docs(t), 0
	_, err = retry.Do(t.Context(), attempts(t, 3), func(ctx context.Context) (string, error) {
		calls++
		return c.Do(ctx, req)
	})
	if !errors.Is(err, breakerhttp.ErrSentOnce) || !strings.Contains(err.Error(), "set GetBody") || calls != 1 {
		t.Errorf("%v after %d attempts", err, calls)
	}
	if text, err := io.ReadAll(req.Body); string(text) != "hello" || err != nil {
		t.Errorf("the body reads %q, %v: it was used up", text, err)
	}
	broken := errors.New("file is gone")
	req.GetBody = func() (io.ReadCloser, error) { return nil, broken }
	if _, err := breakerhttp.Attempt(t.Context(), req); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		req.Body, req.GetBody = body, nil
		if sent, err := breakerhttp.Attempt(t.Context(), req); err != nil || sent == req || sent.Body != body || sent.Context() != t.Context() {
			t.Errorf("without a body: %v", err)
		}
	}
}

// A loop of redirects was sent thirty requests instead of ten.
func TestWhatCanNeverSucceedIsNotTriedAgain(t *testing.T) {
	var asked atomic.Int32
	loop := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/again", http.StatusFound)
	})
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, c := range map[string]struct {
		url   string
		with  func(*http.Request)
		asked int32
	}{
		"a loop of redirects":   {url: loop, asked: 10},
		"an unknown scheme":     {url: "gopher://tier/"},
		"no host":               {url: "http:///path"},
		"an illegal header":     {url: loop, with: func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc\n") }},
		"an illegal method":     {url: loop, with: func(r *http.Request) { r.Method = "a b" }},
		"a request of a server": {url: loop, with: func(r *http.Request) { r.RequestURI = "/" }},
		"another's certificate": {url: untrusted.URL},
		"a server without TLS":  {url: "https://" + strings.TrimPrefix(plain, "http://")},
	} {
		asked.Store(0)
		calls := 0
		client := clientOf(t, newBreaker(t))
		err := attempts(t, 3, retry.WithRetryIf(breakerhttp.Retryable)).Run(t.Context(), func(ctx context.Context) error {
			calls++
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
			if err != nil {
				return err
			}
			if c.with != nil {
				c.with(req)
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
		if err == nil || errors.Is(err, retry.ErrExhausted) || calls != 1 || asked.Load() != c.asked {
			t.Errorf("%s: %d attempts, %d requests, %v", name, calls, asked.Load(), err)
		}
	}
}

func TestWhatMayBeABadMomentIsTriedAgain(t *testing.T) {
	refused := httptest.NewServer(http.NotFoundHandler())
	refused.Close()
	_, noConnection := http.Get(refused.URL) //nolint:noctx,bodyclose // it has no connection
	for _, err := range []error{
		noConnection, io.ErrUnexpectedEOF, context.DeadlineExceeded, &breaker.OpenError{},
		&breakerhttp.StatusError{Code: 429}, &breakerhttp.StatusError{Code: 500}, &breakerhttp.StatusError{Code: 503},
		errors.New("stopped after 10 redirects"), // some tier's own text
	} {
		if !breakerhttp.Retryable(fmt.Errorf("call: %w", err)) {
			t.Errorf("%v is not tried again", err)
		}
	}
	for _, err := range []error{
		nil, retry.Permanent(io.EOF), breakerhttp.ErrSentOnce,
		&breakerhttp.StatusError{Code: 505}, &breakerhttp.StatusError{Code: 508},
	} {
		if breakerhttp.Retryable(err) {
			t.Errorf("%v is tried again", err)
		}
	}
}
