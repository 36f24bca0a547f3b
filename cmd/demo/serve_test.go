package main

import (
	"errors"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/tests/await"
)

// TestPartsRefuseWhatTheyCannotBe: a container that starts with the wrong words ends at once, with a sentence.
func TestPartsRefuseWhatTheyCannotBe(t *testing.T) {
	for _, args := range []string{
		"serve-tier", "serve-tier tier9", "serve-replica", "serve-replica tier1_mcp", "serve-replica a=http://x a=http://y", "ask",
		replicaMark,
	} {
		words := strings.Fields(args)
		ctx, cancel := await.WithTimeout(t.Context(), 5*time.Second)
		if err := parts[words[0]](ctx, words[1:]); err == nil || ctx.Err() != nil {
			t.Errorf("demo %s: %v", args, err)
		}
		cancel()
	}
}

// The story of the cluster in containers reads these lines.
func TestAReplicaSaysInWordsWhatItHoldsAndWhatServed(t *testing.T) {
	t.Setenv("MAX_RETRY_ATTEMPTS", "1")
	tier, err := openTier("127.0.0.1:0", mcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.server.Close)
	s, err := newService(t.Context(), serviceSpec{
		Name: "web-1", Tiers: []endpoint{{Name: mcp, URL: tier.server.URL()}}, Timeout: time.Minute,
	}, func(breaker.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.serve(t.Context())
	if got := s.verdict(); got != "web-1 tier1_mcp closed fleet 0 up 1\n" {
		t.Errorf("at first it holds %q", got)
	}
	if err := tier.become(fails); err != nil {
		t.Fatal(err)
	}
	for range 7 { // five trip the breaker
		s.serve(t.Context())
	}
	if got := regexp.MustCompile(`^web-1 tier1_mcp open fleet [1-9]\d+ up 1\n$`); !got.MatchString(s.verdict()) {
		t.Errorf("then it holds %q; want %s", s.verdict(), got)
	}
	s.cut.Store(true)
	if err := s.call(t.Context(), s.spec.Tiers[0], "/"); !errors.Is(err, syscall.ENETUNREACH) || tier.Counts()[""].Calls != 0 {
		t.Errorf("a call by a network that is cut off: %v, and it reached the tier %d times", err, tier.Counts()[""].Calls)
	}
}
