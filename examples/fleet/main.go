// Three replicas share one verdict. What two of them saw, the third knows without having called once.
//
// REDIS_URL names the Redis that keeps it; without, the program brings an in-process one. The replicas are three managers
// in one process here; in production each is a process of its own.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

const tier = "card-network"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	url := os.Getenv("REDIS_URL")
	if url == "" {
		server, err := miniredis.Run()
		check(err)
		defer server.Close()
		url = "redis://" + server.Addr()
	}

	// The prefix is the fleet's name: all replicas have the same one. Here it differs with each run.
	fleet, err := redisstore.Open(url, redisstore.WithPrefix(fmt.Sprintf("example-%d", os.Getpid())))
	check(err)
	defer fleet.Close()

	// Half of the last hundred calls, judged from twenty on, and seen by at least two replicas, so that one with a broken
	// network does not trip them all. Without a policy of its own a fleet has much the same: breaker.FleetPolicy.
	policy := breaker.WithPolicy(breaker.Policy{FailureRate: 0.5, MinCalls: 20, Reporters: 2})
	web := map[string]replica{}
	defer func() {
		for _, r := range web {
			check(r.manager.Close(ctx)) // reports what is pending, so managers are closed before their store
		}
	}()
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		m, err := breaker.NewManager(fleet, policy, breaker.WithReplica(name))
		check(err)
		b, err := m.Register(ctx, tier)
		check(err)
		web[name] = replica{m, b}
	}

	// Ten calls fail on each of two replicas.
	for _, name := range []string{"web-1", "web-2"} {
		for range 10 {
			_ = web[name].breaker.Run(ctx, func(context.Context) error { return errors.New("timeout") })
		}
	}

	// Outcomes travel by themselves, within 20 ms. Sync hurries them, so that this program need not wait.
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		check(web[name].manager.Sync(ctx))
	}

	err = web["web-3"].breaker.Run(ctx, func(context.Context) error { panic("never called") })
	fmt.Println("web-3:", err)

	history, err := fleet.History(ctx, tier, 1)
	check(err)
	fmt.Println("why:", history[0].Sentence())

	// An operator's command reaches all of them, too. A command line needs no manager for it: the store is enough.
	_, err = fleet.Command(ctx, store.Command{Name: tier, Action: store.Reset, By: "oncall", Why: "fixed upstream"})
	check(err)
	check(web["web-3"].manager.Sync(ctx))
	err = web["web-3"].breaker.Run(ctx, func(context.Context) error { return nil })
	fmt.Println("web-3 after the reset:", cmp.Or(err, errors.New("served")))
}

type replica struct {
	manager *breaker.Manager
	breaker *breaker.Breaker
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
