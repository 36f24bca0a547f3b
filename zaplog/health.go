package zaplog

import (
	"go.uber.org/zap"

	"github.com/commontrip/commontrip/health"
)

// Health gives a listener that writes each change of a tier's health to l. Fields: tier, health, since, took, streak,
// and error, the check's, if it failed.
//
// It is safe for concurrent use. A nil l panics.
func Health(l *zap.Logger) func(health.Status) {
	if l == nil {
		panic("zaplog: Health of a nil *zap.Logger: give zap.NewNop() to log nothing")
	}
	return func(s health.Status) {
		at, text := zap.InfoLevel, "tier unknown"
		switch s.Health {
		case health.Up:
			text = "tier up"
		case health.Down:
			at, text = zap.WarnLevel, "tier down"
		}
		if line := l.Check(at, text); line != nil {
			line.Write(zap.String("tier", s.Name), zap.Stringer("health", s.Health), zap.Time("since", s.Since),
				zap.Duration("took", s.Took), zap.Int("streak", s.Streak), zap.Error(s.Err))
		}
	}
}
