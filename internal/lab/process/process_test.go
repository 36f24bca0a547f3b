package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childMark in the environment makes this test binary a child.
const childMark = "COMMONTRIP_LAB_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// child does what it is told, and says "bye" when it is told to end by a signal.
func child() {
	p := NewParent[string, string](os.Stdin, os.Stdout)
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-terminated
		_ = p.Say("bye")
		os.Exit(0)
	}()
	release := make(chan bool)
	_ = p.Say("hello")
	fmt.Fprintln(os.Stderr, "a line of the log")
	err := p.Obey(func(q string) (string, error) {
		switch q {
		case "wait":
			<-release
		case "release":
			close(release)
		case "fail":
			return "", errors.New("as it was told")
		case "babble":
			fmt.Println("no JSON")
		case "crash":
			os.Exit(3)
		}
		return strings.ToUpper(q), nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(t *testing.T) (*Child[string, string], <-chan string) {
	t.Helper()
	heard := make(chan string, 10)
	c, err := Start[string, string](Spec{
		Name: "child", Path: os.Args[0], Env: append(os.Environ(), childMark+"=1"), Apart: true,
	}, func(s string) { heard <- s })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	if s := <-heard; s != "hello" {
		t.Fatalf("it begins with %q", s)
	}
	return c, heard
}

func TestQuestionsAreAnsweredInAnyOrder(t *testing.T) {
	c, _ := start(t)
	waits := c.Send("wait")
	if a, err := c.Ask(t.Context(), "quick"); a != "QUICK" || err != nil {
		t.Errorf("%q, %v", a, err)
	}
	if _, err := c.Ask(t.Context(), "fail"); err == nil || !strings.Contains(err.Error(), "child: as it was told") {
		t.Errorf("%v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ask(over, "wait"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := c.Ask(t.Context(), "release"); err != nil {
		t.Error(err)
	}
	if a, err := waits(t.Context()); a != "WAIT" || err != nil {
		t.Errorf("%q, %v", a, err)
	}
	if c.Fault() != nil {
		t.Error(c.Fault())
	}
	if _, err := c.Ask(t.Context(), "babble"); err != nil || c.Fault() == nil {
		t.Errorf("%v, fault %v", err, c.Fault())
	}
}

func TestAChildEndsWithItsInputOrByASignalOrByItself(t *testing.T) {
	for name, end := range map[string]func(c *Child[string, string]){
		"input":  func(c *Child[string, string]) { c.End(time.Hour) },
		"kill":   func(c *Child[string, string]) { c.Kill() },
		"crash":  func(c *Child[string, string]) { c.Send("crash") },
		"signal": func(c *Child[string, string]) { _ = c.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			c, heard := start(t)
			waits := c.Send("wait")
			if _, err := c.Ask(t.Context(), "quick"); err != nil { // the first question has arrived, too
				t.Fatal(err)
			}
			end(c)
			if _, err := waits(t.Context()); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "a line of the log") {
				t.Errorf("a question that was not answered: %v", err)
			}
			<-c.Ended()
			if _, err := c.Ask(t.Context(), "quick"); !errors.Is(err, ErrEnded) {
				t.Errorf("a question to one that has ended: %v", err)
			}
			if name == "signal" && <-heard != "bye" {
				t.Error("its last word is not heard")
			}
			c.Kill() // nothing to do
		})
	}
}

// An answer that came before the end is given, though the end is known, too.
func TestTheLastWordIsHeard(t *testing.T) {
	read, write := io.Pipe()
	go func() { _, _ = io.Copy(io.Discard, read) }()
	defer write.Close()
	c := &Child[string, string]{cmd: &exec.Cmd{}, in: write, ended: make(chan struct{}), waiting: map[int]chan message[string]{}}
	close(c.ended)
	for range 50 { // a select among two that are ready takes either
		answer := c.Send("quick")
		c.waiting[c.asked] <- message[string]{Body: "QUICK"}
		if a, err := answer(t.Context()); a != "QUICK" || err != nil {
			t.Fatalf("%q, %v", a, err)
		}
	}
}

// One that does not end with its input is killed.
func TestAChildThatDoesNotEndIsKilled(t *testing.T) {
	c, _ := start(t)
	if runtime.GOOS == "windows" {
		t.Skip("no SIGSTOP")
	}
	if err := c.Halt(); err != nil {
		t.Fatal(err)
	}
	c.End(time.Millisecond)
}

func TestAHaltedChildGoesOn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGSTOP")
	}
	c, _ := start(t)
	if err := c.Halt(); err != nil {
		t.Fatal(err)
	}
	answer := c.Send("quick")
	if err := c.Go(); err != nil {
		t.Fatal(err)
	}
	if a, err := answer(t.Context()); a != "QUICK" || err != nil {
		t.Errorf("%q, %v", a, err)
	}
}

func TestAProgramThatIsMissingIsSaidToBe(t *testing.T) {
	if _, err := Start[string, string](Spec{Name: "child", Path: "/no/such/program"}, nil); err == nil {
		t.Error("it started")
	}
}

func TestTheLogKeepsItsEndAndGoesElsewhereToo(t *testing.T) {
	var all strings.Builder
	log := tail{also: &all}
	for range 1000 {
		fmt.Fprintln(&log, "0123456789")
	}
	if got := log.String(); len(got) != tailSize || !strings.HasSuffix(all.String(), got) || all.Len() != 11_000 {
		t.Errorf("it kept %d of %d bytes", len(got), all.Len())
	}
}
