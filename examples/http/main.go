// A client and a server. The client has a breaker for each host it calls and retries as the tier asks; the server sheds a
// handler that keeps failing, and tells its own callers when to come back.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

func main() {
	ctx := context.Background()

	// The server: two failures of the report open its breaker, and the third request is refused without running it.
	reports, err := breaker.New("reports", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2, OpenFor: 30 * time.Second}))
	check(err)
	mux := http.NewServeMux()
	mux.Handle("/report", breakerhttp.Middleware(reports)(http.HandlerFunc(report)))
	mux.HandleFunc("/busy", busyOnce())
	server := httptest.NewServer(mux)
	defer server.Close()

	// The client: every host has a breaker, at most a hundred of them.
	m, err := breaker.NewManager(memorystore.New())
	check(err)
	defer m.Close(ctx)
	client := &http.Client{
		Transport: breakerhttp.NewTransport(nil, nil, breakerhttp.WithPick(breakerhttp.PerHost(m, 100))),
		Timeout:   5 * time.Second,
	}
	again, err := retry.New(retry.Policy{Attempts: 5, Delay: 10 * time.Millisecond, MaxRetryAfter: 5 * time.Second})
	check(err)

	// get is one attempt: it makes its own request, reads its own answer, and makes an error of a status that is one.
	get := func(path string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
			if err != nil {
				return "", err
			}
			resp, err := client.Do(req)
			if err != nil {
				return "", err // refused (breaker.ErrOpen), or no connection
			}
			defer resp.Body.Close()
			if err := breakerhttp.CheckResponse(resp); err != nil {
				return "", err // it knows the tier's Retry-After, and the retrier obeys
			}
			body, err := io.ReadAll(resp.Body)
			return string(body), err
		}
	}

	// Busy at first: the tier asks for a second, gets it, and answers.
	text, err := retry.Do(ctx, again, get("/busy"))
	fmt.Println("/busy:", text, err)

	// The report fails twice, then its server refuses; half a minute is more than the retrier waits (MaxRetryAfter).
	_, err = retry.Do(ctx, again, get("/report"))
	var status *breakerhttp.StatusError
	if errors.As(err, &status) {
		fmt.Println("/report:", status)
	}
	fmt.Println("reports is", reports.State())
}

func report(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the database is gone", http.StatusInternalServerError)
}

// busyOnce asks its first caller to come back.
func busyOnce() http.HandlerFunc {
	calls := 0
	return func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, "done")
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
