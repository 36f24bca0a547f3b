package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	postgresstore "github.com/commontrip/commontrip/store/postgres"
)

func (a *app) migrate() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Make the tables of a store in PostgreSQL, or bring them up to date", Args: noName, GroupID: "act",
		Long: "Makes the tables that this release needs in the database of a postgres:// URL, or adds to older ones what is missing, all\n" +
			"of it or nothing. Done twice, it changes nothing the second time. Older releases go on with the new tables: migrate\n" +
			"first, then deploy. The URL's user must be allowed to create a schema. What a service's own user needs is less, and\n" +
			"stands in deploy/postgres-rights.sql. A store in Redis has no tables.\n\n" +
			"JSON: {\"from\": version before, \"to\": version after}; 0 is none.",
		RunE: func(c *cobra.Command, _ []string) error {
			set, err := a.settings()
			if err != nil {
				return err
			}
			if !isPostgres(set.url.value) {
				return misuse("only a store in PostgreSQL has tables; the URL (%s) is of another kind: want postgres://...", set.url.from)
			}
			ctx, cancel := context.WithTimeout(c.Context(), a.flags.timeout)
			defer cancel()
			from, to, err := postgresstore.Migrate(ctx, set.url.value)
			if err != nil {
				return ran(err)
			}
			if a.flags.json {
				return a.writeJSON(map[string]int{"from": from, "to": to})
			}
			if from >= to {
				fmt.Fprintf(a.out, "the tables are at version %d already; nothing was changed\n", from)
			} else {
				fmt.Fprintf(a.out, "the tables are at version %d now; they were at %d\n", to, from)
			}
			return nil
		},
	}
}
