package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrScheme: the URL given to [OpenURL] names a kind of store that no imported package has registered.
var ErrScheme = errors.New("no such kind of store")

// OpenConfig is what every kind of store is opened with. Zero fields take the store's own defaults; a store that has no
// use for one ignores it.
type OpenConfig struct {
	Prefix  string        // the fleet's name space
	Timeout time.Duration // the bound of one exchange
}

// Opener opens one kind of store by its URL. It does no I/O, and its errors hold no password.
type Opener func(url string, c OpenConfig) (Store, error)

var (
	openersMu sync.RWMutex
	openers   = map[string]Opener{}
)

// Register makes [OpenURL] use open for URLs of that scheme. The package of a store calls it in its init, as drivers of
// database/sql do, so that a program has the stores that it imports and pays for no other. It panics for a scheme that is
// not in lower case or is registered already, and for a nil function.
func Register(scheme string, open Opener) {
	openersMu.Lock()
	defer openersMu.Unlock()
	switch {
	case scheme == "" || scheme != strings.ToLower(scheme) || strings.ContainsAny(scheme, ":/ "):
		panic(fmt.Sprintf("store: Register of the scheme %q; want it in lower case, without \":\"", scheme))
	case open == nil:
		panic("store: Register of a nil Opener")
	case openers[scheme] != nil:
		panic(fmt.Sprintf("store: Register of the scheme %q a second time", scheme))
	}
	openers[scheme] = open
}

// Schemes lists what is registered, sorted.
func Schemes() []string {
	openersMu.RLock()
	defer openersMu.RUnlock()
	return slices.Sorted(maps.Keys(openers))
}

// OpenURL opens the store that a URL names: "redis://host:6379" if the program imports store/redis, "memory:" for a store of
// this process alone, which is also what an empty URL means. The store is the caller's to close. It is ErrScheme if no
// imported package knows the URL; no error shows more of a URL than its scheme.
//
//	import _ "github.com/commontrip/commontrip/store/redis" // redis, rediss and unix
//
//	fleet, err := store.OpenURL(os.Getenv("CIRCUIT_BREAKER_STORE_URL"), store.OpenConfig{Prefix: "payments-prod"})
func OpenURL(url string, c OpenConfig) (Store, error) {
	scheme, _, isURL := strings.Cut(url, ":")
	if url == "" {
		scheme, isURL = "memory", true
	}
	if !isURL {
		return nil, fmt.Errorf("%w: a URL begins with one of %q and \":\"", ErrScheme, Schemes())
	}
	openersMu.RLock()
	open := openers[strings.ToLower(scheme)]
	openersMu.RUnlock()
	if open == nil {
		return nil, fmt.Errorf("%w: %q is none of %q; import the package of that store, such as _ %q",
			ErrScheme, shownScheme(scheme), Schemes(), "github.com/commontrip/commontrip/store/redis")
	}
	return open(url, c)
}

// shownScheme is a scheme as it may be shown: what is not a scheme may be a secret.
func shownScheme(scheme string) string {
	const most = 32
	for _, r := range scheme {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+-.", r)) {
			return "xxxxx"
		}
	}
	return scheme[:min(len(scheme), most)]
}
