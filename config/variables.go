package config

import "strings"

// Variable describes one variable of the environment.
type Variable struct {
	Name    string
	Unit    string // "seconds", "calls", "true or false"...
	Default string // as it would be set; "" = none
	Doc     string // what it does, its range and its special values
}

// Variables lists every variable but those of single breakers (CIRCUIT_BREAKER__NAME__FIELD), a second name after the
// first one.
func Variables() []Variable {
	all := make([]Variable, len(table))
	for i, r := range table {
		all[i] = r.Variable
	}
	return all
}

// row is a variable and what it sets.
type row struct {
	Variable
	key  string // the name made of the field's
	zero bool   // 0 (false, the first of several words) means something of its own, not "the default"
	own  bool   // single breakers have it too
}

// The units, and what is wanted if a value is not of that kind.
const (
	seconds = "seconds"
	share   = "0 to 1"
	factor  = "factor"
	boolean = "true or false"
	text    = "text"
	link    = "URL"
)

var wants = map[string]string{
	seconds: "seconds, such as 30 or 0.5, or a duration, such as 250ms",
	share:   "a number from 0 to 1",
	factor:  "a number",
}

var (
	table = makeTable()
	rows  = func() map[string]row {
		byName := make(map[string]row, len(table))
		for _, r := range table {
			byName[r.Name] = r
		}
		return byName
	}()
)

func wanted(key string) string {
	unit := rowOf(key).Unit
	switch want, ok := wants[unit]; {
	case ok:
		return want
	case strings.Contains(unit, " or "):
		return unit
	}
	return "a whole number"
}

func zeroMeans(key string) bool   { return rowOf(key).zero }
func defaultOf(key string) string { return rowOf(key).Default }

// rowOf is the row of a field, a single breaker's own included.
func rowOf(key string) row {
	if _, field, ok := splitOwn(key); ok {
		key = "CIRCUIT_BREAKER_" + field
	}
	return rows[key]
}

func makeTable() []row {
	var t []row
	// add lists a variable by its names: the one to use, and the one made of the field's name if that is another.
	add := func(r row, unit, value, doc string, names ...string) {
		r.key = names[len(names)-1]
		for i, name := range names {
			r.Variable = Variable{Name: name, Unit: unit, Default: value, Doc: doc}
			if i > 0 {
				r.Doc = "Another name of " + names[0] + "."
			}
			t = append(t, r)
		}
	}
	addPolicy(add)
	addManager(add)
	addRetry(add)
	addHealth(add)
	return t
}

type adder = func(r row, unit, value, doc string, names ...string)

func addPolicy(add adder) {
	own, zero := row{own: true}, row{own: true, zero: true}
	add(zero, "calls", "100", "The newest calls that are judged; 1 to 10000. 0 = a window of time.", "CIRCUIT_BREAKER_WINDOW_CALLS")
	add(zero, seconds, "0", "The time that is judged instead, in 10 buckets; 1 s to 24 h. 0 = a window of calls.", "CIRCUIT_BREAKER_WINDOW_TIME")
	add(zero, "failures", "5", "Rule: this many failures in a row open the breaker. 0 = off, if another rule is set.", "CIRCUIT_BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_CONSECUTIVE_FAILURES")
	add(zero, seconds, "0", "The failures in a row must have lasted this long; up to 24 h. On a shared store 1 s is the default.", "CIRCUIT_BREAKER_CONSECUTIVE_FOR")
	add(zero, share, "0", "Rule: this share of failures in the window opens the breaker. 0 = off. On a shared store 0.5 is the default.", "CIRCUIT_BREAKER_FAILURE_RATE")
	add(zero, share, "0", "Rule: this share of slow calls in the window opens the breaker; needs SLOW_CALL_AFTER. 0 = off.", "CIRCUIT_BREAKER_SLOW_CALL_RATE")
	add(zero, seconds, "0", "A call that takes longer is slow; up to 24 h. 0 = none is.", "CIRCUIT_BREAKER_SLOW_CALL_AFTER")
	add(own, "calls", "10", "The shares are judged once the window has this many calls. On a shared store 20 is the default.", "CIRCUIT_BREAKER_MIN_CALLS")
	add(own, "replicas", "1", "This many replicas must have seen the failures, or all that call, if fewer; 1 to 16. On a shared store 2 is the default.", "CIRCUIT_BREAKER_REPORTERS")
	add(own, seconds, "60", "How long an open breaker refuses calls; 1 ms to 24 h.", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "CIRCUIT_BREAKER_OPEN_FOR")
	add(zero, seconds, "0", "Each failed round of probes doubles that time up to this; up to 24 h. 0 = it stays.", "CIRCUIT_BREAKER_OPEN_FOR_MAX")
	add(own, "probes", "3", "This many probes at once while half-open, fleet-wide; 1 to 1000.", "CIRCUIT_BREAKER_HALF_OPEN_CALLS", "CIRCUIT_BREAKER_PROBES")
	add(own, "probes", "2", "This many successful probes close the breaker.", "CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "CIRCUIT_BREAKER_PROBE_SUCCESSES")
	add(own, seconds, "30", "A probe's time; one that nobody settled then frees its place. 1 ms to 24 h.", "CIRCUIT_BREAKER_PROBE_LEASE")
	add(zero, seconds, "0", "After closing from half-open the admitted share of calls grows over this; up to 24 h. 0 = all at once.", "CIRCUIT_BREAKER_RAMP_UP")
	add(zero, boolean, "false", "Dry run: count and change state, refuse nobody.", "CIRCUIT_BREAKER_OBSERVE")
}

func addManager(add adder) {
	add(row{}, seconds, "0.02", "The longest that an outcome waits to be reported, unless the store asks for more; 1 ms to 24 h.", "CIRCUIT_BREAKER_FLUSH_INTERVAL")
	add(row{}, seconds, "1", "How often a breaker in use is compared with the store, idle ones ten times less; 1 ms to 24 h.", "CIRCUIT_BREAKER_REFRESH_INTERVAL")
	add(row{}, seconds, "3", "If the store has not answered for this long, the replica's own verdict rules; 1 ms to 24 h.", "CIRCUIT_BREAKER_STALE_AFTER")
	add(row{}, seconds, "1", "The longest that a breaker waits at its start for the fleet's verdict; 1 ms to 24 h.", "CIRCUIT_BREAKER_START_TIMEOUT")
	add(row{}, seconds, "0.1", "The longest that one call waits for a probe's lease; 1 ms to 24 h.", "CIRCUIT_BREAKER_CLAIM_TIMEOUT")
	add(row{zero: true}, "own-verdict, admit-all or reject-all", "own-verdict", "What rules calls while the store is away.", "CIRCUIT_BREAKER_STORE_DOWN")
	add(row{}, text, "", "This replica's name for display. Unset = host and process number.", "CIRCUIT_BREAKER_REPLICA")
	add(row{}, link, "", "Where the fleet's verdict is kept: redis://, rediss://, unix:// or postgres://. Unset = each process for itself. The command line reads it too.", "CIRCUIT_BREAKER_STORE_URL")
	add(row{}, text, "commontrip", "The fleet's name space in the store; up to 100 bytes (PostgreSQL: 50), no blanks, quotes and braces. The command line reads it too.", "CIRCUIT_BREAKER_STORE_PREFIX")
	add(row{}, seconds, "1", "The bound of one exchange with the store; 1 ms to 1 min.", "CIRCUIT_BREAKER_STORE_TIMEOUT")
}

func addRetry(add adder) {
	add(row{}, "attempts", "3", "How often a call is made, the first time included. 1 = no retry.", "MAX_RETRY_ATTEMPTS", "RETRY_ATTEMPTS")
	add(row{}, seconds, "1.0", "The first wait, before jitter.", "RETRY_BASE_DELAY", "RETRY_DELAY")
	add(row{}, seconds, "60.0", "The longest wait.", "RETRY_MAX_DELAY")
	add(row{}, factor, "2.0", "Each wait is the one before times this factor; 1 or more.", "RETRY_EXPONENTIAL_BASE", "RETRY_MULTIPLIER")
	add(row{zero: true}, boolean, "true", "Whether waits are drawn at random. True = full, or what RETRY_JITTER says; false = none.", "RETRY_JITTER_ENABLED")
	add(row{zero: true}, "full, equal or none", "full", "How waits are drawn: from all of the wait, from its second half, or not.", "RETRY_JITTER")
	add(row{}, seconds, "60", "An error that asks for a longer wait ends the retry at once. Unset = RETRY_MAX_DELAY, but at least 5 s.", "RETRY_MAX_RETRY_AFTER")
	add(row{}, seconds, "5", "A guard's refusal, such as an open breaker's, that asks for a longer wait ends it at once. Unset = RETRY_MAX_RETRY_AFTER if that is set, else 5 s.", "RETRY_MAX_REFUSAL")
	add(row{zero: true}, seconds, "0", "The bound of one attempt. 0 = none.", "RETRY_ATTEMPT_TIMEOUT")
	add(row{zero: true}, seconds, "0", "The bound of all attempts and waits together. 0 = none.", "RETRY_MAX_ELAPSED")
}

func addHealth(add adder) {
	add(row{}, seconds, "30", "The time from one check of a tier to the next, spread by 10 % either way; 1 ms to 24 h.", "HEALTH_CHECK_INTERVAL")
	add(row{}, seconds, "10", "A check that takes as long has failed; 1 ms to 24 h.", "HEALTH_CHECK_TIMEOUT")
	add(row{}, "checks", "3", "This many failures in a row and the tier is down; 1 to 1000.", "HEALTH_CHECK_DOWN_AFTER")
	add(row{}, "checks", "1", "This many successes in a row and the tier is up; 1 to 1000.", "HEALTH_CHECK_UP_AFTER")
}
