package redisstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	logPause = time.Minute // between two lines of one kind
	logKinds = 64          // that are told apart; beyond, they share one
)

// LogClient gives fn the lines that the Redis client logs, such as a dial that failed, which go to standard error
// otherwise, several a second while Redis is away:
//
//	redisstore.LogClient(func(line string) { logger.Warn("redis client", "line", line) })
//
// A nil fn drops them: each failed exchange is an error of the store, and listeners hear StoreLost and StoreBack, so that
// nothing is missed. Of lines of one kind, fn gets one a minute; it ends with how many were held back since the one
// before. fn may be called by many goroutines at once, and must not block. A line shows addresses and no password.
//
// The client has one log in a process: LogClient is for all stores, and for other users of go-redis. Call it before
// [Open]. The last call counts.
func LogClient(fn func(line string)) {
	redis.SetLogger(&clientLog{fn: fn, kinds: map[string]*logKind{}})
}

// clientLog is a logger of go-redis that thins out what repeats.
type clientLog struct {
	fn    func(string) // nil: nobody listens
	mu    sync.Mutex
	kinds map[string]*logKind // by format
}

// logKind is what is known of the lines of one format.
type logKind struct {
	last time.Time // when one was told
	held int       // since then
}

// Printf implements go-redis's logger.
func (l *clientLog) Printf(_ context.Context, format string, values ...any) {
	if l.fn == nil {
		return
	}
	held, due := l.due(format)
	if !due {
		return
	}
	line := strings.TrimSpace(fmt.Sprintf(format, values...))
	if held > 0 {
		line += fmt.Sprintf(" (%d more like it since the last one)", held)
	}
	l.fn(line)
}

// due says whether a line of the format is told now, and how many were not before it.
func (l *clientLog) due(format string) (held int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := l.kinds[format]
	if kind == nil && len(l.kinds) >= logKinds {
		format = ""
		kind = l.kinds[format]
	}
	if kind == nil {
		kind = &logKind{}
		l.kinds[format] = kind
	}
	if now := time.Now(); kind.last.IsZero() || now.Sub(kind.last) >= logPause {
		held = kind.held
		*kind = logKind{last: now}
		return held, true
	}
	kind.held++
	return 0, false
}
