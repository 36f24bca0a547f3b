package breakerhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// A tier that is down for this page.
func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }

func ExampleNewTransport() {
	tier := httptest.NewServer(http.HandlerFunc(down))
	defer tier.Close()

	users, err := breaker.New("users-api", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2}))
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: breakerhttp.NewTransport(nil, users)}
	defer client.CloseIdleConnections()
	for range 3 {
		resp, err := client.Get(tier.URL)
		var open *breaker.OpenError
		if errors.As(err, &open) {
			fmt.Println("refused:", open.Name, "is", open.Refusal)
			continue
		}
		if err != nil {
			panic(err)
		}
		_ = resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// 502 Bad Gateway
	// 502 Bad Gateway
	// refused: users-api is open
}

// The retrier stands around the client. An attempt makes its own request, so that the body is sent whole each time, and
// reads its own answer. CheckResponse makes an error of a 503, with the Retry-After that the retrier then waits for.
func ExampleCheckResponse() {
	calls := 0
	tier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	defer tier.Close()

	users, err := breaker.New("users-api")
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: breakerhttp.NewTransport(nil, users)}
	defer client.CloseIdleConnections()
	again, err := retry.New(retry.Policy{Attempts: 3, Delay: time.Millisecond}, retry.WithOnRetry(func(a retry.Attempt) {
		fmt.Println("attempt", a.Number, "failed:", a.Err)
		fmt.Println("waits as long as asked:", a.Wait >= time.Second)
	}))
	if err != nil {
		panic(err)
	}

	text, err := retry.Do(context.Background(), again, func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, tier.URL, strings.NewReader("hello"))
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		if err := breakerhttp.CheckResponse(resp); err != nil {
			return "", err
		}
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	})
	fmt.Println("echoed:", text, err)
	// Output:
	// attempt 1 failed: HTTP 503 Service Unavailable; retry after 1s
	// waits as long as asked: true
	// echoed: hello <nil>
}

func ExampleMiddleware() {
	reports, err := breaker.New("reports", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: 30 * time.Second}))
	if err != nil {
		panic(err)
	}
	h := breakerhttp.Middleware(reports)(http.HandlerFunc(down))
	for range 2 {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/report", nil))
		fmt.Printf("%d, Retry-After: %q\n", rec.Code, rec.Header().Get("Retry-After"))
	}
	// Output:
	// 502, Retry-After: ""
	// 503, Retry-After: "30"
}

func ExampleWithRefusal() {
	reports, err := breaker.New("reports")
	if err != nil {
		panic(err)
	}
	if _, err := reports.Command(context.Background(), breaker.Command{Action: breaker.ForceOpen, By: "oncall", Why: "migration"}); err != nil {
		panic(err)
	}
	h := breakerhttp.Middleware(reports, breakerhttp.WithRefusal(func(w http.ResponseWriter, _ *http.Request, _ error) {
		_, _ = io.WriteString(w, "yesterday's report")
	}))(http.HandlerFunc(down))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/report", nil))
	fmt.Println(rec.Code, rec.Body)
	// Output: 200 yesterday's report
}

// A tier that answers 404 for everything has lost its data; for the rest the default is right.
func ExampleWithOutcome() {
	tier := httptest.NewServer(http.NotFoundHandler())
	defer tier.Close()
	users, err := breaker.New("users-api", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: breakerhttp.NewTransport(nil, users, breakerhttp.WithOutcome(
		func(resp *http.Response, err error) breaker.Outcome {
			if err == nil && resp.StatusCode == http.StatusNotFound {
				return breaker.Failure
			}
			return breakerhttp.DefaultOutcome(resp, err)
		}))}
	defer client.CloseIdleConnections()
	resp, err := client.Get(tier.URL)
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
	fmt.Println(resp.StatusCode, users.State())
	// Output: 404 open
}

func ExampleDefaultOutcome() {
	for _, status := range []int{http.StatusOK, http.StatusNotFound, http.StatusTooManyRequests, http.StatusNotImplemented, http.StatusBadGateway} {
		fmt.Println(status, breakerhttp.DefaultOutcome(&http.Response{StatusCode: status}, nil) == breaker.Failure)
	}
	// Output:
	// 200 false
	// 404 false
	// 429 true
	// 501 false
	// 502 true
}

// Health checks go through whatever the breaker says.
func ExampleWithPick() {
	tier := httptest.NewServer(http.HandlerFunc(down))
	defer tier.Close()
	users, err := breaker.New("users-api", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: breakerhttp.NewTransport(nil, nil, breakerhttp.WithPick(
		func(r *http.Request) (*breaker.Breaker, error) {
			if r.URL.Path == "/healthz" {
				return nil, nil
			}
			return users, nil
		}))}
	defer client.CloseIdleConnections()
	for range 3 {
		resp, err := client.Get(tier.URL + "/healthz")
		if err != nil {
			panic(err)
		}
		_ = resp.Body.Close()
	}
	fmt.Println(users.State())
	// Output: closed
}

func ExamplePerHost() {
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		panic(err)
	}
	defer func() { _ = m.Close(context.Background()) }()
	pick := breakerhttp.PerHost(m, 2)
	for _, url := range []string{"https://API.example.com/v1", "http://10.0.0.7:8080/", "https://one.too.many/"} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			panic(err)
		}
		b, err := pick(req)
		if err != nil {
			panic(err)
		}
		fmt.Println(b.Name())
	}
	// Output:
	// http:api.example.com
	// http:10.0.0.7:8080
	// http:*
}

func ExampleWriteError() {
	users, err := breaker.New("users-api", breaker.WithPolicy(breaker.Policy{OpenFor: 45 * time.Second}))
	if err != nil {
		panic(err)
	}
	if _, err := users.Command(context.Background(), breaker.Command{Action: breaker.Trip, By: "oncall"}); err != nil {
		panic(err)
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		err := users.Run(r.Context(), func(context.Context) error { return nil })
		if breakerhttp.WriteError(w, err) {
			return
		}
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "fine")
	}
	rec := httptest.NewRecorder()
	handler(rec, httptest.NewRequest(http.MethodGet, "/users", nil))
	fmt.Println(rec.Code, rec.Header().Get("Retry-After"))
	// Output: 503 45
}
