package dashboard

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// patience bounds one exchange with the store for a page.
const patience = 2 * time.Second

//go:embed ui
var ui embed.FS

// Handler serves the page, its API and its live streams. It is safe for concurrent use.
type Handler struct {
	store    store.Store
	live     *live
	operator func(*http.Request) (string, error) // nil: read-only
	audits   []func(Audit)
	hosts    map[string]bool
	cross    http.CrossOriginProtection
}

// New makes a Handler of a store, which it does not own. It does no I/O and starts nothing.
func New(s store.Store, opts ...Option) (*Handler, error) {
	if s == nil {
		return nil, errors.New("dashboard: New needs a store; it is nil")
	}
	h := &Handler{store: s, live: newLive(s), hosts: map[string]bool{}}
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("dashboard: an option is nil")
		}
		if err := opt(h); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Close ends the live streams and what feeds them, and refuses new ones; the rest goes on answering. Call it before
// http.Server.Shutdown, which would otherwise wait for them. It returns ctx.Err() if ctx ends first. Idempotent.
func (h *Handler) Close(ctx context.Context) error { return h.live.close(ctx) }

// ServeHTTP implements http.Handler. It does not clean paths and redirects nobody but from the place where it is mounted
// without a final slash, so it works below any prefix.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	boundBody(w, r)
	if !h.knows(r) {
		fail(w, http.StatusForbidden, "this host is not one of WithHosts: "+quote(r.Host))
		return
	}
	if r.URL.Path == "" {
		w.Header().Set("Location", mountedAt(r))
		reply(w, http.StatusPermanentRedirect, nil)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/")
	api, inAPI := strings.CutPrefix(rest, "api/")
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "no such page")
	case inAPI:
		h.serveAPI(w, r, strings.Split(api, "/"))
	case reads(w, r):
		serveFile(w, rest)
	}
}

// mountedAt is the last segment of the address asked for, with a slash: relative to that address, the page.
func mountedAt(r *http.Request) string {
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return "./"
	}
	return "./" + path.Base("/"+asked.EscapedPath()) + "/"
}

func (h *Handler) serveAPI(w http.ResponseWriter, r *http.Request, segments []string) {
	if len(segments) == 3 && segments[0] == "breakers" && segments[2] == "command" {
		h.serveCommand(w, r, segments[1])
		return
	}
	if h.foreign(r) {
		fail(w, http.StatusForbidden, "cross-origin request")
		return
	}
	if !reads(w, r) {
		return
	}
	switch {
	case len(segments) == 1 && segments[0] == "events":
		h.serveEvents(w, r)
	case len(segments) == 1 && segments[0] == "breakers":
		h.serveAll(w, r)
	case len(segments) == 2 && segments[0] == "breakers":
		h.serveNamed(w, r, segments[1], h.one)
	case len(segments) == 3 && segments[0] == "breakers" && segments[2] == "history":
		h.serveNamed(w, r, segments[1], h.history)
	case len(segments) == 3 && segments[0] == "breakers" && segments[2] == "roster":
		h.serveNamed(w, r, segments[1], h.roster)
	default:
		fail(w, http.StatusNotFound, "no such route")
	}
}

// reads answers whatever is not a GET or HEAD without a body, and says whether it was one.
func reads(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "want GET")
	case r.ContentLength != 0:
		fail(w, http.StatusBadRequest, "want no body")
	default:
		return true
	}
	return false
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
}

// serveFile gives an embedded file, the page for the empty name. Names are compared, not opened as paths.
func serveFile(w http.ResponseWriter, name string) {
	if name == "" {
		name = "index.html"
	}
	text, err := ui.ReadFile("ui/" + name)
	kind, known := contentTypes[path.Ext(name)]
	if err != nil || !known {
		fail(w, http.StatusNotFound, "no such page")
		return
	}
	w.Header().Set("Content-Type", kind)
	reply(w, http.StatusOK, text)
}
