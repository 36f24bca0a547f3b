// What the blocks of the documents take as given: each of them is compiled beside this file. It is read by code_test.go.

package given

import (
	"context"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
	memorystore "github.com/commontrip/commontrip/store/memory"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

type (
	User  struct{ Name string }
	Query struct{ ID string }
	Doc   struct{ Text string }
)

var (
	ctx, shutdownCtx = context.Background(), context.Background()
	err              error
	id, url          string
	zl               *zap.Logger
	fleet            *redisstore.Store
	m                *breaker.Manager
	card             *breaker.Breaker
	monitor          *health.Monitor
	tiers            []fallback.Tier[Query, Doc]
	policy           retry.Policy
	roots            *x509.CertPool
	mux              *http.ServeMux
	handler          http.Handler
	client           *http.Client
	backend          storekit.Backend

	mcpUp, again, mcp, sdk, rest fallback.Guard
)

func fetchUser(context.Context, string) (User, error) { return User{}, nil }
func call(context.Context) (User, error)              { return User{}, nil }
func viaMCP(context.Context, Query) (Doc, error)      { return Doc{}, nil }
func viaSDK(context.Context, Query) (Doc, error)      { return Doc{}, nil }
func viaREST(context.Context, Query) (Doc, error)     { return Doc{}, nil }
func pingMCP(context.Context) error                   { return nil }
func requireLogin(h http.Handler) http.Handler        { return h }
func whoIs(*http.Request) (string, error)             { return "", nil }

// The store of CONTRIBUTING.md, and the back end of docs/store.md.
type state struct{ *memorystore.Store }

func newState(testing.TB) *state  { return &state{} }
func (s *state) clear(testing.TB) { s.Store = nil }

func open(_ testing.TB, s *state, now func() time.Time) store.Store {
	if now == nil { // on the store's own clock
		return memorystore.New()
	}
	if s.Store == nil {
		s.Store = memorystore.New(memorystore.WithClock(now))
	}
	return memorystore.NewLink(s.Store)
}
