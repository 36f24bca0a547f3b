package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

// unknown is the error of a name that is not there: it says what else may have been meant. A store that gives no more
// answers adds nothing.
func (a *app) unknown(ctx context.Context, s fleet, name string) error {
	ctx, cancel := context.WithTimeout(ctx, min(a.patience, a.flags.timeout))
	defer cancel()
	text := quote(name)
	if kept, ok := s.(signer); ok {
		if removed, err := kept.Removed(ctx, name); err == nil && removed.By != "" {
			text += ", removed " + signed(removed) + ", " + a.moment(removed.At)
		}
	}
	snapshots, err := s.Read(ctx)
	near := nearest(name, snapshots)
	switch {
	case len(near) > 0:
		text += "; did you mean " + quoteAll(near) + "?"
	case len(snapshots) > 0 || err != nil:
		text += "; commontrip list shows all"
	default:
		text += "; " + a.nobody(ctx)
	}
	return fmt.Errorf("%w: %s", store.ErrUnknown, text)
}

// nearest gives the names that name may be a slip for, at most five. They are found as cobra finds commands.
func nearest(name string, snapshots []store.Snapshot) []string {
	const blank, other = " ", "\x00" // cobra's names end at a blank
	root := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, s := range snapshots {
		root.AddCommand(&cobra.Command{Use: strings.ReplaceAll(s.Name, blank, other), Run: func(*cobra.Command, []string) {}})
	}
	near := root.SuggestionsFor(strings.ReplaceAll(name, blank, other))
	for i := range near {
		near[i] = strings.ReplaceAll(near[i], other, blank)
	}
	return near[:min(len(near), 5)]
}

// nobody says that there are no breakers under the prefix, and under which ones there are.
func (a *app) nobody(ctx context.Context) string {
	text := fmt.Sprintf("no breakers under the prefix %s (%s)", quote(a.set.prefix.value), a.set.prefix.from)
	if others := a.prefixes(ctx); len(others) > 0 {
		return text + "; there are some under " + quoteAll(others) + ": see --prefix"
	}
	return text + " yet: a replica makes one when it registers it"
}

// prefixes finds the name spaces in the store that hold breakers, as far as this user may look and patience lasts.
func (a *app) prefixes(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, min(a.patience, a.flags.timeout))
	defer cancel()
	if isPostgres(a.set.url.value) {
		return prefixesInPostgres(ctx, a.set.url.value)
	}
	client, err := dial(a.set.url.value, a.flags.timeout)
	if err != nil {
		return nil
	}
	defer client.Close()
	nodes, _ := nodesOf(ctx, client)
	var found []string
	for _, n := range nodes {
		keys := n.client.ScanType(ctx, 0, "*:names", 1000, "set").Iterator()
		for keys.Next(ctx) {
			prefix := strings.TrimSuffix(keys.Val(), ":names")
			if !slices.Contains(found, prefix) && holdsBreakers(ctx, client, prefix) {
				found = append(found, prefix)
			}
		}
	}
	slices.Sort(found)
	return found
}

// holdsBreakers says whether one of some names of the index is a breaker's: anybody's set may be called so.
func holdsBreakers(ctx context.Context, client redis.UniversalClient, prefix string) bool {
	for _, name := range client.SRandMemberN(ctx, prefix+":names", 8).Val() {
		if client.HExists(ctx, keyOf(prefix, name), "generation").Val() {
			return true
		}
	}
	return false
}

// keyOf is where the store keeps a breaker; the name is a hash tag, and cannot end it.
func keyOf(prefix, name string) string {
	return prefix + ":{" + strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D").Replace(name) + "}"
}

// tellAbsent says which of the names that watch was given are not there yet, or that there are none at all.
func (a *app) tellAbsent(ctx context.Context, w *watch, s fleet) {
	for _, name := range w.only {
		if _, there := w.seen[name]; !there && !isUnreadable(w.unread) {
			fmt.Fprintln(a.err, "commontrip: "+a.hide(a.unknown(ctx, s, name).Error())+"; still watching")
		}
	}
	if len(w.only) == 0 && len(w.seen) == 0 && w.unread == nil {
		fmt.Fprintln(a.err, "commontrip: "+a.hide(a.nobody(ctx))+"; still watching")
	}
}
