// Package config reads the environment into the structs of the other packages.
//
//	c, err := config.FromEnv()                  // every bad variable at once
//	s, err := c.Store.Open()                    // what the URL names; without one: for this process alone
//	m, err := breaker.NewManager(s, c.ManagerOptions()...)
//	mcp, err := m.Register(ctx, "mcp", breaker.WithPolicy(c.PolicyFor("mcp")))
//	again, err := retry.New(c.Retry)
//
// # Names
//
// A variable is named for the field that it sets: CIRCUIT_BREAKER_ and the field in upper snake case for a breaker's
// policy, the manager's timing and the store (CIRCUIT_BREAKER_WINDOW_CALLS, CIRCUIT_BREAKER_STORE_URL), RETRY_ for
// retries, HEALTH_CHECK_ for active checks. Some have an older name as well, such as CIRCUIT_BREAKER_RECOVERY_TIMEOUT for
// CIRCUIT_BREAKER_OPEN_FOR; both names set to different values is an error. [Variables] lists them all.
//
// CIRCUIT_BREAKER__NAME__FIELD sets a field of the policy of one breaker, over CIRCUIT_BREAKER_FIELD, by either name of
// the field. Each variable sets its own field of the default policy in use, and no other: see [Config.PolicyFor]. NAME is
// the breaker's name with the letters a to z in upper case and "_" for each character that is neither
// a letter A to Z nor a digit: CIRCUIT_BREAKER__CARD_NETWORK__OPEN_FOR is for "card-network", and for "card.network" too.
//
// # Values
//
// Durations are seconds ("30", "0.5") or Go durations ("250ms"). Blanks around a value are cut off, and a variable that is
// empty then is not set. One pair of quotes around it is stripped, as some readers of env files do and others do not; a quote
// at one end only is refused. 0 is accepted only if it has a meaning of its own, such as switching a rule off; if 0 in
// the struct stands for the default, leave the variable unset.
//
// # Mistakes
//
// A bad value is an [Error] with the variable, its value and what is wanted. A variable with one of the prefixes that
// means nothing is not an error, as another program may own it, but is listed in [Config.Unknown]; [Nearest] gives the name
// that was probably meant.
//
// Passwords are not shown: what this package prints of a store's URL, in errors and in every printed or logged form of a
// Config, is without user, password and query.
package config
