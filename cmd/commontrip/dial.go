package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// dial makes a client of a URL that redisstore.Open has accepted, for what the store does not ask a server. It does no
// I/O, sends nothing twice and obeys contexts.
func dial(rawURL string, timeout time.Duration) (redis.UniversalClient, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("the URL does not parse") // err quotes it
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch query := u.Query(); {
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(rawURL)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries, o.DialTimeout = true, -1, 1, timeout
		o.DisableIdentity = true
		return redis.NewFailoverClient(o), nil
	case query.Has("addr"):
		o, err := redis.ParseClusterURL(rawURL)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries, o.DialTimeout = true, -1, 1, timeout
		o.DisableIdentity, o.MaintNotificationsConfig, o.DisableRoutingPolicies = true, quiet, true
		return redis.NewClusterClient(o), nil
	default:
		o, err := redis.ParseURL(rawURL)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries, o.DialTimeout = true, -1, 1, timeout
		o.DisableIdentity, o.MaintNotificationsConfig = true, quiet
		return redis.NewClient(o), nil
	}
}

// node is one server that holds breakers.
type node struct {
	name   string
	client redis.Cmdable
}

// nodesOf lists them: a Cluster's masters, or the one server. The clients stay client's own.
func nodesOf(ctx context.Context, client redis.UniversalClient) ([]node, error) {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return []node{{"server", client}}, nil
	}
	found := make(chan node, 1024)
	err := cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		found <- node{"node " + c.Options().Addr, c}
		return nil
	})
	close(found)
	var nodes []node
	for n := range found {
		nodes = append(nodes, n)
	}
	return nodes, err
}
