package redisstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const urlForms = "want redis://[user:password@]host:port[/db], rediss:// (TLS), unix:///path[?db=n], " +
	"redis://host:port?addr=host2:port2 (Cluster), or redis://sentinel:port?master_name=name[&addr=sentinel2:port2] (Sentinel)"

// dial makes the client that rawURL asks for, with settings for short exchanges: contexts obeyed, nothing sent twice,
// no noise in the handshake. It does no I/O. What the URL sets beyond that (pool_size, dial_timeout, ...) stands.
func dial(rawURL string, timeout time.Duration) (redis.UniversalClient, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("redisstore: the URL does not parse; " + urlForms) // err quotes it, password and all
	}
	query := u.Query()
	var client redis.UniversalClient
	switch {
	case underSentinels(rawURL):
		client, err = dialSentinel(rawURL, timeout)
	case query.Has("addr"):
		client, err = dialCluster(rawURL, timeout)
	default:
		client, err = dialSingle(rawURL, timeout)
	}
	if err != nil {
		return nil, fmt.Errorf("redisstore: URL: %s; %s", hideSecrets(err.Error(), u), urlForms)
	}
	return client, nil
}

// underSentinels reports that a URL asks for the master that Sentinels name.
func underSentinels(rawURL string) bool {
	u, err := url.Parse(rawURL)
	return err == nil && u.Query().Has("master_name")
}

func dialSingle(rawURL string, timeout time.Duration) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries = true, -1, 1
	o.DisableIdentity, o.MaintNotificationsConfig = true, quiet()
	short(&o.DialTimeout, timeout)
	short(&o.ReadTimeout, timeout)
	short(&o.WriteTimeout, timeout)
	short(&o.PoolTimeout, maxTimeout) // an exchange waits as long as its context
	return redis.NewClient(o), nil
}

// dialCluster keeps redirects: by them a Cluster says on which node a slot is. What must not be sent twice says so itself.
func dialCluster(rawURL string, timeout time.Duration) (redis.UniversalClient, error) {
	o, err := redis.ParseClusterURL(rawURL)
	if err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries = true, -1, 1
	o.DisableIdentity, o.MaintNotificationsConfig = true, quiet()
	o.DisableRoutingPolicies = true
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false // a replica's copy may be old
	short(&o.DialTimeout, timeout)
	short(&o.PoolTimeout, maxTimeout)
	// An exchange has a context of its own, which may last longer. What the client asks by itself has none.
	if o.ReadTimeout == 0 && o.WriteTimeout == 0 {
		o.ReadTimeout, o.WriteTimeout = -1, -1
		o.NewClient = func(o *redis.Options) *redis.Client {
			o.ReadTimeout, o.WriteTimeout = timeout, timeout
			return redis.NewClient(o)
		}
	}
	short(&o.ReadTimeout, timeout)
	short(&o.WriteTimeout, timeout)
	return redis.NewClusterClient(o), nil
}

func dialSentinel(rawURL string, timeout time.Duration) (redis.UniversalClient, error) {
	o, err := redis.ParseFailoverURL(rawURL)
	if err != nil {
		return nil, err
	}
	if o.MasterName == "" {
		return nil, errors.New("master_name is empty")
	}
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries = true, -1, 1
	o.DisableIdentity = true
	o.ReplicaOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
	short(&o.DialTimeout, timeout)
	short(&o.ReadTimeout, timeout)
	short(&o.WriteTimeout, timeout)
	short(&o.PoolTimeout, maxTimeout) // an exchange waits as long as its context
	return redis.NewFailoverClient(o), nil
}

func quiet() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func short(field *time.Duration, d time.Duration) {
	if *field == 0 {
		*field = d
	}
}

// hideSecrets takes the user part and every password of the query out of text.
func hideSecrets(text string, u *url.URL) string {
	var secrets []string
	if u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, u.User.String(), password, url.QueryEscape(password), u.User.Username())
	}
	for key, values := range u.Query() {
		if strings.Contains(strings.ToLower(key), "pass") {
			secrets = append(secrets, values...)
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	return text
}
