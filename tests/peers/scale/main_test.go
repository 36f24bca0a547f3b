package scale

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	m.Run()
}

// quiet keeps what clients log of a busy machine out of the tables; what matters is in their errors.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
