package redisstore

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/tests/await"
)

// The client wrote a raw line to standard error for each dial that failed, several a second while Redis was away.
func TestTheClientsLinesComeOnceAMinuteAKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		l := &clientLog{fn: func(line string) { lines = append(lines, line) }, kinds: map[string]*logKind{}}
		say := func(seconds int, format string, values ...any) {
			for range seconds * 10 {
				l.Printf(t.Context(), format, values...)
				time.Sleep(100 * time.Millisecond)
			}
		}
		say(1, "dial %s failed\n", "redis:6379")
		l.Printf(t.Context(), "sentinel %q is away", "m")
		say(60, "dial %s failed\n", "redis:6379")
		want := []string{
			"dial redis:6379 failed", `sentinel "m" is away`, "dial redis:6379 failed (599 more like it since the last one)",
		}
		if fmt.Sprintf("%q", lines) != fmt.Sprintf("%q", want) {
			t.Errorf("%q; want %q", lines, want)
		}
	})
}

func TestTheClientsKindsAreBounded(t *testing.T) {
	told := 0
	l := &clientLog{fn: func(string) { told++ }, kinds: map[string]*logKind{}}
	for i := range 10 * logKinds {
		l.Printf(t.Context(), "kind "+strconv.Itoa(i)+" of %d", i)
	}
	if len(l.kinds) > logKinds+1 || told != logKinds+1 {
		t.Errorf("%d kinds are kept and %d told; want at most %d of each", len(l.kinds), told, logKinds+1)
	}
}

func TestADialThatFailsIsALineOfTheProgramsOwnLog(t *testing.T) {
	defer LogClient(nil) // as the other tests of this package
	var mu sync.Mutex
	var lines []string
	LogClient(func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	})
	s, err := Open("redis://:s3cret-word@127.0.0.1:1?pool_size=1", WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	await.Until(t, "a line of the client's", func() bool {
		if s.Ping(t.Context()) == nil {
			t.Fatal("a server answers at port 1")
		}
		mu.Lock()
		defer mu.Unlock()
		return len(lines) > 0
	})
	mu.Lock()
	defer mu.Unlock()
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "127.0.0.1:1") || strings.Contains(all, "s3cret-word") {
		t.Errorf("%s; want the address and no password", all)
	}
}

func TestNobodyNeedsToListenToTheClient(t *testing.T) {
	(&clientLog{}).Printf(t.Context(), "dial %s failed", "redis:6379")
}
