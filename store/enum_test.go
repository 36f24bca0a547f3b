package store_test

import (
	"encoding"
	"errors"
	"fmt"
	"testing"

	"github.com/commontrip/commontrip/store"
)

func TestTexts(t *testing.T) {
	for _, c := range []struct {
		value encoding.TextMarshaler
		into  encoding.TextUnmarshaler
		text  string
	}{
		{store.Closed, new(store.State), "closed"},
		{store.Open, new(store.State), "open"},
		{store.HalfOpen, new(store.State), "half-open"},
		{store.Auto, new(store.Mode), "auto"},
		{store.ForcedOpen, new(store.Mode), "forced-open"},
		{store.ForcedClosed, new(store.Mode), "forced-closed"},
		{store.Success, new(store.Outcome), "success"},
		{store.Failure, new(store.Outcome), "failure"},
		{store.Ignored, new(store.Outcome), "ignored"},
		{store.ForceOpen, new(store.Action), "force-open"},
		{store.ForceClosed, new(store.Action), "force-closed"},
		{store.Lift, new(store.Action), "lift"},
		{store.Trip, new(store.Action), "trip"},
		{store.Reset, new(store.Action), "reset"},
		{store.Retune, new(store.Action), "retune"},
		{store.Restore, new(store.Action), "restore"},
	} {
		text, err := c.value.MarshalText()
		if err != nil || string(text) != c.text || fmt.Sprint(c.value) != c.text {
			t.Errorf("%v: text %q, error %v; want %q", c.value, text, err, c.text)
		}
		if err := c.into.UnmarshalText([]byte(c.text)); err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
		if got, err := c.into.(encoding.TextMarshaler).MarshalText(); err != nil || string(got) != c.text {
			t.Errorf("%q comes back as %q, %v", c.text, got, err)
		}
		if err := c.into.UnmarshalText([]byte("CLOSED ")); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("an unknown text: got %v, want ErrInvalid", err)
		}
	}
}

func TestZeroValues(t *testing.T) {
	for _, v := range []bool{
		store.State(0) == store.Closed, store.Mode(0) == store.Auto,
		store.Outcome(0) != store.Success, store.Action(0) != store.ForceOpen,
	} {
		if !v {
			t.Error("the zero State is Closed, the zero Mode Auto; the zero Outcome and Action are none")
		}
	}
}

func TestUnknownValuesHaveNoText(t *testing.T) {
	for want, v := range map[string]encoding.TextMarshaler{
		"State(3)": store.State(3), "Mode(9)": store.Mode(9), "Outcome(4)": store.Outcome(4), "Action(255)": store.Action(255),
	} {
		if _, err := v.MarshalText(); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: got %v, want ErrInvalid", v, err)
		}
		if got := fmt.Sprint(v); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := fmt.Sprint(store.Outcome(0), store.Action(0)); got != "Outcome(0) Action(0)" {
		t.Errorf("zero values print as %q", got)
	}
}

func TestEffectiveGoesModeObserveState(t *testing.T) {
	observe := store.Policy{Observe: true}
	for _, c := range []struct {
		s    store.Snapshot
		want store.State
	}{
		{store.Snapshot{}, store.Closed},
		{store.Snapshot{State: store.Open}, store.Open},
		{store.Snapshot{State: store.HalfOpen}, store.HalfOpen},
		{store.Snapshot{State: store.Open, Policy: observe}, store.Closed},
		{store.Snapshot{State: store.HalfOpen, Policy: observe}, store.Closed},
		{store.Snapshot{Mode: store.ForcedOpen}, store.Open},
		{store.Snapshot{Mode: store.ForcedOpen, Policy: observe}, store.Open},
		{store.Snapshot{Mode: store.ForcedClosed, State: store.Open}, store.Closed},
	} {
		if got := c.s.Effective(); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.s, got, c.want)
		}
	}
}
