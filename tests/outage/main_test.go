package outage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

const (
	tierName   = "tier"
	holdingURL = "COMMONTRIP_HOLD_LEASES_AT" // makes this binary a replica that takes every probe and never answers
	holdingFor = "COMMONTRIP_HOLD_LEASES_OF" // how long a lease is
)

var errTier = errors.New("tier failed")

func TestMain(m *testing.M) {
	if url := os.Getenv(holdingURL); url != "" {
		lease, err := time.ParseDuration(os.Getenv(holdingFor))
		if err == nil {
			err = holdLeases(url, lease)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// join makes a replica of the fleet on the Redis at url.
func join(url, name string, opts ...breaker.ManagerOption) (*redisstore.Store, *breaker.Manager, *breaker.Breaker, error) {
	fleet, err := redisstore.Open(url)
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := breaker.NewManager(fleet, append(opts, breaker.WithReplica(name))...)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := m.Register(context.Background(), tierName)
	return fleet, m, b, err
}

func joinTest(t testing.TB, url, name string, opts ...breaker.ManagerOption) (*breaker.Manager, *breaker.Breaker) {
	t.Helper()
	fleet, m, b, err := join(url, name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = m.Close(ctx) // a store that is down by now may keep it from reporting
		_ = fleet.Close()
	})
	return m, b
}

// briefPolicy opens for a moment and leases for this long.
func briefPolicy(lease time.Duration) store.Policy {
	return store.Policy{ConsecutiveFailures: 3, OpenFor: 200 * time.Millisecond, Probes: 3, ProbeSuccesses: 1, ProbeLease: lease}
}

// holdLeases is a replica that takes all probes of a half-open breaker, says so, and hangs.
func holdLeases(url string, lease time.Duration) error {
	policy := briefPolicy(lease)
	_, _, b, err := join(url, "greedy", breaker.WithPolicy(policy))
	if err != nil {
		return err
	}
	for held := 0; held < policy.Probes; {
		permit, err := b.Acquire(context.Background())
		switch {
		case err == nil && permit.Probe():
			held++
		case err == nil:
			permit.Record(breaker.Ignored)
		}
	}
	fmt.Println("holding")
	select {}
}

// startHolder starts holdLeases in a process of its own and waits until it holds.
func startHolder(t *testing.T, url string, lease time.Duration) *exec.Cmd {
	t.Helper()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holdingURL+"="+url, holdingFor+"="+lease.String())
	holder.Stderr = os.Stderr
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "holding\n" {
		t.Fatalf("the replica said %q, %v", line, err)
	}
	return holder
}
