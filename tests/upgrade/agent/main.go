// Command agent is one replica under load, for the tests of package upgrade. It is built in an old release, too, and so uses only
// what that has. It speaks as package internal/lab/process does, which an old release lacks: a line of its input is a
// question, and its answer is what the agent then sees; it says what it sees unasked, too.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// sight is what an agent sees.
type sight struct {
	State, Mode, Verdict string
	StoreUp              bool
	Calls, Lost          uint64 // of steady
	Pending              int
	Heard                map[string]int // events by kind
}

// message is a line of the protocol; id is a question's, and its answer's.
type message struct {
	ID    int             `json:"id,omitempty"`
	Body  json.RawMessage `json:"body"`
	Error string          `json:"error,omitempty"`
}

var errTier = errors.New("the tier failed")

func main() {
	url := flag.String("url", "", "of the store")
	name := flag.String("name", "", "of the replica")
	flag.Parse()
	if err := run(*url, *name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(url, name string) error {
	s, err := redisstore.Open(url, redisstore.WithPrefix("upgrade"))
	if err != nil {
		return err
	}
	defer s.Close()
	var (
		mu      sync.Mutex
		see     = sight{Heard: map[string]int{}}
		failing atomic.Bool
	)
	m, err := breaker.NewManager(s, breaker.WithReplica(name),
		breaker.WithPolicy(breaker.Policy{
			WindowCalls: 50, FailureRate: 0.5, MinCalls: 10, Reporters: 1, OpenFor: 500 * time.Millisecond, ProbeSuccesses: 2,
		}),
		// A machine under load is not an outage.
		breaker.WithTiming(breaker.Timing{StaleAfter: 20 * time.Second, StartTimeout: 20 * time.Second}),
		breaker.WithListener(func(e breaker.Event) {
			mu.Lock()
			defer mu.Unlock()
			see.Heard[e.Kind.String()]++
		}))
	if err != nil {
		return err
	}
	ctx := context.Background()
	b, err := m.Register(ctx, "tier")
	if err != nil {
		return err
	}
	steady, err := m.Register(ctx, "steady") // of which every outcome counts
	if err != nil {
		return err
	}

	load, stop := context.WithCancel(ctx)
	defer stop()
	var callers sync.WaitGroup
	for range 4 {
		callers.Add(1)
		go func() {
			defer callers.Done()
			tick := time.NewTicker(4 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-load.Done():
					return
				}
				_ = steady.Run(ctx, func(context.Context) error { return nil })
				_ = b.Run(ctx, func(context.Context) error {
					if failing.Load() {
						return errTier
					}
					return nil
				})
			}
		}()
	}

	out := json.NewEncoder(os.Stdout)
	tell := func(id int, err error) {
		mu.Lock()
		defer mu.Unlock()
		st := b.Status()
		see.State, see.Mode, see.Verdict, see.StoreUp = st.State.String(), st.Mode.String(), st.Verdict.String(), m.Status().StoreUp
		counted := steady.Status()
		see.Calls, see.Lost, see.Pending = counted.Totals.Calls, counted.Lost, counted.Pending
		m := message{ID: id}
		m.Body, _ = json.Marshal(see)
		if err != nil {
			m.Error = err.Error()
		}
		_ = out.Encode(m)
	}
	questions := make(chan message)
	go func() {
		defer close(questions)
		for in := json.NewDecoder(os.Stdin); ; {
			var q message
			if in.Decode(&q) != nil {
				return
			}
			questions <- q
		}
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var q message
		more := true
		select {
		case <-tick.C:
			tell(0, nil)
			continue
		case q, more = <-questions:
		}
		var line string
		err := json.Unmarshal(q.Body, &line)
		switch word, rest, _ := strings.Cut(line, " "); {
		case !more:
			return nil
		case word == "quit":
			stop()
			callers.Wait()
			ended, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			tell(q.ID, m.Close(ended))
			return nil
		case word == "fail":
			failing.Store(true)
		case word == "ok":
			failing.Store(false)
		case word == "history":
			var history []store.Transition
			if history, err = s.History(ctx, "tier", 0); err == nil && len(history) == 0 {
				err = errors.New("the history is empty")
			}
		case word == "command":
			var a breaker.Action
			if err = a.UnmarshalText([]byte(rest)); err == nil {
				c := breaker.Command{Action: a, By: name}
				if a == breaker.Retune {
					c.Policy = breaker.Policy{WindowCalls: 40, FailureRate: 0.5, MinCalls: 10, OpenFor: 400 * time.Millisecond}
				}
				_, err = b.Command(ctx, c)
			}
		}
		tell(q.ID, err)
	}
}
