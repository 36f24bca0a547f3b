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
// The failover is nil if there are no Sentinels; it is closed after the client.
func dial(rawURL string, timeout time.Duration) (client redis.UniversalClient, f *failover, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, nil, errors.New("redisstore: the URL does not parse; " + urlForms) // err quotes it, password and all
	}
	query := u.Query()
	switch {
	case query.Has("master_name"):
		client, f, err = dialSentinels(rawURL, timeout)
	case query.Has("addr"):
		client, err = dialCluster(rawURL, timeout)
	default:
		client, err = dialSingle(rawURL, timeout)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("redisstore: URL: %s; %s", hideSecrets(err.Error(), u), urlForms)
	}
	return client, f, nil
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

func dialSentinels(rawURL string, timeout time.Duration) (redis.UniversalClient, *failover, error) {
	o, err := redis.ParseFailoverURL(rawURL)
	if err != nil {
		return nil, nil, err
	}
	if o.MasterName == "" {
		return nil, nil, errors.New("master_name is empty")
	}
	short(&o.DialTimeout, timeout)
	short(&o.ReadTimeout, timeout)
	short(&o.WriteTimeout, timeout)
	short(&o.PoolTimeout, maxTimeout) // an exchange waits as long as its context
	watch := newFailoverWatch()
	found := newSentinels(o, watch.moved)
	master := masterOptions(o)
	found.connect = redis.NewDialer(master)
	master.Dialer = found.dial
	client := redis.NewClient(master)
	client.AddHook(watch)
	return client, &failover{found, watch}, nil
}

// masterOptions are those of the client of the master: what a URL can set.
func masterOptions(o *redis.FailoverOptions) *redis.Options {
	return &redis.Options{
		Addr: o.MasterName, ClientName: o.ClientName, DB: o.DB, Protocol: o.Protocol, Username: o.Username, Password: o.Password,
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, DialerRetryTimeout: o.DialerRetryTimeout,
		DisableIdentity: true, MaintNotificationsConfig: quiet(),
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, MaxConcurrentDials: o.MaxConcurrentDials,
		MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		PipelinePoolSize: o.PipelinePoolSize, PipelineReadBufferSize: o.PipelineReadBufferSize, PipelineWriteBufferSize: o.PipelineWriteBufferSize,
		TLSConfig: o.TLSConfig,
	}
}

// sentinelOptions are those of a client of a Sentinel.
func sentinelOptions(o *redis.FailoverOptions, addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, ClientName: o.ClientName, Username: o.SentinelUsername, Password: o.SentinelPassword,
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, MaintNotificationsConfig: quiet(),
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		PoolSize: sentinelPool, PipelinePoolSize: -1, ReadBufferSize: 4096, WriteBufferSize: 4096, TLSConfig: o.TLSConfig,
	}
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
