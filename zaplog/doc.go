// Package zaplog writes what breakers and health checks have to say to a [zap.Logger]: one line an event, a fixed message,
// everything else in fields.
//
//	m, err := breaker.NewManager(fleet, breaker.WithListener(zaplog.Listener(logger)))
//	checks, err := health.New(health.Config{}, tiers, health.WithListener(zaplog.Health(logger)))
//
// What stops calls or protection is a warning: a breaker that opens or is forced open, a replica's own verdict that opens,
// a store that is lost, a tier that is down. The rest is information. Nothing is logged for a call, so the lines stay few
// whatever the traffic.
//
// log/slog needs no such package: a [breaker.Event] is a slog.LogValuer.
package zaplog
