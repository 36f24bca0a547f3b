package inprocess

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/core/stat"
)

// TestMain keeps what libraries log by themselves out of the tables.
func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	logx.Disable()
	stat.DisableLog()
	m.Run()
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
