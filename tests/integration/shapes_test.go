package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
)

// shape is a Redis as it is run somewhere: how to open a store on it, and how to wipe it.
type shape struct {
	open func(options ...redisstore.Option) (store.Store, error)
	wipe func(t testing.TB)
}

// dialer connects to a server by the address that it has among its peers.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// openTest is a store that ends with its test.
func (s shape) openTest(t testing.TB, options ...redisstore.Option) store.Store {
	t.Helper()
	opened, err := s.open(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
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

// owning is a store that closes its client.
type owning struct {
	*redisstore.Store
	client io.Closer
}

func (o owning) Close() error {
	err := o.client.Close()
	if errors.Is(err, redis.ErrClosed) { // twice is no error
		err = nil
	}
	return errors.Join(o.Store.Close(), err)
}

// on opens a store on a client of its own.
func on(c redis.UniversalClient, options ...redisstore.Option) (store.Store, error) {
	s, err := redisstore.New(c, options...)
	return owning{s, c}, err
}

// kind is how a server is run, and what it demands of those who connect to it.
type kind struct {
	args   []string
	files  map[string][]byte // in /data
	client func(addr string) *redis.Client
	open   func(addr string, options ...redisstore.Option) (store.Store, error)
	ready  func(admin *redis.Client) error // once it runs
}

func byURL(prefix string) func(addr string, options ...redisstore.Option) (store.Store, error) {
	return func(addr string, options ...redisstore.Option) (store.Store, error) {
		return redisstore.Open(prefix+addr, options...)
	}
}

func plainClient(addr string) *redis.Client { return redis.NewClient(&redis.Options{Addr: addr}) }

// simple is a server for everybody.
func simple() kind { return kind{client: plainClient, open: byURL("redis://")} }

// encrypted is a server that speaks TLS alone and wants a client's certificate.
func encrypted(t *testing.T) kind {
	a := newAuthority(t)
	cert, key := a.issue("redis")
	config := a.client()
	k := kind{
		args: []string{
			"--port", "0", "--tls-port", "6379", "--tls-replication", "yes", "--tls-cert-file", "/data/redis.crt",
			"--tls-key-file", "/data/redis.key", "--tls-ca-cert-file", "/data/ca.crt",
		},
		files: map[string][]byte{"redis.crt": cert, "redis.key": key, "ca.crt": a.certificate()},
		client: func(addr string) *redis.Client {
			return redis.NewClient(&redis.Options{Addr: addr, TLSConfig: config})
		},
	}
	k.open = func(addr string, options ...redisstore.Option) (store.Store, error) {
		return on(k.client(addr), options...)
	}
	return k
}

// least is a server with the users of deploy/redis-users.acl, opened as the one for replicas.
func least(t *testing.T) kind {
	rules, err := os.ReadFile("../../deploy/redis-users.acl")
	if err != nil {
		t.Fatal(err)
	}
	return kind{
		args: []string{"--aclfile", "/data/users.acl"}, files: map[string][]byte{"users.acl": rules},
		client: plainClient, open: byURL("redis://commontrip:secret@"),
		ready: func(admin *redis.Client) error {
			return admin.Do(context.Background(), "acl", "setuser", "commontrip", "on", ">secret").Err()
		},
	}
}

// node starts a server of a kind.
func (k kind) node(sn *serverNetwork, more ...string) *node {
	sn.t.Helper()
	var files []testcontainers.ContainerFile
	for name, content := range k.files {
		files = append(files, testcontainers.ContainerFile{
			Reader: bytes.NewReader(content), ContainerFilePath: "/data/" + name, FileMode: 0o644,
		})
	}
	n := &node{server: sn.start(plain(append(k.args, more...)...), files...), t: sn.t, client: k.client}
	admin := k.client(n.outside)
	defer admin.Close()
	await.Eventually(sn.t, "a server is ready", func() string { // Docker's port answers before the server does
		err := admin.Ping(sn.t.Context()).Err()
		if err == nil && k.ready != nil {
			err = k.ready(admin)
		}
		if err != nil {
			return err.Error()
		}
		return ""
	})
	return n
}

// single is one server of a kind.
func single(t *testing.T, image string, k kind) (s shape, address string) {
	n := k.node(newServerNetwork(t, image))
	admin := k.client(n.outside)
	t.Cleanup(func() { admin.Close() })
	return shape{wipe: wiper(admin), open: func(options ...redisstore.Option) (store.Store, error) {
		return k.open(n.outside, options...)
	}}, n.outside
}

// shards is masters, with a range of the slots each.
type shards struct {
	shape
	servers *serverNetwork
	nodes   []*node
	via     func(dial dialer, options ...redisstore.Option) (store.Store, error)
}

// nodeTimeout is after how many ms the others find that a node is away.
const nodeTimeout = "2000"

// clustered is a node for a Cluster. A replica may take over however old its data are.
func clustered(sn *serverNetwork) *node {
	return simple().node(sn, "--cluster-enabled", "yes", "--cluster-node-timeout", nodeTimeout,
		"--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
}

// thirds begin at these slots.
func thirds() []int { return []int{0, 5461, 10922} }

// cluster starts a master for each range of slots, by the first one of each.
func cluster(t *testing.T, image string, ranges []int) shards {
	size := len(ranges)
	sn := newServerNetwork(t, image)
	c := shards{servers: sn}
	var addrs []string
	var admins []*redis.Client
	for i, first := range ranges {
		last := 16383
		if i+1 < size {
			last = ranges[i+1] - 1
		}
		n := clustered(sn)
		a := sn.admin(n.server)
		c.nodes, addrs, admins = append(c.nodes, n), append(addrs, n.inside), append(admins, a)
		for _, args := range [][]any{
			{"cluster", "addslotsrange", first, last},
			{"cluster", "set-config-epoch", i + 1},
			{"cluster", "meet", strings.TrimSuffix(addrs[0], ":6379"), 6379},
		} {
			if err := a.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(args, err)
			}
		}
	}
	for _, a := range admins {
		await.Eventually(t, "a node knows the whole Cluster", func() string {
			info, err := a.ClusterInfo(t.Context()).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", size)) {
				return ""
			}
			return fmt.Sprint(info, err)
		})
	}
	c.wipe = wiper(admins...)
	c.via = func(dial dialer, options ...redisstore.Option) (store.Store, error) {
		// A copy: the client appends the addresses that it finds.
		return on(redis.NewClusterClient(&redis.ClusterOptions{Addrs: slices.Clone(addrs), Dialer: dial}), options...)
	}
	c.open = func(options ...redisstore.Option) (store.Store, error) { return c.via(sn.dial, options...) }
	return c
}

// watched is a master with two replicas under three Sentinels, of which two must agree.
type watched struct {
	shape
	servers       *serverNetwork
	nodes, guards []*node       // the first node is the master
	admin         *redis.Client // of the master
	via           func(dial dialer, options ...redisstore.Option) (store.Store, error)
}

func sentinels(t *testing.T, image string) watched {
	sn := newServerNetwork(t, image)
	all := watched{servers: sn}
	master := simple().node(sn)
	all.nodes = append(all.nodes, master)
	host := strings.TrimSuffix(master.inside, ":6379")
	for range 2 {
		all.nodes = append(all.nodes, simple().node(sn, "--replicaof", host+" 6379", "--repl-diskless-sync-delay", "0"))
	}
	var guards []string
	for range 3 {
		conf := fmt.Sprintf("port 6379\ndir /tmp\nprotected-mode no\nsentinel monitor main %s 6379 2\n"+
			"sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n", host)
		s := sn.start([]string{"/data/sentinel.conf", "--sentinel"}, testcontainers.ContainerFile{
			Reader: strings.NewReader(conf), ContainerFilePath: "/data/sentinel.conf", FileMode: 0o666,
		})
		guards = append(guards, s.inside)
		all.guards = append(all.guards, &node{server: s, t: t, client: plainClient})
		a := sn.admin(s)
		await.Eventually(t, "a Sentinel knows both replicas", func() string {
			info, err := a.Info(t.Context(), "sentinel").Result()
			if err == nil && strings.Contains(info, "slaves=2") {
				return ""
			}
			return fmt.Sprint(info, err)
		})
		if len(guards) == 3 {
			await.Eventually(t, "the Sentinels know each other", func() string {
				info, err := a.Info(t.Context(), "sentinel").Result()
				if err == nil && strings.Contains(info, "sentinels=3") {
					return ""
				}
				return fmt.Sprint(info, err)
			})
		}
	}
	all.admin = sn.admin(master.server)
	all.wipe = wiper(all.admin)
	all.via = func(dial dialer, options ...redisstore.Option) (store.Store, error) {
		return on(redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: guards, Dialer: dial}), options...)
	}
	all.open = func(options ...redisstore.Option) (store.Store, error) { return all.via(sn.dial, options...) }
	return all
}
