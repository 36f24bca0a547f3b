package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// tierModes are the words by which a tier in a container is broken and mended.
var tierModes = map[string]mode{"well": answers, "503": fails, "hang": hangs, "refuse": refuses}

// serveTier is a tier: NAME says which. A mode that is posted to /mode of the control port is taken at once.
func serveTier(ctx context.Context, args []string) error {
	if len(args) != 1 || latencies[args[0]] == 0 {
		return fmt.Errorf("want one of %q", tierNames)
	}
	t := &tier{
		spec: tierSpec{Latency: latencies[args[0]]}, mode: answers, latency: latencies[args[0]],
		counts: map[string]*tierCount{}, addr: servicePort,
	}
	if err := t.listen(); err != nil {
		return err
	}
	control := http.NewServeMux()
	control.HandleFunc("GET /healthz", well)
	control.HandleFunc("POST /mode", t.takeMode)
	return errors.Join(listenUntil(ctx, controlPort, control), t.server.Close())
}

func (t *tier) takeMode(w http.ResponseWriter, r *http.Request) {
	word, err := io.ReadAll(io.LimitReader(r.Body, 100))
	m, known := tierModes[string(word)]
	if err != nil || !known {
		http.Error(w, fmt.Sprintf("mode is %q; want well, 503, hang or refuse", word), http.StatusBadRequest)
		return
	}
	if err := t.behave(m, time.Duration(0)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprintln(w, m)
}
