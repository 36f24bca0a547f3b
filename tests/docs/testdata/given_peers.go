// What the blocks take as given that put other libraries beside commontrip: each of them is compiled beside this file. It is
// read by code_test.go.

package given

import (
	"context"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
)

type (
	User  struct{ Name string }
	Query struct{ ID string }
	Doc   struct{ Text string }
)

var (
	ctx  = context.Background()
	err  error
	id   string
	m    *breaker.Manager
	card *breaker.Breaker
	mcp  fallback.Guard
)

func fetchUser(context.Context, string) (User, error) { return User{}, nil }
func viaMCP(context.Context, Query) (Doc, error)      { return Doc{}, nil }
func viaREST(context.Context, Query) (Doc, error)     { return Doc{}, nil }
