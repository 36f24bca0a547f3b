package redisstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// eachServer runs a test on a store in Redis, and on one in the fake of it.
func eachServer(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("redis", func(t *testing.T) { test(t, openOn(t, redistest.Start(t).URL())) })
	t.Run("miniredis", func(t *testing.T) { test(t, openOn(t, "redis://"+miniredis.RunT(t).Addr())) })
}

// calledBy makes a breaker by the report of a call by each replica.
func calledBy(t *testing.T, s *Store, name string, replicas ...string) {
	t.Helper()
	for _, replica := range replicas {
		r := store.Report{
			Name: name, Replica: replica, Seq: 1, MaxAge: time.Minute, Policy: store.FleetPolicy(),
			Runs: []store.Run{{Outcome: store.Success, Count: 1}},
		}
		if err := s.Sync(t.Context(), []store.Report{r})[0].Err; err != nil {
			t.Fatal(err)
		}
	}
}

// A key of another kind under one breaker's name made every read of all breakers fail.
func TestAKeyOfAnotherKindHidesNoOtherBreaker(t *testing.T) {
	eachServer(t, func(t *testing.T, s *Store) {
		calledBy(t, s, "good", "web-1#a")
		calledBy(t, s, "spoilt", "web-1#a")
		if err := s.client.Set(t.Context(), s.keys.breaker("spoilt"), "not a hash", 0).Err(); err != nil {
			t.Fatal(err)
		}
		snapshots, err := s.Read(t.Context())
		bad, ok := errors.AsType[*store.UnreadableError](err)
		if !ok || !slices.Equal(bad.Names, []string{"spoilt"}) || len(snapshots) != 1 || snapshots[0].Name != "good" {
			t.Errorf("%v, %v; want good read and spoilt named", snapshots, err)
		}
		versions, err := s.Versions(t.Context(), "good", "spoilt")
		if err != nil || len(versions) != 1 || versions[0].Name != "good" {
			t.Errorf("%v, %v; want the version of good alone", versions, err)
		}
		rosters, err := s.Rosters(t.Context(), "good", "spoilt")
		bad, ok = errors.AsType[*store.UnreadableError](err)
		if !ok || !slices.Equal(bad.Names, []string{"spoilt"}) || len(rosters["good"]) != 1 {
			t.Errorf("%v, %v; want the roster of good, and spoilt named", rosters, err)
		}
		histories, err := s.Histories(t.Context(), 0, "good", "spoilt")
		bad, ok = errors.AsType[*store.UnreadableError](err)
		if _, there := histories["good"]; !ok || !slices.Equal(bad.Names, []string{"spoilt"}) || !there || len(histories) != 1 {
			t.Errorf("%v, %v; want the history of good, and spoilt named", histories, err)
		}
		for what, read := range map[string]func() error{
			"Roster":  func() error { _, err := s.Roster(t.Context(), "spoilt"); return err },
			"History": func() error { _, err := s.History(t.Context(), "spoilt", 0); return err },
		} {
			if _, ok := errors.AsType[*ReplyError](read()); !ok {
				t.Errorf("%s: %v; want a ReplyError", what, read())
			}
		}
	})
}

func TestRostersAndHistoriesOfManyAreThoseOfEach(t *testing.T) {
	eachServer(t, func(t *testing.T, s *Store) {
		var names []string
		for i := range wholeBatch + 5 {
			names = append(names, fmt.Sprint("tier-", i))
			calledBy(t, s, names[i], []string{"web-1#a", "web-2#b"}[:2-i%2]...)
		}
		rosters, err := s.Rosters(t.Context(), append(names, "nobody's")...)
		if err != nil || len(rosters) != len(names) {
			t.Fatalf("%d rosters, %v; want %d", len(rosters), err, len(names))
		}
		for i, name := range names {
			if want := 2 - i%2; len(rosters[name]) != want {
				t.Errorf("%s has %v; want %d replicas", name, rosters[name], want)
			}
		}
		one, err := s.Roster(t.Context(), names[0])
		if err != nil || !slices.EqualFunc(one, rosters[names[0]], func(a, b store.Replica) bool { return a.Name == b.Name }) {
			t.Errorf("%v, %v; want %v", one, err, rosters[names[0]])
		}
		if _, err := s.Command(t.Context(), store.Command{Name: names[3], Action: store.Trip, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
		histories, err := s.Histories(t.Context(), 1, append(names, "nobody's")...)
		if err != nil || len(histories) != len(names) || len(histories[names[0]]) != 0 || len(histories[names[3]]) != 1 || histories[names[3]][0].Action != store.Trip {
			t.Errorf("%d histories, %v, that of %s is %v; want %d", len(histories), err, names[3], histories[names[3]], len(names))
		}
	})
}
