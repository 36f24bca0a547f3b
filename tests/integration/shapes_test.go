package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"

	redisstore "github.com/commontrip/commontrip/store/redis"
)

// shape is a Redis as it is run somewhere: how to open a store on it, and how to wipe it.
type shape struct {
	open func(t testing.TB, options ...redisstore.Option) *redisstore.Store
	wipe func(t testing.TB)
}

// opened is a store that ends with its test.
func opened(t testing.TB, s *redisstore.Store, err error) *redisstore.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// wiper empties every server.
func wiper(admins ...*redis.Client) func(t testing.TB) {
	return func(t testing.TB) {
		for _, a := range admins {
			if err := a.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// byClient opens each store on a client of its own.
func byClient(wipe func(testing.TB), client func() redis.UniversalClient) shape {
	return shape{wipe: wipe, open: func(t testing.TB, options ...redisstore.Option) *redisstore.Store {
		c := client()
		t.Cleanup(func() { c.Close() })
		s, err := redisstore.New(c, options...)
		return opened(t, s, err)
	}}
}

// single is one server.
func single(t *testing.T, image string) shape {
	w := newTown(t, image)
	s := w.start(plain())
	return shape{wipe: wiper(w.admin(s)), open: func(t testing.TB, options ...redisstore.Option) *redisstore.Store {
		s, err := redisstore.Open("redis://"+s.outside, options...)
		return opened(t, s, err)
	}}
}

// cluster is three masters, with a third of the slots each.
func cluster(t *testing.T, image string) shape {
	const slots, size = 16384, 3
	w := newTown(t, image)
	var nodes []string
	var admins []*redis.Client
	for i := range size {
		s := w.start(plain("--cluster-enabled", "yes", "--cluster-node-timeout", "5000"))
		a := w.admin(s)
		nodes, admins = append(nodes, s.inside), append(admins, a)
		for _, args := range [][]any{
			{"cluster", "addslotsrange", slots * i / size, slots*(i+1)/size - 1},
			{"cluster", "set-config-epoch", i + 1},
			{"cluster", "meet", strings.TrimSuffix(nodes[0], ":6379"), 6379},
		} {
			if err := a.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(args, err)
			}
		}
	}
	for _, a := range admins {
		eventually(t, "a node knows the whole Cluster", func() string {
			info, err := a.ClusterInfo(t.Context()).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", size)) {
				return ""
			}
			return fmt.Sprint(info, err)
		})
	}
	return byClient(wiper(admins...), func() redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: nodes, Dialer: w.dial})
	})
}

// watched is a master with two replicas under three Sentinels, of which two must agree.
type watched struct {
	shape
	master *server
	admin  *redis.Client // of the master
}

func sentinels(t *testing.T, image string) watched {
	w := newTown(t, image)
	master := w.start(plain())
	host := strings.TrimSuffix(master.inside, ":6379")
	for range 2 {
		w.start(plain("--replicaof", host+" 6379"))
	}
	var guards []string
	for range 3 {
		conf := fmt.Sprintf("port 6379\ndir /tmp\nprotected-mode no\nsentinel monitor main %s 6379 2\n"+
			"sentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 10000\n", host)
		s := w.start([]string{"/data/sentinel.conf", "--sentinel"}, testcontainers.ContainerFile{
			Reader: strings.NewReader(conf), ContainerFilePath: "/data/sentinel.conf", FileMode: 0o666,
		})
		guards = append(guards, s.inside)
		a := w.admin(s)
		eventually(t, "a Sentinel knows both replicas", func() string {
			info, err := a.Info(t.Context(), "sentinel").Result()
			if err == nil && strings.Contains(info, "slaves=2") {
				return ""
			}
			return fmt.Sprint(info, err)
		})
		if len(guards) == 3 {
			eventually(t, "the Sentinels know each other", func() string {
				info, err := a.Info(t.Context(), "sentinel").Result()
				if err == nil && strings.Contains(info, "sentinels=3") {
					return ""
				}
				return fmt.Sprint(info, err)
			})
		}
	}
	admin := w.admin(master)
	return watched{master: master, admin: admin, shape: byClient(wiper(admin), func() redis.UniversalClient {
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: guards, Dialer: w.dial})
	})}
}

// encrypted is a server that speaks TLS alone and wants a client's certificate.
func encrypted(t *testing.T, image string) (s shape, address string) {
	w := newTown(t, image)
	a := newAuthority(t)
	file := func(name string, content []byte) testcontainers.ContainerFile {
		return testcontainers.ContainerFile{
			Reader: strings.NewReader(string(content)), ContainerFilePath: "/data/" + name, FileMode: 0o644,
		}
	}
	cert, key := a.issue("redis")
	server := w.start(plain("--port", "0", "--tls-port", "6379", "--tls-cert-file", "/data/redis.crt", "--tls-key-file",
		"/data/redis.key", "--tls-ca-cert-file", "/data/ca.crt"),
		file("redis.crt", cert), file("redis.key", key), file("ca.crt", a.certificate()))
	client := func() *redis.Client {
		return redis.NewClient(&redis.Options{Addr: server.outside, TLSConfig: a.client()})
	}
	admin := client()
	t.Cleanup(func() { admin.Close() })
	return byClient(wiper(admin), func() redis.UniversalClient { return client() }), server.outside
}

// least is a server with the users of deploy/redis-users.acl, opened as the one for replicas.
func least(t *testing.T, image string) shape {
	const file = "../../deploy/redis-users.acl"
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newTown(t, image)
	s := w.start(plain("--aclfile", "/data/users.acl"), testcontainers.ContainerFile{
		Reader: strings.NewReader(string(rules)), ContainerFilePath: "/data/users.acl", FileMode: 0o644,
	})
	admin := w.admin(s)
	if err := admin.Do(t.Context(), "acl", "setuser", "commontrip", "on", ">secret").Err(); err != nil {
		t.Fatal(err)
	}
	return shape{wipe: wiper(admin), open: func(t testing.TB, options ...redisstore.Option) *redisstore.Store {
		s, err := redisstore.Open("redis://commontrip:secret@"+s.outside, options...)
		return opened(t, s, err)
	}}
}
