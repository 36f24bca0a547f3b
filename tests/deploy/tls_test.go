package deploy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for a name or an address that is good until then.
func (a *authority) issue(host string, until time.Time) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// door is a TLS server in front of a Redis. It counts who came in, and who spoke anything but TLS.
type door struct {
	address       string
	inside, plain atomic.Int64
}

func newDoor(t *testing.T, behind string, config *tls.Config) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{address: listener.Addr().String()}
	ctx, end := context.WithCancel(context.Background())
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { d.serve(ctx, conn, behind, config) })
		}
	})
	t.Cleanup(func() {
		end()
		_ = listener.Close()
		open.Wait()
	})
	return d
}

// peeked is a connection whose first byte has been looked at.
type peeked struct {
	net.Conn
	from io.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.from.Read(b) }

func (d *door) serve(ctx context.Context, conn net.Conn, behind string, config *tls.Config) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return
	}
	const handshake = 0x16
	if first[0] != handshake {
		d.plain.Add(1)
		return
	}
	inner := tls.Server(peeked{conn, io.MultiReader(strings.NewReader(string(first)), conn)}, config)
	if inner.HandshakeContext(ctx) != nil {
		return
	}
	if _, err := io.ReadFull(inner, first); err != nil { // a client that mistrusts the certificate says so and goes
		return
	}
	d.inside.Add(1)
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer server.Close()
	stopServer := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopServer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(inner, server)
		_ = conn.Close()
	}()
	_, _ = io.Copy(server, io.MultiReader(strings.NewReader(string(first)), inner))
	_ = server.Close()
	<-done
}

// tried is what came of all verbs of a store.
type tried struct{ failed, succeeded int }

// tryAll uses every verb, Watch included, with a password that must not leave the client in the clear.
func tryAll(t *testing.T, client *redis.Client, patience time.Duration) (sum tried) {
	t.Helper()
	defer client.Close()
	s, err := redisstore.New(client, redisstore.WithTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	report := store.Report{Name: "mcp", Policy: store.DefaultPolicy(), Replica: "a#1", Seq: 1, MaxAge: time.Second, Runs: []store.Run{{Outcome: store.Success, Count: 1}}}
	for _, verb := range []func() error{
		func() error { return s.Ping(ctx) },
		func() error { return s.Sync(ctx, []store.Report{report})[0].Err },
		func() error {
			_, err := s.Claim(ctx, store.Claim{Name: "mcp", ID: "c", Policy: store.DefaultPolicy(), Replica: "a#1", Want: 1})
			return err
		},
		func() error {
			_, err := s.Command(ctx, store.Command{Name: "mcp", Action: store.Trip, By: "oncall"})
			return err
		},
		func() error { _, err := s.Read(ctx, "mcp"); return err },
		func() error { _, err := s.Versions(ctx, "mcp"); return err },
		func() error { _, err := s.Roster(ctx, "mcp"); return err },
		func() error { _, err := s.History(ctx, "mcp", 0); return err },
		func() error { return s.Remove(ctx, "mcp") },
	} {
		if verb() == nil {
			sum.succeeded++
		} else {
			sum.failed++
		}
	}
	watching, end := context.WithTimeout(ctx, patience)
	defer end()
	heard := false
	_ = s.Watch(watching, func(store.Event) { heard = true; end() })
	if heard { // a subscription that stands is told as a Resync
		sum.succeeded++
	} else {
		sum.failed++
	}
	return sum
}

const (
	verbs = 10
	long  = 20 * time.Second       // for what must succeed, on a busy machine too
	short = 300 * time.Millisecond // for what must not
)

func client(address string, config *tls.Config) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: address, Password: canary, TLSConfig: config, ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: 2 * time.Second, DialerRetries: 1, DisableIdentity: true,
	})
}

func TestScenario36NothingButTheRightTLSGetsThrough(t *testing.T) {
	scenario := scoreboard.Start(t, 36, "TLS: wrong authority, name, time, version, and none")
	server := redistest.Start(t, "--requirepass", canary)
	ours, other := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	const here = "127.0.0.1"
	right := &tls.Config{Certificates: []tls.Certificate{ours.issue(here, soon)}}
	trust := &tls.Config{RootCAs: ours.pool(), ServerName: here}

	good := newDoor(t, server.Addr(), right)
	if got := tryAll(t, client(good.address, trust.Clone()), long); got != (tried{0, verbs}) {
		t.Fatalf("with the right certificate: %+v", got)
	}
	insecure, inside, plain, cases := 0, int64(0), int64(0), 0
	for _, c := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
	}{
		{"an authority that is not ours", &tls.Config{Certificates: []tls.Certificate{other.issue(here, soon)}}, trust},
		{"an authority that only the system knows", right, &tls.Config{ServerName: here}},
		{"another name", &tls.Config{Certificates: []tls.Certificate{ours.issue("redis.test", soon)}}, trust},
		{"a certificate that has expired", &tls.Config{Certificates: []tls.Certificate{ours.issue(here, time.Now().Add(-time.Minute))}}, trust},
		{"TLS 1.1", &tls.Config{Certificates: right.Certificates, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, trust}, //nolint:gosec // that is the case
		{"a server that wants a certificate of the client", &tls.Config{Certificates: right.Certificates, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool()}, trust},
	} {
		cases++
		d := newDoor(t, server.Addr(), c.server)
		got := tryAll(t, client(d.address, c.client.Clone()), short)
		insecure += got.succeeded
		inside, plain = inside+d.inside.Load(), plain+d.plain.Load()
		if got.succeeded > 0 || d.plain.Load() > 0 {
			t.Errorf("%s: %+v, %d in plain text", c.name, got, d.plain.Load())
		}
	}
	// TLS spoken to a port that has none, and none to one that has.
	for name, one := range map[string]*redis.Client{
		"TLS to a plain port":     client(server.Addr(), trust.Clone()),
		"plain text to a TLS one": client(good.address, nil),
	} {
		cases++
		if got := tryAll(t, one, short); got.succeeded > 0 {
			insecure += got.succeeded
			t.Errorf("%s: %+v", name, got)
		}
	}
	// As the URL says it: rediss:// trusts what the system trusts, which our authority is none of.
	cases++
	byURL, err := redisstore.Open("rediss://:"+canary+"@"+good.address, redisstore.WithTimeout(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer byURL.Close()
	if err := byURL.Ping(t.Context()); err == nil {
		insecure++
		t.Error("rediss:// took an unknown authority")
	}
	scenario.Report("cases", cases)
	scenario.Zero("insecure successes", insecure)
	scenario.Zero("clients that came inside", int(inside))
	scenario.Zero("connections that fell back to plain text", int(plain))
}

func TestScenario36TheServersOwnTLSWorks(t *testing.T) {
	scenario := scoreboard.Start(t, 36, "TLS: Redis' own")
	ours := newAuthority(t)
	address, ok := startTLS(t, ours)
	if !ok {
		t.Skip("this redis-server is built without TLS")
	}
	got := tryAll(t, client(address, &tls.Config{RootCAs: ours.pool(), ServerName: "127.0.0.1"}), long)
	scenario.AtLeast("verbs that work by TLS", got.succeeded, verbs)
	wrong := tryAll(t, client(address, &tls.Config{RootCAs: newAuthority(t).pool(), ServerName: "127.0.0.1"}), short)
	scenario.Zero("verbs that work with another authority", wrong.succeeded)
}

// startTLS starts a redis-server that speaks TLS on a port of its own.
func startTLS(t *testing.T, ca *authority) (address string, ok bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	_ = listener.Close()
	_, port, _ := net.SplitHostPort(address)
	server := redistest.Start(t, "--requirepass", canary)
	cert := ca.issue("127.0.0.1", time.Now().Add(time.Hour))
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	admin := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: canary})
	defer admin.Close()
	number, _ := strconv.Atoi(port)
	for _, setting := range [][]any{
		{"config", "set", "tls-cert-file", file("cert", "CERTIFICATE", cert.Certificate[0]), "tls-key-file", file("key", "PRIVATE KEY", key)},
		{"config", "set", "tls-auth-clients", "no"},
		{"config", "set", "tls-port", number},
	} {
		if err := admin.Do(t.Context(), setting...).Err(); err != nil {
			if strings.Contains(err.Error(), "Unknown option") {
				return "", false
			}
			t.Fatal(setting, err)
		}
	}
	return address, true
}
