package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/replica"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// startTimeout is Timing's default.
const startTimeout = time.Second

// Replica processes start, several at once, while the fleet's breaker is open, and while their Redis hangs, refuses, wants
// another password, or is empty. They hold the fleet's verdict before their first call, or start on their own in time.
func TestScenario33ReplicasStartLateOrWithADeadStore(t *testing.T) {
	scenario := scoreboard.Start(t, 33, "late start and dead store")
	replicas := scoreboard.Pick(scenario, 4, 16)
	server := redistest.Start(t)
	secret := redistest.Start(t, "--requirepass", "open-sesame")
	config := replica.Config{URL: server.URL(), Breaker: tierName}
	scenario.Report("processes at once", replicas)
	var longest time.Duration
	start := func(what string, config replica.Config) (admitted, broken, alone int) {
		fleet := startAll(t, replicas, config)
		defer func() {
			for _, r := range fleet {
				r.Kill()
			}
		}()
		for _, r := range fleet {
			longest = max(longest, r.Ready().Took)
			if r.Ready().Status.Own {
				alone++
			}
			calls := r.Do(replica.Request{Do: replica.Call, N: 20}).Calls
			admitted, broken = admitted+int(calls.Admitted), broken+int(calls.Broken)
		}
		scenario.Zero(what+": errors to calls", broken)
		return admitted, broken, alone
	}

	config.Timing.StartTimeout = replica.Deadline // a store that is well is waited for, however busy the machine is
	admitted, _, alone := start("empty", config)
	scenario.AtLeast("empty: calls admitted", admitted, 20*replicas)
	scenario.Zero("empty: replicas that started alone", alone)

	command(t, operator(t, server.URL()), store.Command{Action: store.Trip, For: time.Hour})
	admitted, _, alone = start("open", config)
	scenario.Zero("open: calls admitted at start", admitted)
	scenario.Zero("open: replicas that started alone", alone)

	longest = 0
	config.Timing.StartTimeout = startTimeout
	wrong := config
	wrong.URL = "redis://:wrong@" + secret.Addr()
	server.Stop()
	hung := config
	for what, config := range map[string]replica.Config{"hung": hung, "wrong password": wrong} {
		admitted, _, alone = start(what, config)
		scenario.AtLeast(what+": calls admitted by the own verdict", admitted, 20*replicas)
		scenario.AtLeast(what+": replicas that say that they stand alone", alone, replicas)
	}
	server.Cont()
	server.Kill()
	admitted, _, alone = start("refusing", config)
	scenario.AtLeast("refusing: calls admitted by the own verdict", admitted, 20*replicas)
	scenario.AtLeast("refusing: replicas that say that they stand alone", alone, replicas)
	scenario.Within("longest Register with a dead store", longest, startTimeout+100*time.Millisecond)
}

// Very many replicas, here in one process with a client each, start at once with a wrong password, or find a store that hangs.
// Each starts in time, and they do not storm the server with their password.
func TestScenario33VeryManyStartWithAWrongPassword(t *testing.T) {
	scenario := scoreboard.Start(t, 33, "a crowd starts with a wrong password")
	replicas := scoreboard.Pick(scenario, 50, 300) // beyond that one process is busy with logins alone
	secret := redistest.Start(t, "--requirepass", "open-sesame", "--maxclients", "20000")
	scenario.Report("replicas", replicas)
	managers := crowd(t, replicas, "redis://:wrong@"+secret.Addr())
	admin := redis.NewClient(&redis.Options{Addr: secret.Addr(), Password: "open-sesame"})
	defer func() { _ = admin.Close() }()
	took := make([]time.Duration, replicas)
	start := time.Now()
	var starting sync.WaitGroup
	for i, m := range managers {
		starting.Go(func() {
			start := time.Now()
			if _, err := m.Register(t.Context(), tierName); err != nil {
				t.Error(err)
			}
			took[i] = time.Since(start)
		})
	}
	starting.Wait()
	scenario.Report("until all had started", time.Since(start))
	longest, broken := time.Duration(0), 0
	for i, m := range managers {
		longest = max(longest, took[i])
		b, ok := m.Breaker(tierName)
		if !ok || b.Run(t.Context(), func(context.Context) error { return nil }) != nil {
			broken++
		}
	}
	scenario.Zero("calls failed or refused", broken)
	scenario.Within("longest Register", longest, startTimeout+100*time.Millisecond)

	before, since := attempts(t, admin), time.Now()
	pass(scoreboard.Pick(scenario, 3*time.Second, 15*time.Second))
	perSecond := float64(attempts(t, admin)-before) / time.Since(since).Seconds()
	scenario.AtLeast("logins refused a second, of all", int(perSecond), 1)
	scenario.AtMost("logins refused a second, of each", int(perSecond/float64(replicas)), 20)
}

// crowd makes Managers with a store and a client each. All are closed with the test, at once.
func crowd(t *testing.T, n int, url string) []*breaker.Manager {
	t.Helper()
	managers := make([]*breaker.Manager, n)
	for i := range managers {
		s, err := redisstore.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		if managers[i], err = breaker.NewManager(s, breaker.WithReplica(fmt.Sprintf("web-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var closing sync.WaitGroup
		for _, m := range managers {
			closing.Go(func() {
				_ = m.Close(ctx) // nothing can be reported
				_ = m.Store().Close()
			})
		}
		closing.Wait()
	})
	return managers
}

// attempts is how many logins a server has refused.
func attempts(t *testing.T, admin *redis.Client) (n int) {
	t.Helper()
	info, err := admin.Info(t.Context(), "errorstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if count, ok := strings.CutPrefix(line, "errorstat_WRONGPASS:count="); ok {
			if n, err = strconv.Atoi(strings.TrimSpace(count)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}
