package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// Audit is one attempt to command, carried out or refused. It is a slog.LogValuer, and has a JSON form, which zap.Any shows.
type Audit struct {
	Command store.Command // as far as it was understood; By is who the operator function named, or empty
	Remote  string        // the request's RemoteAddr: a proxy's, if there is one
	Status  int           // of the answer
	Err     error         // why it was refused; nil: carried out
}

// MarshalJSON gives what LogValue does: by, breaker, why, remote, status, action and for_ms if a command was understood, and
// error, the text of Err, if there is one; of a retuned policy its one form, too.
func (a Audit) MarshalJSON() ([]byte, error) {
	form := struct {
		By      string        `json:"by"`
		Breaker string        `json:"breaker"`
		Action  string        `json:"action,omitempty"`
		ForMS   int64         `json:"for_ms,omitempty"`
		Policy  *store.Policy `json:"policy,omitempty"`
		Why     string        `json:"why"`
		Remote  string        `json:"remote"`
		Status  int           `json:"status"`
		Error   string        `json:"error,omitempty"`
	}{By: a.Command.By, Breaker: a.Command.Name, Why: a.Command.Why, Remote: a.Remote, Status: a.Status}
	if a.Command.Action != 0 {
		form.Action, form.ForMS = a.Command.Action.String(), a.Command.For.Milliseconds()
	}
	if a.Command.Action == store.Retune {
		form.Policy = &a.Command.Policy
	}
	if a.Err != nil {
		form.Error = a.Err.Error()
	}
	return json.Marshal(form)
}

// LogValue groups who, what, and how it ended.
func (a Audit) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("by", a.Command.By), slog.String("breaker", a.Command.Name), slog.String("why", a.Command.Why),
		slog.String("remote", a.Remote), slog.Int("status", a.Status),
	}
	if a.Command.Action != 0 {
		attrs = append(attrs, slog.String("action", a.Command.Action.String()), slog.Duration("for", a.Command.For))
	}
	if a.Err != nil {
		attrs = append(attrs, slog.String("error", a.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// refusal is an answer other than what a store's error means.
type refusal struct {
	status int
	text   string // for the asker
	err    error  // for the audit, if it is to know more
}

func (e *refusal) Error() string {
	if e.err != nil {
		return e.text + ": " + e.err.Error()
	}
	return e.text
}

func (h *Handler) serveCommand(w http.ResponseWriter, r *http.Request, segment string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		fail(w, http.StatusMethodNotAllowed, "want POST")
		return
	}
	a := Audit{Remote: r.RemoteAddr}
	carriedOn := false
	defer func() {
		if !carriedOn { // a panic, of the operator function or of the store, which goes on
			a.Status, a.Err = http.StatusInternalServerError, errPanicked
			h.audit(a)
		}
	}()
	snapshot, err := h.command(w, r, segment, &a.Command)
	a.Err, a.Status = err, http.StatusOK
	recorder := deferred{header: w.Header()}
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		fail(&recorder, refused.status, refused.text)
	case err != nil:
		failStore(&recorder, err)
	default:
		answer(&recorder, http.StatusOK, row{Snapshot: snapshot, Here: h.live.here(snapshot.Name)})
	}
	a.Status, carriedOn = recorder.status, true
	h.audit(a)
	reply(w, recorder.status, recorder.body)
}

// errPanicked is in the audit of a command in whose course something panicked.
var errPanicked = errors.New("the operator function or the store panicked")

func (h *Handler) audit(a Audit) {
	for _, fn := range h.audits {
		fn(a)
	}
}

// command reads, checks and carries out; c is filled in as far as it comes.
func (h *Handler) command(w http.ResponseWriter, r *http.Request, segment string, c *store.Command) (store.Snapshot, error) {
	name, err := nameOf(r, segment)
	if err != nil || store.ValidateName(name) != nil {
		return store.Snapshot{}, errNoSuchBreaker
	}
	c.Name = name
	if err := h.cross.Check(r); err != nil {
		return store.Snapshot{}, &refusal{http.StatusForbidden, "cross-origin request", err}
	}
	by, err := h.who(r)
	if err != nil {
		return store.Snapshot{}, err
	}
	c.By = by
	given, err := readCommand(w, r)
	if err != nil {
		return store.Snapshot{}, err
	}
	if given.Name != "" && given.Name != name {
		return store.Snapshot{}, badRequest("the body names " + quote(given.Name) + ", the path another breaker")
	}
	given.Name, given.By = name, by
	*c = given
	if strings.TrimSpace(given.Why) == "" {
		return store.Snapshot{}, badRequest("why is empty; want a reason, which the history will show")
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	result, err := h.store.Command(ctx, given)
	return result.Snapshot, err
}

// who asks for the operator's name.
func (h *Handler) who(r *http.Request) (string, error) {
	if h.operator == nil {
		return "", &refusal{http.StatusForbidden, "this dashboard is read-only", nil}
	}
	by, err := h.operator(r)
	if err == nil {
		err = store.ValidateName(by)
	}
	if err != nil {
		return "", &refusal{http.StatusForbidden, "you may not command here", err}
	}
	return by, nil
}

func readCommand(w http.ResponseWriter, r *http.Request) (c store.Command, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return c, &refusal{http.StatusUnsupportedMediaType, "want Content-Type: application/json", nil}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return c, &refusal{http.StatusRequestEntityTooLarge, "the body is longer than 16 KiB", nil}
		}
		return c, &refusal{http.StatusBadRequest, "the body could not be read", err}
	}
	w.Header().Del("Connection")
	if err := json.Unmarshal(body, &c); err != nil {
		return store.Command{}, badRequest("the body is not a command: " + err.Error())
	}
	return c, nil
}

// deferred holds an answer back until the audit has been told.
type deferred struct {
	header http.Header
	status int
	body   []byte
}

func (d *deferred) Header() http.Header         { return d.header }
func (d *deferred) WriteHeader(status int)      { d.status = status }
func (d *deferred) Write(p []byte) (int, error) { d.body = append(d.body, p...); return len(p), nil }
