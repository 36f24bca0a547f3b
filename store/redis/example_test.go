package redisstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// startRedis stands in for a server.
func startRedis() *miniredis.Miniredis {
	srv, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	return srv
}

func ExampleOpen() {
	srv := startRedis()
	defer srv.Close()

	fleet, err := redisstore.Open("redis://"+srv.Addr(), redisstore.WithPrefix("payments-prod"))
	if err != nil {
		log.Fatal(err)
	}
	defer fleet.Close()

	// Two replicas report what they saw; the second failure trips for both.
	policy := store.Policy{ConsecutiveFailures: 2}
	for _, replica := range []string{"web-1#5d2", "web-2#9ac"} {
		r := fleet.Sync(context.Background(), []store.Report{{
			Name: "card-network", Policy: policy, Replica: replica, Seq: 1, MaxAge: 3 * time.Second,
			Runs: []store.Run{{Outcome: store.Failure, Count: 1, Label: "timeout"}},
		}})[0]
		fmt.Println(r.Snapshot.State, r.Snapshot.Reason, r.Err)
	}
	// Output:
	// closed  <nil>
	// open consecutive-failures <nil>
}

func ExampleNew() {
	srv := startRedis()
	defer srv.Close()
	client := redis.NewClient(&redis.Options{Addr: srv.Addr()})
	defer client.Close()

	fleet, err := redisstore.New(client, redisstore.WithTimeout(200*time.Millisecond), redisstore.WithBudget(100))
	if err != nil {
		log.Fatal(err)
	}
	defer fleet.Close() // leaves the client open
	fmt.Println(fleet.Ping(context.Background()), fleet.Info().Kind, fleet.Info().Remote)
	// Output: <nil> redis true
}

func ExampleStore_Pushes() {
	srv := startRedis()
	defer srv.Close()
	fleet, err := redisstore.Open("redis://" + srv.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer fleet.Close()
	if p := fleet.Pushes(); p.Denied > 0 {
		fmt.Println("the user of Redis lacks the right to the channel")
	} else {
		fmt.Println("pushes go through")
	}
	// Output: pushes go through
}
