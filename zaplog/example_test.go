package zaplog_test

import (
	"errors"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/zaplog"
)

// lines is a logger to standard output whose lines are the same each time.
func lines() *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		LevelKey: "level", MessageKey: "msg",
		EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeTime: zapcore.RFC3339TimeEncoder, EncodeDuration: zapcore.StringDurationEncoder,
	})
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stdout), zap.InfoLevel))
}

func ExampleListener() {
	listen := zaplog.Listener(lines()) // given to breaker.WithListener

	listen(breaker.Event{Kind: breaker.Transitioned, Name: "users", Transition: store.Transition{
		Name: "users", From: store.Closed, To: store.Open, Generation: 7, Reason: store.ByConsecutiveFailures,
		Window: store.Tally{Calls: 61, Failures: 5, Consecutive: 5}, Errors: []store.ErrorCount{{Label: "503", Count: 5}},
	}})
	listen(breaker.Event{Kind: breaker.StoreLost, Err: errors.New("connection refused")})
	// Output:
	// {"level":"warn","msg":"breaker opened","breaker":"users","kind":"transitioned","sentence":"users opened because 5 calls in a row failed; errors: 5 x 503","from":"closed","to":"open","mode":"auto","generation":7,"rev":0,"reason":"consecutive-failures","window":{"calls":61,"failures":5,"slow":0,"consecutive":5},"errors":{"503":5}}
	// {"level":"warn","msg":"store lost","kind":"store-lost","error":"connection refused"}
}

func ExampleHealth() {
	listen := zaplog.Health(lines()) // given to health.WithListener

	listen(health.Status{Name: "mcp", Health: health.Down, Streak: 3, Err: errors.New("503")})
	// Output:
	// {"level":"warn","msg":"tier down","tier":"mcp","health":"down","since":"0001-01-01T00:00:00Z","took":"0s","streak":3,"error":"503"}
}
