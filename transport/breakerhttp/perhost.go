package breakerhttp

import (
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/internal/perkey"
)

// PerHost is a choice for [WithPick]: each host has a breaker of its own, named "http:" and the host, such as
// "http:api.example.com" or "http:10.0.0.7:8080". Hosts come from outside, so there are at most limit of them (a limit
// below 1 means none); those beyond it, and those whose name would not be valid, share "http:*". The place of a host is
// never given up.
//
// A host is in lower case, without a final dot, and without the port if it is the scheme's own. It is that of the
// request's URL, or, in a server, what the client called it.
//
// A breaker is registered with m and opts when its host is first met. If the store is remote that request waits for the
// fleet's verdict, for 100 ms at most; then the breaker starts on its own. A nil manager panics.
func PerHost(m *breaker.Manager, limit int, opts ...breaker.Option) func(*http.Request) (*breaker.Breaker, error) {
	if m == nil {
		panic("breakerhttp: PerHost: nil *breaker.Manager: make one with breaker.NewManager")
	}
	breakers := perkey.New(m, "http:", limit, opts...)
	return func(r *http.Request) (*breaker.Breaker, error) {
		return breakers.Get(r.Context(), hostOf(r))
	}
}

func hostOf(r *http.Request) string {
	host, scheme := r.Host, "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if r.URL != nil && r.URL.Host != "" {
		host, scheme = r.URL.Host, r.URL.Scheme
	}
	return normal(host, scheme)
}

// normal spells one host one way; what is not a host at all becomes the shared key.
func normal(host, scheme string) string {
	if !utf8.ValidString(host) {
		return perkey.Shared
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil { // no port
		name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ""
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if port == "" || port == "80" && scheme == "http" || port == "443" && scheme == "https" {
		if name == "" {
			return perkey.Shared
		}
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, port)
}
