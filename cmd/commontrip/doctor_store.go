package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

const (
	pings     = 5
	slowTrip  = 20 * time.Millisecond // a fifth of what a probe's claim may take
	driftNote = time.Second
)

// checkWay measures the way to the store. Everything else needs it.
func (d *doctor) checkWay(ctx context.Context) bool {
	trips := make([]time.Duration, 0, pings)
	for range pings {
		begun := time.Now()
		if err := d.server.ping(ctx); err != nil {
			d.say(problem, "way", err.Error(), adviceFor(err))
			return false
		}
		trips = append(trips, time.Since(begun))
	}
	slices.Sort(trips)
	if median := trips[pings/2]; median > slowTrip {
		d.say(note, "way", fmt.Sprintf("a round trip takes more than %v: %s", slowTrip, span(median)),
			"run the store near its replicas: a probe is given up if its claim takes 100ms")
	} else {
		d.say(fine, "way", fmt.Sprintf("a round trip takes less than %v", slowTrip), "")
	}
	return true
}

// adviceFor says what to do about a store that cannot be asked.
func adviceFor(err error) string {
	if advice := adviceForPostgres(err); advice != "" {
		return advice
	}
	switch text := err.Error(); {
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "NOAUTH"):
		return "put user and password that the server knows into the URL"
	case rightOf(err) != noRight:
		return "give the user the rights of deploy/redis-users.acl"
	case unknownCommand(err):
		return renamed
	case strings.Contains(text, "OOM "):
		return "give the server more memory, or move what else lies there: breakers need little, and none may be evicted"
	case strings.Contains(text, "READONLY"):
		return "this is a replica: ask the master, or let Sentinels name it in the URL"
	case strings.Contains(text, "NOREPLICAS"):
		return "the master wants replicas that it does not have: start them, or lower min-replicas-to-write"
	case strings.Contains(text, "CLUSTERDOWN"):
		return "slots of the Cluster are without a node: see CLUSTER INFO"
	case strings.Contains(text, "no such host"):
		return "check the host in the URL"
	case strings.Contains(text, "refused TLS"):
		return "the server speaks no TLS: let it, or put sslmode=disable into the URL if nobody can listen on the way"
	case strings.Contains(text, "refused"):
		return "check host and port in the URL, and that the server runs"
	case strings.Contains(text, "timeout"), errors.Is(err, context.DeadlineExceeded):
		return "check the network and the server's load, or give a longer --timeout"
	default:
		return "check the URL, TLS included (rediss://, sslmode=), and the server's log"
	}
}

// sayClock tells how far a server's clock is from this machine's.
func (d *doctor) sayClock(server string, offset time.Duration) {
	word := "ahead"
	if offset < 0 {
		word = "behind"
	}
	if offset.Abs() > driftNote {
		d.say(note, "clock", fmt.Sprintf("%s: %s %s of this machine's", server, span(offset.Abs()), word),
			"set both by NTP; breakers go by the server's clock alone, but times shown here differ")
	} else {
		d.say(fine, "clock", fmt.Sprintf("%s: within %v of this machine's", server, driftNote), "")
	}
}

const scratchName = "check"

// scratchPrefix is a name space of the doctor's own.
func (d *doctor) scratchPrefix() string {
	return d.set.prefix.value + ":doctor-" + strings.ToLower(rand.Text()[:8])
}

// tryVerbs does with a breaker of a store all that replicas and operators do. It gives the first verb that fails.
func tryVerbs(ctx context.Context, s store.Store) (verb string, err error) {
	const who = "doctor#check"
	steps := []struct {
		name string
		do   func() error
	}{
		{"sync", func() error {
			return s.Sync(ctx, []store.Report{{
				Name: scratchName, Replica: who, Seq: 1, MaxAge: time.Minute, Runs: []store.Run{{Outcome: store.Success, Count: 1}},
			}})[0].Err
		}},
		{"command", func() error {
			_, err := s.Command(ctx, store.Command{Name: scratchName, Action: store.Trip, For: time.Hour, By: who})
			return err
		}},
		{"claim", func() error {
			_, err := s.Claim(ctx, store.Claim{Name: scratchName, ID: "check", Replica: who, Want: 1})
			return err
		}},
		{"settle", func() error {
			_, err := s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: scratchName, ID: "none", Generation: 1}, Replica: who, Outcome: store.Ignored})
			return err
		}},
		{"read", func() error {
			x, err := read(ctx, s, scratchName)
			if err == nil && x.State != store.Open {
				err = fmt.Errorf("a tripped breaker reads %v", x.State)
			}
			return err
		}},
		{"remove", func() error { return s.Remove(ctx, scratchName) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return step.name, err
		}
	}
	return "", nil
}

// sayEcho tells how long a message over the fleet's channel took.
func (d *doctor) sayEcho(took time.Duration) {
	if took > slowTrip {
		d.say(note, "push", "the echo took "+span(took), "see the server's load, or run it nearer to its replicas")
	} else {
		d.say(fine, "push", fmt.Sprintf("the echo took less than %v", slowTrip), "")
	}
}

// lateNews is what a fleet without pushes has to live with.
const lateNews = "replicas learn of transitions only by their next exchange (1s if a breaker is in use): "
