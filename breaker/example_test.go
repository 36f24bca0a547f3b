package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/breaker"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func ExampleNew() {
	users, err := breaker.New("users-api", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fetch := func(context.Context) (string, error) { return "", errors.New("connection reset") }
	for range 3 {
		_, err = breaker.Do(context.Background(), users, fetch)
		fmt.Println(err)
	}
	// Output:
	// connection reset
	// connection reset
	// circuit breaker refuses the call: users-api is open (consecutive-failures)
}

func ExampleDo() {
	users, _ := breaker.New("users-api")
	name, err := breaker.Do(context.Background(), users, func(context.Context) (string, error) { return "Ada", nil })
	fmt.Println(name, err)
	// Output: Ada <nil>
}

func ExampleBreaker_Run() {
	mail, _ := breaker.New("mail", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: 30 * time.Second}))
	_ = mail.Run(context.Background(), func(context.Context) error { return errors.New("421 try again later") })
	err := mail.Run(context.Background(), func(context.Context) error { return nil })
	var open *breaker.OpenError
	if errors.As(err, &open) {
		fmt.Println("resting; ask again in", open.RetryAfter().Round(time.Second))
	}
	// Output: resting; ask again in 30s
}

func ExampleBreaker_Acquire() {
	stream, _ := breaker.New("stream")
	permit, err := stream.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	// the call goes on elsewhere; whoever ends it says how it went
	permit.Done(nil)
	fmt.Println(stream.Status().Totals.Calls)
	// Output: 1
}

// A call in two steps: who takes the permit hands it on with the job, and who does the job ends it.
func ExamplePermit() {
	type job struct {
		permit *breaker.Permit // a pointer, since a Permit must not be copied
		text   string
	}
	mail, _ := breaker.New("mail")
	queue := make(chan job, 1)
	permit, err := mail.Acquire(context.Background())
	if err != nil {
		fmt.Println(err) // refused before anything was queued
		return
	}
	queue <- job{permit: &permit, text: "hello"}

	next := <-queue
	send := func(_ context.Context, text string) error { fmt.Println("sent", text); return nil }
	next.permit.Done(send(next.permit.Context(), next.text))
	fmt.Println(mail.Status().Totals.Calls)
	// Output:
	// sent hello
	// 1
}

// What the code around a breaker does with a refusal needs no breaker to be tested.
func ExampleNewOpenError() {
	status := func(err error) string {
		var open *breaker.OpenError
		if errors.As(err, &open) {
			return fmt.Sprintf("503, Retry-After: %.0f", open.RetryAfter().Seconds())
		}
		return "500"
	}
	refused := breaker.NewOpenError("users-api", breaker.RefusedOpen, 30*time.Second)
	refused.Reason = breaker.ByFailureRate
	fmt.Println(refused)
	fmt.Println(status(fmt.Errorf("users: %w", refused)))
	// Output:
	// circuit breaker refuses the call: users-api is open (failure-rate)
	// 503, Retry-After: 30
}

// A bulkhead of another library says in its own way that it is full. A breaker around it must not take that for the tier's
// failure.
func ExampleAsRefusal() {
	errFull := errors.New("bulkhead is full")
	bulkhead := func(context.Context, func(context.Context) error) error { return errFull }

	users, _ := breaker.New("users-api")
	err := users.Run(context.Background(), func(ctx context.Context) error {
		entered := false
		err := bulkhead(ctx, func(context.Context) error { entered = true; return nil })
		if !entered {
			return breaker.AsRefusal(err)
		}
		return err
	})
	fmt.Println(err, breaker.IsRefusal(err), errors.Is(err, errFull))
	fmt.Println(users.Status().Totals.Failures, users.Status().Totals.Ignored)
	// Output:
	// bulkhead is full true true
	// 0 1
}

func ExampleWithErrorLabels() {
	errNoSeat, errNoPower := errors.New("no seat left in row 7"), errors.New("no power")
	train, _ := breaker.New("train",
		breaker.WithErrorLabels(map[error]string{errNoSeat: "no seat", errNoPower: "no power"}))
	for range 2 {
		_ = train.Run(context.Background(), func(context.Context) error { return fmt.Errorf("book: %w", errNoSeat) })
	}
	s, _ := train.Snapshot(context.Background())
	for _, e := range s.Errors {
		fmt.Println(e.Count, "x", e.Label)
	}
	// Output: 2 x no seat
}

func ExamplePermit_Record() {
	b, _ := breaker.New("tier")
	permit, _ := b.Acquire(context.Background())
	permit.Record(breaker.Ignored) // the call did not take place: the permit is given back
	fmt.Println(b.Status().Totals.Calls, b.Status().Totals.Ignored)
	// Output: 0 1
}

func ExampleNewManager() {
	ctx := context.Background()
	fleet := memorystore.New() // redisstore.Open for more than one process
	defer fleet.Close()
	m, err := breaker.NewManager(fleet, breaker.WithReplica("web-7"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	card, err := m.Register(ctx, "card-network")
	fmt.Println(card.Name(), card.State(), err)
	// Output: card-network closed <nil>
}

func ExampleManager_GetOrRegister() {
	ctx := context.Background()
	m, _ := breaker.NewManager(memorystore.New())
	defer m.Close(ctx)
	a, _ := m.GetOrRegister(ctx, "tenant-1")
	b, _ := m.GetOrRegister(ctx, "tenant-1")
	fmt.Println(a == b, m.Names())
	// Output: true [tenant-1]
}

func ExampleManager_Unregister() {
	ctx := context.Background()
	m, _ := breaker.NewManager(memorystore.New())
	defer m.Close(ctx)
	_, _ = m.Register(ctx, "tenant-1")
	fmt.Println(m.Unregister("tenant-1"), m.Names())
	// Output: <nil> []
}

func ExampleBreaker_Command() {
	ctx := context.Background()
	b, _ := breaker.New("card-network")
	s, err := b.Command(ctx, breaker.Command{Action: breaker.ForceOpen, For: 30 * time.Minute, By: "oncall", Why: "INC-42"})
	fmt.Println(s.Mode, s.ModeNote.By, s.ModeNote.EndsIn, err)
	fmt.Println(b.Run(ctx, func(context.Context) error { return nil }))
	// Output:
	// forced-open oncall 30m0s <nil>
	// circuit breaker refuses the call: card-network is forced-open (operator)
}

func ExampleManager_Command() {
	ctx := context.Background()
	m, _ := breaker.NewManager(memorystore.New())
	defer m.Close(ctx)
	b, _ := m.Register(ctx, "card-network")
	_, err := m.Command(ctx, breaker.Command{Name: "card-network", Action: breaker.Trip, By: "oncall"})
	fmt.Println(b.State(), err)
	fmt.Println(m.Reset(ctx, "card-network"), b.State())
	// Output:
	// open <nil>
	// <nil> closed
}

func ExampleManager_ResetAll() {
	ctx := context.Background()
	m, _ := breaker.NewManager(memorystore.New())
	defer m.Close(ctx)
	b, _ := m.Register(ctx, "card-network")
	_, _ = b.Command(ctx, breaker.Command{Action: breaker.Trip, By: "oncall"})
	fmt.Println(m.ResetAll(ctx), b.State())
	// Output: <nil> closed
}

func ExampleBreaker_Snapshot() {
	ctx := context.Background()
	b, _ := breaker.New("tier")
	_ = b.Run(ctx, func(context.Context) error { return nil })
	s, err := b.Snapshot(ctx)
	fmt.Println(s.State, s.Window.Calls, err)
	// Output: closed 1 <nil>
}

func ExampleManager_Snapshots() {
	ctx := context.Background()
	m, _ := breaker.NewManager(memorystore.New())
	defer m.Close(ctx)
	_, _ = m.Register(ctx, "b")
	_, _ = m.Register(ctx, "a")
	all, err := m.Snapshots(ctx)
	for _, s := range all {
		fmt.Println(s.Name, s.State)
	}
	fmt.Println(err)
	// Output:
	// a closed
	// b closed
	// <nil>
}

func ExampleManager_Sync() {
	ctx := context.Background()
	m, _ := breaker.NewManager(memorystore.New())
	defer m.Close(ctx)
	b, _ := m.Register(ctx, "tier")
	_ = b.Run(ctx, func(context.Context) error { return nil })
	fmt.Println(m.Sync(ctx), "pending:", b.Status().Pending)
	// Output: <nil> pending: 0
}

func ExampleManager_Status() {
	ctx := context.Background()
	m, _ := breaker.NewManager(memorystore.New())
	defer m.Close(ctx)
	_, _ = m.Register(ctx, "tier")
	st := m.Status()
	fmt.Println(st.StoreUp, st.Breakers[0].Name, st.Breakers[0].Verdict)
	// Output: true tier fleet
}

func ExampleWithListener() {
	done := make(chan struct{})
	b, _ := breaker.New("mcp", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 2}),
		breaker.WithErrorLabel(func(error) string { return "timeout" }),
		breaker.WithListener(func(e breaker.Event) {
			fmt.Println(e.Transition.From, "to", e.Transition.To, "because of", e.Transition.Errors)
			close(done)
		}))
	for range 2 {
		_ = b.Run(context.Background(), func(context.Context) error { return errors.New("i/o timeout after 3 s") })
	}
	<-done
	// Output: closed to open because of [{timeout 2}]
}

func ExampleWithIgnore() {
	errNotFound := errors.New("not found")
	b, _ := breaker.New("tier", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}), breaker.WithIgnore(errNotFound))
	_ = b.Run(context.Background(), func(context.Context) error { return fmt.Errorf("user 7: %w", errNotFound) })
	fmt.Println(b.State())
	// Output: closed
}

func ExampleWithClassifier() {
	errBusy := errors.New("busy")
	b, _ := breaker.New("tier", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}),
		breaker.WithClassifier(func(ctx context.Context, err error) breaker.Outcome {
			if errors.Is(err, errBusy) {
				return breaker.Success // it answers, at least
			}
			return breaker.DefaultClassifier(ctx, err)
		}))
	_ = b.Run(context.Background(), func(context.Context) error { return errBusy })
	fmt.Println(b.State())
	// Output: closed
}
