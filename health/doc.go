// Package health checks tiers in the background and knows which of them are down, before a call finds out.
//
// A [Check] is a name and a function that asks the tier for a sign of life. A [Monitor] runs each of them every
// Interval, spread by 10 % either way so that checks drift apart, and keeps a [Health] for each: Unknown at first, Down
// after DownAfter failures in a row, Up after UpAfter successes in a row. Nothing else moves it, so a single lost packet
// changes nothing.
//
//	m, err := health.New(health.Config{}, []health.Check{
//		{Name: "mcp", Run: pingMCP},
//		{Name: "sdk", Run: pingSDK, Interval: time.Minute},
//	})
//	err = m.Start()
//	defer m.Close(ctx)
//	mcpUp, err := m.Guard("mcp")
//	err = mcpUp.Run(ctx, call) // refused with ErrDown while mcp is Down
//
// # Isolation
//
// Every check has one goroutine of its own and one more while it runs: at most two, however long a run takes. A check
// fails by returning an error, by a panic or runtime.Goexit, and by not having returned at its Timeout, whether it looks
// at its context or not. What it returns after that is not looked at. A run that never returns is not started a second
// time: each Interval in which it still hangs counts as one more failure. None of this disturbs another check.
//
// # Breakers
//
// A check may name the [Breaker] of its tier. [FeedNothing], the default, leaves it alone: checks and calls are separate
// evidence. With [FeedProbes] the check goes through the breaker while that is not closed, as one of its probes, so that
// a tier comes back without users' calls being tried on it; in closed state it goes past the breaker, so it takes no part
// in tripping it. All replicas' checks together send no more probes than the breaker leases. [FeedAll] sends every check
// through the breaker, where it counts like a call.
//
// A check that the breaker refuses has not reached the tier and says nothing about it: health, streak and time of the
// last check stay as they are. A refusal is known by the breaker's Run returning without having entered the check, and by the
// check's own error: a check that uses a guarded client of the service may be refused within, and that error says so by a
// method Refused() bool that returns true.
//
// # Life
//
// New does nothing in the background; [Monitor.Check] works before Start too. After Close a Monitor can be started again,
// and forgets what it knew. In between guards admit every call, as nobody would find out that a tier is back. Checks can
// be added and removed at any time.
//
// # Readiness
//
// [Monitor.Handler] answers a probe of readiness: 200 once every tier that the service needs has been found Up, and 503 before
// that and while one of them is Down. A [Readiness] makes open breakers count too.
//
// # What is told to whom
//
// [Monitor.Handler] and the JSON form of [Status] never hold an error's text, which may name addresses and credentials;
// they say "timeout", "panic" or "failed". In the process, Status.Err is the error itself.
package health
