package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

func (a *app) remove() *cobra.Command {
	var yes bool
	var o order
	c := &cobra.Command{
		Use: "remove NAME", Short: "Forget a breaker that nobody uses any more", Args: oneName, ValidArgsFunction: a.completeName,
		Long: "Forgets a breaker: state, window, history, standing commands. It asks before; --yes answers, and must be given if\n" +
			"nobody can answer. A replica that still uses the name makes the breaker again with its next report. The name's numbers\n" +
			"are remembered for 24 h, so that nothing old can come back, and in Redis as long who removed it and why: a command for a name\n" +
			"that is gone says so.\n\n" +
			"JSON: {\"removed\": name, \"by\": who}; it needs --yes.",
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	o.declare(c, action{})
	// The question may take its time; each exchange is bounded by itself.
	c.RunE = a.long(func(ctx context.Context, s fleet, args []string) error {
		if !yes && (!a.asks || a.flags.json) {
			return misuse("remove asks before it forgets, and nobody can answer here: give --yes")
		}
		by := a.signature(o.by)
		x, err := bounded(ctx, a, func(ctx context.Context) (string, error) {
			x, err := read(ctx, s, args[0])
			return fmt.Sprintf("%s is %s; %d replicas report on it", quote(x.Name), stateOf(x), x.Replicas), err
		})
		if errors.Is(err, store.ErrUnknown) { // its name may still be listed
			_, left := bounded(ctx, a, func(ctx context.Context) (any, error) { return nil, s.Remove(ctx, args[0]) })
			return errOr(left, err)
		}
		if err != nil {
			return err
		}
		if !yes {
			fmt.Fprintf(a.err, "%s. Forget it, with its history, as %s? [y/N] ", x, quote(by))
			if agreed, err := a.answer(ctx); err != nil || !agreed {
				return errOr(err, errDeclined)
			}
		}
		signs, kept := s.(signer)
		_, err = bounded(ctx, a, func(ctx context.Context) (any, error) {
			if kept {
				return nil, signs.RemoveAs(ctx, args[0], by, o.why)
			}
			return nil, s.Remove(ctx, args[0])
		})
		if err != nil {
			return err
		}
		if a.flags.json {
			return a.writeJSON(map[string]string{"removed": args[0], "by": by})
		}
		fmt.Fprintf(a.out, "%s: removed %s\n", quote(args[0]), signed(store.Note{By: by, Why: o.why}))
		if !kept {
			fmt.Fprintln(a.err, "commontrip: this kind of store does not keep who removed a breaker")
		}
		return nil
	})
	return c
}

// signer is a store that keeps for a day who removed a breaker, and why.
type signer interface {
	RemoveAs(ctx context.Context, name, by, why string) error
	Removed(ctx context.Context, name string) (store.Note, error)
}

// answer reads a line and says whether it is a yes. What ends ctx ends the wait.
func (a *app) answer(ctx context.Context) (bool, error) {
	line := make(chan string, 1)
	go func() { // it ends with the line, or with the process
		text, _ := bufio.NewReader(a.in).ReadString('\n')
		line <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case text := <-line:
		return text == "y" || text == "yes", nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// bounded runs one exchange within --timeout.
func bounded[T any](ctx context.Context, a *app, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, a.flags.timeout)
	defer cancel()
	return do(ctx)
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
