package health_test

import (
	"context"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/health"
)

// The model reads the whole history: the last verdict that DownAfter or UpAfter equal results in a row have given.
func TestHealthFollowsTheLastLongEnoughStreak(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := health.Config{DownAfter: rapid.IntRange(1, 4).Draw(rt, "down"), UpAfter: rapid.IntRange(1, 4).Draw(rt, "up")}
		results := rapid.SliceOfN(rapid.Bool(), 1, 40).Draw(rt, "results")
		var f tier
		changes := 0
		m, err := health.New(cfg, []health.Check{{Name: "db", Run: f.check}})
		if err != nil {
			rt.Fatal(err)
		}
		want, streak := health.Unknown, 0
		for i, ok := range results {
			f.answer(nil)
			if !ok {
				f.answer(errTier)
			}
			if streak++; i > 0 && results[i-1] != ok {
				streak = 1
			}
			before := want
			if ok && streak >= cfg.UpAfter {
				want = health.Up
			}
			if !ok && streak >= cfg.DownAfter {
				want = health.Down
			}
			if want != before {
				changes++
			}
			prev, _ := m.Status("db")
			s, err := m.Check(context.Background(), "db")
			if err != nil || s.Health != want || s.Streak != streak || (s.Err == nil) != ok {
				rt.Fatalf("after %v: %+v, %v; want %v, %d", results[:i+1], s, err, want, streak)
			}
			if (s.Since != prev.Since) != (want != before) {
				rt.Fatalf("after %v: Since %v, was %v", results[:i+1], s.Since, prev.Since)
			}
		}
	})
}

func TestASuccessBetweenFailuresStartsTheStreakAnew(t *testing.T) {
	var f tier
	m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: f.check}})
	f.answer(errTier)
	times(t, m, "db", 2)
	f.answer(nil)
	times(t, m, "db", 1)
	wantHealth(t, m, "db", health.Up, 1)
	f.answer(errTier)
	times(t, m, "db", 2)
	wantHealth(t, m, "db", health.Up, 2)
	times(t, m, "db", 1)
	wantHealth(t, m, "db", health.Down, 3)
}

func TestHealthIsTextThatReadsBack(t *testing.T) {
	for h, text := range map[health.Health]string{health.Unknown: `"unknown"`, health.Up: `"up"`, health.Down: `"down"`} {
		b, err := json.Marshal(h)
		var back health.Health
		if err != nil || string(b) != text || json.Unmarshal(b, &back) != nil || back != h {
			t.Errorf("%v: %s, %v, %v", h, b, err, back)
		}
	}
	for _, none := range []health.Health{health.Down + 1, 255} {
		if _, err := json.Marshal(none); err == nil {
			t.Errorf("%v became text", none)
		}
	}
	h := health.Up
	if err := h.UnmarshalText([]byte("UP")); err == nil || h != health.Up {
		t.Errorf("UP was read as %v", h)
	}
	if health.Health(3).String() != "Health(3)" || health.Feed(3).String() != "Feed(3)" {
		t.Error("no text for numbers that mean nothing")
	}
}
