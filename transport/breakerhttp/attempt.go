package breakerhttp

import (
	"context"
	"net/http"
)

// ErrSentOnce is the error of [Attempt] for a request whose body can be sent only once. No later attempt can help: a retrier
// ends at once.
var ErrSentOnce error = sentOnceError{}

type sentOnceError struct{}

func (sentOnceError) Error() string {
	return "breakerhttp: the request's body can be sent only once, and is empty for the server that is asked next: " +
		"set GetBody (http.NewRequest does it for a bytes.Buffer, a bytes.Reader and a strings.Reader), " +
		"or make a new request in each attempt"
}

// Permanent is true: see retry.Permanent.
func (sentOnceError) Permanent() bool { return true }

// Attempt returns a copy of req for one attempt of a retrier, or for one tier of a chain, with ctx and a body of its own
// from GetBody. The body of req stays unread, so that any number of attempts and tiers sends it whole. A body that cannot be
// made again is refused with [ErrSentOnce], the first time too: the server that is asked
// next would get an empty one, and might answer it.
func Attempt(ctx context.Context, req *http.Request) (*http.Request, error) {
	again := req.Clone(ctx)
	if req.Body == nil || req.Body == http.NoBody {
		return again, nil
	}
	if req.GetBody == nil {
		return nil, ErrSentOnce
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again.Body = body
	return again, nil
}
