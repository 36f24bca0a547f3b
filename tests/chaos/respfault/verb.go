package respfault

import (
	"strings"

	"github.com/commontrip/commontrip/scripts/lua"
)

// Verb is what a request asks of a store.
type Verb string

// The verbs. The first five are scripts, and each is one whether it is sent by its hash or whole.
const (
	Sync     Verb = "sync"
	Claim    Verb = "claim"
	Settle   Verb = "settle"
	Command  Verb = "command"
	Remove   Verb = "remove"
	Read     Verb = "read"     // a breaker's snapshot, and the clock that goes with it
	History  Verb = "history"  // a snapshot and entries behind it
	Roster   Verb = "roster"   // HGETALL, after a Read
	Versions Verb = "versions" // two numbers
	Watch    Verb = "watch"    // SUBSCRIBE; its messages are told by Pushes
	Index    Verb = "index"    // the set of names, and whether they are still there
	Ping     Verb = "ping"
	Setup    Verb = "setup" // of a connection: HELLO, AUTH, CLIENT, SELECT
	Other    Verb = "other"

	Any Verb = "any" // in a rule: every verb without one of its own
)

// Verbs are those of a store's methods.
func Verbs() []Verb {
	return []Verb{Sync, Claim, Settle, Command, Remove, Read, History, Roster, Versions, Watch}
}

var plain = map[string]Verb{
	"time": Read, "hgetall": Roster, "subscribe": Watch, "ssubscribe": Watch, "sadd": Index, "srem": Index,
	"smembers": Index, "srandmember": Index, "exists": Index, "pexpire": Index, "ping": Ping, "hello": Setup, "auth": Setup,
	"client": Setup, "select": Setup,
}

func newRequest(args []string, place int) Request {
	r := Request{Verb: Other, Args: args, Place: place}
	if len(args) == 0 {
		return r
	}
	word := strings.ToLower(args[0])
	switch {
	case (word == "evalsha" || word == "eval") && len(args) > 3:
		r.Verb, r.Key = script(args[1], args[4:]), args[3]
	case word == "hmget" && len(args) > 2:
		r.Verb, r.Key = fields(args[2:]), args[1]
	default:
		if verb, ok := plain[word]; ok {
			r.Verb = verb
		}
		if len(args) > 1 && (r.Verb == Roster || r.Verb == Index || r.Verb == Watch) {
			r.Key = args[1]
		}
	}
	return r
}

// script finds one of ours by its hash or its source.
func script(id string, args []string) Verb {
	for _, s := range lua.All() {
		if id != s.Source && !strings.EqualFold(id, s.SHA) {
			continue
		}
		if s == lua.Read {
			return fields(args)
		}
		return Verb(s.Name)
	}
	return Other
}

// fields tells reads by what they ask for.
func fields(names []string) Verb {
	if n := len(names); n > 1 && names[n-1] == "name" { // each read asks whose hash it is
		names = names[:n-1]
	}
	switch last := names[len(names)-1]; {
	case len(names) == 3 && names[0] == "generation" && last == "tomb":
		return Versions
	case last == "h49":
		return History
	default:
		return Read
	}
}
