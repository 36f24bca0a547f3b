// One process guards one tier: nothing to run beside it, no goroutine, nothing to close.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

type user struct{ Name string }

// fetchUser stands for your call. This one works again after it has failed three times.
func fetchUser(context.Context) (user, error) {
	if fetches++; fetches <= 3 {
		return user{}, errors.New("connection refused")
	}
	return user{Name: "Ada"}, nil
}

var fetches int

func main() {
	ctx := context.Background()

	// Three failures in a row open it for a second, one good probe closes it. breaker.New("users-api") alone has defaults.
	users, err := breaker.New("users-api", breaker.WithPolicy(breaker.Policy{
		ConsecutiveFailures: 3,
		OpenFor:             time.Second,
		ProbeSuccesses:      1,
	}))
	if err != nil {
		log.Fatal(err)
	}

	for users.Status().Totals.Calls < 4 { // until four calls have reached the tier
		u, err := breaker.Do(ctx, users, fetchUser)
		var open *breaker.OpenError
		switch {
		case errors.As(err, &open):
			// The tier was not asked. A service would answer from a cache, or pass the wait on to its own caller.
			fmt.Println("refused: users-api is", open.Refusal)
			<-time.After(open.RetryAfter())
		case err != nil:
			fmt.Println("failed:", err)
		default:
			fmt.Println("got:", u.Name)
		}
	}
	fmt.Println("users-api is", users.State())
}
