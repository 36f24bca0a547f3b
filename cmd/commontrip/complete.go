package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

// completeName completes the name of one breaker.
func (a *app) completeName(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeNames(c, args, "")
}

// completeNames completes names that are not given yet. Without a store there are none: a shell has no place for errors.
func (a *app) completeNames(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, s := range a.known(c) {
		if !slices.Contains(args, s.Name) {
			out = append(out, cobra.CompletionWithDesc(s.Name, stateOf(s)))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeFields completes a name, then "field=" for those that are not given yet.
func (a *app) completeFields(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeNames(c, args, "")
	}
	var inForce *store.Policy
	for _, s := range a.known(c) {
		if s.Name == args[0] {
			inForce = &s.Policy
		}
	}
	var out []cobra.Completion
	for _, f := range policyFields {
		if slices.ContainsFunc(args[1:], func(arg string) bool { return len(arg) > len(f.name) && arg[:len(f.name)+1] == f.name+"=" }) {
			continue
		}
		if inForce == nil {
			out = append(out, f.name+"=")
		} else {
			out = append(out, cobra.CompletionWithDesc(f.name+"=", "now "+f.format(*inForce)))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (a *app) known(c *cobra.Command) []store.Snapshot {
	set, err := a.settings()
	if err != nil {
		return nil
	}
	s, err := a.open(set)
	if err != nil {
		return nil
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(c.Context(), min(a.patience, a.flags.timeout))
	defer cancel()
	snapshots, _ := s.Read(ctx) // those that can be read
	return snapshots
}
