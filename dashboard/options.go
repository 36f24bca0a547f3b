package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
)

// Option configures a Handler. A bad one is refused by [New].
type Option func(*Handler) error

// WithManager adds what this replica holds of its breakers: its own verdict, what it has not reported yet, what it refused.
func WithManager(m *breaker.Manager) Option {
	return func(h *Handler) error {
		if m == nil {
			return errors.New("dashboard: WithManager needs a Manager; it is nil")
		}
		h.live.manager = m
		return nil
	}
}

// WithHealth adds what active checks say of the tiers, as this replica sees them.
func WithHealth(m *health.Monitor) Option {
	return func(h *Handler) error {
		if m == nil {
			return errors.New("dashboard: WithHealth needs a Monitor; it is nil")
		}
		h.live.health = m
		return nil
	}
}

// WithOperator lets those command whom fn names; without it the Handler is read-only. fn is given each POST of a command,
// to answer with the operator's name (1 to 200 bytes, see store.ValidateName), which signs it; an error or an empty name
// is 403, and the error goes to the audit only. It is also asked when a page opens, so that the page offers no buttons to
// those who may not press them. fn must be safe for concurrent use.
func WithOperator(fn func(*http.Request) (by string, err error)) Option {
	return func(h *Handler) error {
		if fn == nil {
			return errors.New("dashboard: WithOperator needs a function; it is nil")
		}
		h.operator = fn
		return nil
	}
}

// WithAudit tells fn of every attempt to command, carried out or refused, before it is answered and on the request's
// goroutine; also of one in whose course the operator function panicked, with status 500, before the panic goes on. fn must be safe for concurrent use. More than one are all told.
func WithAudit(fn func(Audit)) Option {
	return func(h *Handler) error {
		if fn == nil {
			return errors.New("dashboard: WithAudit needs a function; it is nil")
		}
		h.audits = append(h.audits, fn)
		return nil
	}
}

// WithHosts adds names by which the Handler may be reached, without ports; IP addresses and localhost always may. Any other
// Host is refused, since a page of another site can point its own name at this server's address and read it as its own.
// "*" admits every name: for servers behind a proxy that looks at the Host itself.
func WithHosts(names ...string) Option {
	return func(h *Handler) error {
		for _, name := range names {
			if name == "" || strings.ContainsAny(name, ":/ ") {
				return fmt.Errorf("dashboard: host is %q; want a name without scheme, port and path, or *", name)
			}
			h.hosts[strings.ToLower(strings.TrimSuffix(name, "."))] = true
		}
		return nil
	}
}

// WithMaxStreams bounds the live streams open at once, 1..100000; the default is 1000. A page beyond it is told to come
// back later (503).
func WithMaxStreams(n int) Option {
	return func(h *Handler) error {
		if n < 1 || n > 100_000 {
			return fmt.Errorf("dashboard: MaxStreams is %d; want 1..100000", n)
		}
		h.live.maxStreams = n
		return nil
	}
}
