// Command commontrip is the operator's command line: it shows the breakers of a fleet, follows them, and commands them.
// It speaks to the store and to no replica, so that it works while the service does not; it reports nothing and counts as
// no replica.
//
//	export COMMONTRIP_URL=redis://redis:6379 COMMONTRIP_PREFIX=payments-prod
//	commontrip list
//	commontrip force-open card-network --why INC-42
//	commontrip lift card-network
//	commontrip doctor
//
// docs/cli.md has every command with its flags, the sources of URL and prefix, and the exit codes. What scripts need is the
// same everywhere: --json for the store's one JSON form on standard output, errors on standard error, the exit code.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	redisstore "github.com/commontrip/commontrip/store/redis"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	redisstore.LogClient(nil) // each command says itself what failed, without the password
	code := (&app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, zone: time.Local, who: systemUser,
		asks: isTerminal(os.Stdin), colours: isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		patience: time.Second,
	}).run(ctx, os.Args[1:])
	cancel()
	os.Exit(code)
}
