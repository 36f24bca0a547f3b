package config_test

import (
	"context"
	"fmt"
	"os"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func ExampleFromEnv() {
	_ = os.Setenv("HEALTH_CHECK_INTERVAL", "15")
	defer func() { _ = os.Unsetenv("HEALTH_CHECK_INTERVAL") }()
	c, err := config.FromEnv()
	fmt.Println(c.Health.Interval, c.Health.Timeout, err)
	// Output: 15s 10s <nil>
}

func ExampleFrom() {
	c, err := config.From([]string{
		"CIRCUIT_BREAKER_RECOVERY_TIMEOUT=30",
		"CIRCUIT_BREAKER_OPNE_FOR_MAX=120",
	})
	fmt.Println(c.Policy.OpenFor, err)
	for _, name := range c.Unknown {
		fmt.Printf("%s means nothing; was %s meant?\n", name, config.Nearest(name))
	}
	// Output:
	// 30s <nil>
	// CIRCUIT_BREAKER_OPNE_FOR_MAX means nothing; was CIRCUIT_BREAKER_OPEN_FOR_MAX meant?
}

func ExampleFrom_bad() {
	_, err := config.From([]string{
		"CIRCUIT_BREAKER_FAILURE_RATE=50%",
		"CIRCUIT_BREAKER_STORE_URL=http://ops:hunter2@db:6379",
		"MAX_RETRY_ATTEMPTS=0",
	})
	fmt.Println(err)
	// Output:
	// CIRCUIT_BREAKER_FAILURE_RATE is "50%"; want a number from 0 to 1
	// CIRCUIT_BREAKER_STORE_URL is "http://xxxxx@db:6379"; want redis://host:port/db, rediss://host:port/db or unix:///path
	// MAX_RETRY_ATTEMPTS is "0"; want more than 0; unset for the default, 3
}

func ExampleConfig_PolicyFor() {
	c, err := config.From([]string{
		"CIRCUIT_BREAKER_OPEN_FOR=60",
		"CIRCUIT_BREAKER__CARD_NETWORK__OPEN_FOR=5",
	})
	fmt.Println(c.PolicyFor("card-network").OpenFor, c.PolicyFor("users-api").OpenFor, err)
	// Output: 5s 1m0s <nil>
}

func ExampleConfig_ManagerOptions() {
	ctx := context.Background()
	c, err := config.From([]string{"CIRCUIT_BREAKER_FAILURE_THRESHOLD=3"})
	if err != nil {
		panic(err)
	}
	m, err := breaker.NewManager(memorystore.New(), c.ManagerOptions()...)
	if err != nil {
		panic(err)
	}
	defer func() { _ = m.Close(ctx) }()
	_, err = m.Register(ctx, "mcp", breaker.WithPolicy(c.PolicyFor("mcp")))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleStore_String() {
	s := config.Store{URL: "redis://ops:hunter2@db:6379/0", Prefix: "payments-prod"}
	fmt.Println(s.String())
	// Output: {URL:redis://xxxxx@db:6379/0 Prefix:payments-prod Timeout:0s}
}

func ExampleVariables() {
	for _, v := range config.Variables() {
		if v.Name == "MAX_RETRY_ATTEMPTS" {
			fmt.Printf("%s=%s (%s)\n%s\n", v.Name, v.Default, v.Unit, v.Doc)
		}
	}
	// Output:
	// MAX_RETRY_ATTEMPTS=3 (attempts)
	// How often a call is made, the first time included. 1 = no retry.
}

func ExampleNearest() {
	fmt.Println(config.Nearest("CIRCUIT_BREAKER_FAILURE_TRESHOLD"))
	fmt.Println(config.Nearest("CIRCUIT_BREAKER_MCP_OPEN_FOR"))
	// Output:
	// CIRCUIT_BREAKER_FAILURE_THRESHOLD
	// CIRCUIT_BREAKER__MCP__OPEN_FOR
}
