package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// problem is the JSON form of an error.
type problem struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"` // of the policy, by its Go name
	Range string `json:"range,omitempty"`
}

// isUnreadable reports that the store answered, and holds of some breakers what cannot be read.
func isUnreadable(err error) bool {
	_, ok := errors.AsType[*store.UnreadableError](err)
	return ok
}

var errNoSuchBreaker = errors.New("no such breaker")

// nameOf reads a breaker's name from its segment, or from ?name= if the segment is "-".
func nameOf(r *http.Request, segment string) (string, error) {
	if q := r.URL.Query(); segment == "-" && q.Has("name") {
		return q.Get("name"), nil
	}
	return url.PathUnescape(segment)
}

func (h *Handler) serveAll(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	snapshots, err := h.store.Read(ctx)
	if err != nil && !isUnreadable(err) {
		failStore(w, err)
		return
	}
	if snapshots == nil {
		snapshots = []store.Snapshot{}
	}
	answer(w, http.StatusOK, snapshots)
}

// serveNamed answers with what read gives for the name in the path.
func (h *Handler) serveNamed(w http.ResponseWriter, r *http.Request, segment string,
	read func(context.Context, *http.Request, string) (any, error),
) {
	name, err := nameOf(r, segment)
	if err != nil || store.ValidateName(name) != nil {
		failStore(w, errNoSuchBreaker)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	value, err := read(ctx, r, name)
	if err != nil {
		failStore(w, err)
		return
	}
	answer(w, http.StatusOK, value)
}

func (h *Handler) one(ctx context.Context, _ *http.Request, name string) (any, error) {
	snapshots, err := h.store.Read(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(snapshots) != 1 {
		return nil, errNoSuchBreaker
	}
	return row{Snapshot: snapshots[0], Here: h.live.here(name)}, nil
}

func (h *Handler) history(ctx context.Context, r *http.Request, name string) (any, error) {
	limit := 0
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, badRequest("limit is " + quote(text) + "; want 1 or more")
		}
		limit = n
	}
	transitions, err := h.store.History(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	if len(transitions) == 0 {
		return []store.Transition{}, h.mustKnow(ctx, name)
	}
	return transitions, nil
}

// replica is the JSON form of a store.Replica.
type replica struct {
	Name     string `json:"name"`
	SeenMS   int64  `json:"seen_ms"` // ago
	Calls    uint64 `json:"calls"`
	Failures uint64 `json:"failures"`
	OwnOpen  bool   `json:"own_open"`
	Conflict bool   `json:"conflict"`

	Differences []string `json:"differences,omitempty"` // from the fleet's policy
}

func (h *Handler) roster(ctx context.Context, _ *http.Request, name string) (any, error) {
	known, err := h.store.Roster(ctx, name)
	if err != nil {
		return nil, err
	}
	roster := make([]replica, len(known))
	for i, k := range known {
		roster[i] = replica{k.Name, k.Seen.Milliseconds(), k.Calls, k.Failures, k.OwnOpen, k.Conflict, k.Differences()}
	}
	if len(roster) == 0 {
		return roster, h.mustKnow(ctx, name)
	}
	return roster, nil
}

// mustKnow tells an empty answer about a breaker from one about none.
func (h *Handler) mustKnow(ctx context.Context, name string) error {
	versions, err := h.store.Versions(ctx, name)
	if err == nil && len(versions) == 0 {
		err = errNoSuchBreaker
	}
	return err
}

// badRequest is what the asker did wrong, in words for the asker.
type badRequest string

func (e badRequest) Error() string { return string(e) }

// failStore answers with what an error means: the asker's mistake in its own words, the store's troubles without
// details, which may name addresses.
func failStore(w http.ResponseWriter, err error) {
	status, p := http.StatusServiceUnavailable, problem{Error: "the store does not answer: " + trouble(err)}
	var policyErr *store.PolicyError
	var bad badRequest
	switch {
	case errors.As(err, &policyErr):
		status, p = http.StatusBadRequest, problem{policyErr.Error(), policyErr.Field, policyErr.Range}
	case errors.As(err, &bad), errors.Is(err, store.ErrInvalid):
		status, p.Error = http.StatusBadRequest, err.Error()
	case errors.Is(err, errNoSuchBreaker), errors.Is(err, store.ErrUnknown):
		status, p.Error = http.StatusNotFound, errNoSuchBreaker.Error()
	default:
		w.Header().Set("Retry-After", "1")
	}
	answer(w, status, p)
}

// trouble is the kind of a store's failure.
func trouble(err error) string {
	switch {
	case errors.Is(err, store.ErrClosed):
		return "closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return "failed"
	}
}

func fail(w http.ResponseWriter, status int, text string) { answer(w, status, problem{Error: text}) }

func answer(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	reply(w, status, append(text, '\n'))
}

// quote makes what a request said fit for an error's text.
func quote(s string) string {
	return strconv.QuoteToASCII(strings.ToValidUTF8(s[:min(len(s), 80)], "?"))
}
