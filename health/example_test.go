package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/commontrip/commontrip/health"
)

func ping(context.Context) error { return nil }

func refused(context.Context) error { return errors.New("connection refused") }

func Example() {
	ctx := context.Background()
	m, err := health.New(health.Config{DownAfter: 2}, []health.Check{{Name: "mcp", Run: refused}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = m.Close(ctx) }()
	mcpUp, err := m.Guard("mcp")
	if err != nil {
		panic(err)
	}
	call := func(context.Context) error { fmt.Println("calling mcp"); return nil }

	fmt.Println(mcpUp.Run(ctx, call)) // unknown: admitted
	for range 2 {
		_, _ = m.Check(ctx, "mcp") // what Start does in the background
	}
	fmt.Println(mcpUp.Run(ctx, call))
	// Output:
	// calling mcp
	// <nil>
	// health: mcp: tier is down
}

func ExampleNew() {
	_, err := health.New(health.Config{}, []health.Check{
		{Name: "mcp", Run: ping},
		{Name: "sdk", Run: ping, Interval: time.Minute, Timeout: -time.Second},
	})
	fmt.Println(err)
	// Output: health: check "sdk": Timeout is -1s; want 1ms..24h, or 0 for the monitor's
}

func ExampleConfig_WithDefaults() {
	c := health.Config{DownAfter: 5}.WithDefaults()
	fmt.Println(c.Interval, c.Timeout, c.DownAfter, c.UpAfter)
	// Output: 30s 10s 5 1
}

func ExampleConfig_Validate() {
	fmt.Println(health.Config{UpAfter: -1}.Validate())
	// Output: health: UpAfter is -1; want 1..1000, or 0 for 1
}

func ExampleMonitor_Start() {
	up := make(chan struct{})
	m, err := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: ping}},
		health.WithListener(func(s health.Status) {
			fmt.Println(s.Name, "is", s.Health)
			close(up)
		}))
	if err != nil {
		panic(err)
	}
	err = m.Start()
	<-up
	fmt.Println(err)
	fmt.Println(m.Start())
	fmt.Println(m.Close(context.Background()))
	// Output:
	// mcp is up
	// <nil>
	// health: the monitor was started before
	// <nil>
}

func ExampleMonitor_Close() {
	m, _ := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: ping}})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(m.Close(ctx))
	_, err := m.Check(ctx, "mcp")
	fmt.Println(err)
	fmt.Println(m.Start()) // begins again
	fmt.Println(m.Close(ctx))
	// Output:
	// <nil>
	// health: the monitor is closed
	// <nil>
	// <nil>
}

func ExampleMonitor_Add() {
	m, _ := health.New(health.Config{}, nil)
	_ = m.Start()
	defer func() { _ = m.Close(context.Background()) }()
	_ = m.Add(health.Check{Name: "shard-7", Run: ping}) // it runs from now on
	s, err := m.Check(context.Background(), "shard-7")
	fmt.Println(s.Name, s.Health, err)
	fmt.Println(m.Remove(context.Background(), "shard-7"))
	_, known := m.Status("shard-7")
	fmt.Println(known)
	// Output:
	// shard-7 up <nil>
	// <nil>
	// false
}

func ExampleWithListener() {
	m, _ := health.New(health.Config{DownAfter: 1}, []health.Check{{Name: "mcp", Run: refused}},
		health.WithListener(func(s health.Status) { fmt.Println(s.Name, s.Health, s.Err) }))
	for range 3 {
		_, _ = m.Check(context.Background(), "mcp")
	}
	_ = m.Close(context.Background()) // waits for listeners
	// Output: mcp down connection refused
}

func ExampleMonitor_Check() {
	m, _ := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: ping}})
	s, err := m.Check(context.Background(), "mcp")
	fmt.Println(s.Health, s.Streak, err)
	_, err = m.Check(context.Background(), "mpc")
	fmt.Println(err)
	// Output:
	// up 1 <nil>
	// health: no such check: "mpc"
}

func ExampleMonitor_Status() {
	m, _ := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: ping}})
	s, ok := m.Status("mcp")
	fmt.Println(s.Health, ok)
	// Output: unknown true
}

func ExampleMonitor_All() {
	m, _ := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: ping}, {Name: "sdk", Run: refused}})
	_, _ = m.Check(context.Background(), "mcp")
	for _, s := range m.All() {
		fmt.Println(s.Name, s.Health)
	}
	// Output:
	// mcp up
	// sdk unknown
}

func ExampleMonitor_Guard() {
	m, _ := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: ping}})
	_, err := m.Guard("mpc")
	fmt.Println(err)
	// Output: health: no such check: "mpc"
}

func ExampleGuard_Run() {
	ctx := context.Background()
	m, _ := health.New(health.Config{DownAfter: 1}, []health.Check{{Name: "mcp", Run: refused}})
	_, _ = m.Check(ctx, "mcp")
	mcpUp, _ := m.Guard("mcp")
	err := mcpUp.Run(ctx, func(context.Context) error { return nil })
	var down *health.DownError
	if errors.As(err, &down) {
		fmt.Println(down.Name, "is down; next check within", down.RetryAfter())
	}
	fmt.Println(errors.Is(err, health.ErrDown))
	// Output:
	// mcp is down; next check within 30s
	// true
}

func ExampleMonitor_Handler() {
	m, _ := health.New(health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: refused}, {Name: "mcp", Run: refused}})
	_, _ = m.Check(context.Background(), "db")
	get := func(h http.Handler) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		var body struct {
			Ready         bool
			Down, Unknown []string
		}
		_ = json.Unmarshal(w.Body.Bytes(), &body)
		fmt.Println(w.Code, body.Ready, body.Down, body.Unknown)
	}
	get(m.Handler())            // alive
	get(m.Handler("mcp"))       // not ready: nobody has seen mcp work
	get(m.Handler("db", "mcp")) // not ready
	// Output:
	// 200 true [] []
	// 503 false [] [mcp]
	// 503 false [db] [mcp]
}
