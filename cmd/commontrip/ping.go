package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

// ping is the health check of a container that serves the page, in an image that has no other client.
func (a *app) ping() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use: "ping", Short: "Ask the page on this machine whether it answers", Args: noName, ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Asks the page that dashboard serves on this machine whether it answers, within --timeout: the health check of a\n" +
			"container. It asks no store, since the page answers while the store is away.",
	}
	c.Flags().StringVar(&listen, "listen", defaultListen, "the `address` that dashboard was given")
	c.RunE = func(c *cobra.Command, _ []string) error {
		address, err := loopback(listen)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), a.flags.timeout)
		defer cancel()
		return ran(answers(ctx, "http://"+address+"/"))
	}
	return c
}

// answers wants 200 of a URL.
func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return fmt.Errorf("the page does not answer: %v", err) //nolint:errorlint // a time-out here is not the store's
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the page answers %s", resp.Status)
	}
	return nil
}
