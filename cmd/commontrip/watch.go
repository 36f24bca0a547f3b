package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

func (a *app) watch() *cobra.Command {
	return &cobra.Command{
		Use: "watch [NAME...]", Short: "Transitions and commands as they happen", ValidArgsFunction: a.completeNames,
		Long: "Shows how the breakers are, then each transition and command as it is pushed, of the breakers named or of all, until\n" +
			"Ctrl-C. A lost connection is made again; what was missed is then shown as how the breaker is now. A breaker that cannot be\n" +
			"read is named on standard error; if there is one at the end, the exit code is 6.\n\n" +
			"JSON: one object a line, {\"snapshot\"} for how a breaker is, {\"transition\", \"snapshot\"} for what happened.",
		RunE: a.long(func(ctx context.Context, s fleet, args []string) error {
			for _, name := range args {
				if err := store.ValidateName(name); err != nil {
					return err
				}
			}
			w := &watch{app: a, store: s, only: args, seen: map[string]store.Version{}}
			if err := w.catchUp(ctx); err != nil { // a store that is away at the start is said so
				return err
			}
			a.tellAbsent(ctx, w, s)
			deaf := time.AfterFunc(a.flags.timeout, func() {
				fmt.Fprintln(a.err, "commontrip: the store lets nobody listen yet, still trying; commontrip doctor may tell why")
			})
			defer deaf.Stop()
			err := s.Watch(ctx, func(e store.Event) {
				deaf.Stop()
				w.tell(ctx, e)
			})
			if errors.Is(err, context.Canceled) {
				return w.unread
			}
			return err
		}),
	}
}

// watch follows a fleet. Its methods are called one after the other.
type watch struct {
	app    *app
	store  store.Store
	only   []string                 // none: all
	seen   map[string]store.Version // what was last told of each breaker
	behind bool                     // catching up failed
	unread error                    // the breakers that could not be read at the last catching up; nil = none
}

// eventJSON is one line of the JSON form.
type eventJSON struct {
	Transition *store.Transition `json:"transition,omitempty"`
	Snapshot   store.Snapshot    `json:"snapshot"`
}

func (w *watch) tell(ctx context.Context, e store.Event) {
	if e.Resync || w.behind {
		err := w.catchUp(ctx)
		if w.behind = err != nil; w.behind && ctx.Err() == nil {
			fmt.Fprintln(w.app.err, "commontrip: "+w.app.hide(err.Error())+"; what was missed is shown later")
		}
	}
	if e.Resync || len(w.only) > 0 && !slices.Contains(w.only, e.Transition.Name) || !w.advance(versionOf(e.Transition)) {
		return
	}
	if w.app.flags.json {
		w.line(eventJSON{&e.Transition, e.Snapshot})
		return
	}
	fmt.Fprintf(w.app.out, "%s  %s  %s  %s\n", w.app.moment(e.Transition.At), quote(e.Transition.Name),
		w.app.paint(inkOf(e.Snapshot), left(e.Transition).text), e.Transition.Sentence())
}

// catchUp tells how those breakers are of which something was missed.
func (w *watch) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.app.flags.timeout)
	defer cancel()
	snapshots, err := w.store.Read(ctx, w.only...)
	if err != nil && !isUnreadable(err) {
		return err
	}
	if text := unreadableText(err); text != unreadableText(w.unread) && text != "" {
		fmt.Fprintln(w.app.err, "commontrip: "+w.app.hide(text))
	}
	w.unread = err
	for _, s := range snapshots {
		if !w.advance(store.Version{Name: s.Name, Generation: s.Generation, Rev: s.Rev}) {
			continue
		}
		if w.app.flags.json {
			w.line(eventJSON{nil, s})
			continue
		}
		text := fmt.Sprintf("%s  %s  is %s for %s", w.app.moment(s.Clock()), quote(s.Name), w.app.paint(inkOf(s), stateOf(s)), span(s.Age))
		if remark := w.app.remark(s, nil, nil); remark != "" {
			text += "  " + remark
		}
		fmt.Fprintln(w.app.out, text)
	}
	return nil
}

// advance notes v, and says whether it is news.
func (w *watch) advance(v store.Version) bool {
	last, known := w.seen[v.Name]
	if known && v.Generation <= last.Generation && v.Rev <= last.Rev {
		return false
	}
	w.seen[v.Name] = store.Version{Name: v.Name, Generation: max(v.Generation, last.Generation), Rev: max(v.Rev, last.Rev)}
	return true
}

func versionOf(t store.Transition) store.Version {
	return store.Version{Name: t.Name, Generation: t.Generation, Rev: t.Rev}
}

func (w *watch) line(e eventJSON) {
	text, err := json.Marshal(e)
	if err == nil {
		fmt.Fprintf(w.app.out, "%s\n", text)
	}
}
