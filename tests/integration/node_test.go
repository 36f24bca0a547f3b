package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/moby/moby/client"
	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"
)

// node is a server in a container as the scenarios of faults know one. If it comes back after kill its port at the
// loopback is another, and its address among its peers the same, since nothing else starts meanwhile.
type node struct {
	*server
	t      *testing.T
	client func(addr string) *redis.Client // with what the server demands
	admins map[string]*redis.Client        // by address
}

func (n *node) Addr() string { return n.outside }
func (n *node) Peer() string { return n.inside }

func (n *node) Command(args ...string) (string, error) {
	reply, err := n.do(args)
	switch r := reply.(type) {
	case string:
		return "+" + r, err
	case int64:
		return fmt.Sprintf(":%d", r), err
	default:
		return fmt.Sprint(r), err
	}
}

func (n *node) Text(args ...string) (string, error) {
	reply, err := n.do(args)
	if text, ok := reply.(string); ok {
		return text, err
	}
	return "", errors.Join(err, fmt.Errorf("%q answers %v; want a text", args, reply))
}

func (n *node) do(args []string) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := n.admins[n.outside]
	if c == nil {
		c = n.client(n.outside)
		n.t.Cleanup(func() { c.Close() })
		n.admins = map[string]*redis.Client{n.outside: c}
	}
	words := make([]any, len(args))
	for i, a := range args {
		words[i] = a
	}
	return c.Do(ctx, words...).Result()
}

func (n *node) Kill() { n.kill(n.t) }

func (n *node) Restart() {
	n.t.Helper()
	if err := n.container.Start(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	n.locate()
}

func (n *node) Stop() {
	n.t.Cleanup(func() { // one that hangs is hard to remove
		if state, err := n.container.State(context.Background()); err == nil && state.Paused {
			n.Cont()
		}
	})
	n.docker(func(ctx context.Context, d *testcontainers.DockerClient) error {
		_, err := d.ContainerPause(ctx, n.container.GetContainerID(), client.ContainerPauseOptions{})
		return err
	})
}

func (n *node) Cont() {
	n.docker(func(ctx context.Context, d *testcontainers.DockerClient) error {
		_, err := d.ContainerUnpause(ctx, n.container.GetContainerID(), client.ContainerUnpauseOptions{})
		return err
	})
}

// docker does what the library has no verb for.
func (n *node) docker(do func(context.Context, *testcontainers.DockerClient) error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	defer d.Close()
	if err := do(ctx, d); err != nil {
		n.t.Fatal(err)
	}
}
