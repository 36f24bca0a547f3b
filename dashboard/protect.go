package dashboard

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// policy lets the page use the files it is served with, and nothing else: no inline script or style, no frame around it,
// no form that leaves it, and no way from text to markup.
var policy = strings.Join([]string{
	"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
	"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	"require-trusted-types-for 'script'", "trusted-types 'none'",
}, "; ")

// protect sets what every answer carries.
func protect(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin") // not no-referrer, which makes the Origin of the page's own POST null
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
}

// knows reports whether the request's Host may be served: an IP address, localhost, or one of WithHosts.
func (h *Handler) knows(r *http.Request) bool {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || h.hosts[name] || h.hosts["*"] {
		return true
	}
	// httptest.NewRequest says example.com, and no server took that request in.
	return name == "example.com" && r.Context().Value(http.LocalAddrContextKey) == nil
}

// foreign reports whether a browser sent the request from another origin's page. It looks at reads too: another page
// cannot see the answers, but it could hold streams open.
func (h *Handler) foreign(r *http.Request) bool {
	asWrite := *r
	asWrite.Method = http.MethodPost
	return h.cross.Check(&asWrite) != nil
}
