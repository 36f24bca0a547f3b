package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/commontrip/commontrip/internal/lab/tier"
)

// mode is how a tier treats calls.
type mode string

const (
	answers mode = "well"
	fails   mode = "503"
	hangs   mode = "hang"
	refuses mode = "refuse"
)

// latencies of the tiers when they are well: from half of it to one and a half.
var latencies = map[string]time.Duration{
	payments: 10 * time.Millisecond, mcp: 8 * time.Millisecond, sdk: 20 * time.Millisecond, rest: 50 * time.Millisecond,
}

// tierServer is a tier that replicas call over HTTP, and that can be broken in the ways that tiers break.
type tierServer struct {
	*tier.Tier
	server *tier.Server
}

func openTier(addr, name string) (*tierServer, error) {
	t := &tierServer{Tier: &tier.Tier{CountsOnly: true}}
	t.slow(latencies[name])
	var err error
	if t.server, err = t.Serve(addr); err != nil {
		return nil, fmt.Errorf("serve %s: %w", name, err)
	}
	return t, nil
}

// become makes calls be treated so from now on.
func (t *tierServer) become(m mode) error {
	if !slices.Contains([]mode{answers, fails, hangs, refuses}, m) {
		return fmt.Errorf("mode is %q; want well, 503, hang or refuse", m)
	}
	t.Fail(map[mode]float64{fails: 1}[m])
	t.Hang(m == hangs)
	if m == refuses {
		t.server.Refuse()
		return nil
	}
	return t.server.Accept()
}

// slow makes calls take about that long.
func (t *tierServer) slow(d time.Duration) { t.Latency(d/2, d+d/2) }

// serveTier is a tier in a container. A mode that is posted to /mode of the control port is taken at once.
func serveTier(ctx context.Context, args []string) error {
	if len(args) != 1 || latencies[args[0]] == 0 {
		return fmt.Errorf("want one of %q", tierNames)
	}
	t, err := openTier(servicePort, args[0])
	if err != nil {
		return err
	}
	defer t.server.Close()
	control := http.NewServeMux()
	control.HandleFunc("POST /mode", t.takeMode)
	return servePart(ctx, controlPort, control)
}

func (t *tierServer) takeMode(w http.ResponseWriter, r *http.Request) {
	word, err := io.ReadAll(io.LimitReader(r.Body, 100))
	if err == nil {
		err = t.become(mode(word))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintln(w, string(word))
}
