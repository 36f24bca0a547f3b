package measure

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// Server is what a Redis server can be asked over.
type Server interface {
	Text(args ...string) (string, error)
}

// Load is what a server has done so far.
type Load struct {
	at      time.Time
	CPU     time.Duration
	In, Out float64 // bytes
	Memory  float64 // bytes, now
	calls   map[string]Command
}

// Command is how often a server ran one command, and how long that took.
type Command struct{ Calls, Micros float64 }

// ReadLoad asks a server what it has done so far.
func ReadLoad(t testing.TB, srv Server) Load {
	t.Helper()
	text, err := srv.Text("INFO", "everything")
	if err != nil {
		t.Fatal(err)
	}
	l := Load{at: time.Now(), calls: map[string]Command{}}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "used_cpu_user", "used_cpu_sys":
			l.CPU += time.Duration(number * float64(time.Second))
		case "total_net_input_bytes":
			l.In = number
		case "total_net_output_bytes":
			l.Out = number
		case "used_memory":
			l.Memory = number
		default:
			if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
				l.calls[command] = commandOf(value)
			}
		}
	}
	return l
}

// commandOf reads calls=1,usec=2,...
func commandOf(stats string) (c Command) {
	for part := range strings.SplitSeq(stats, ",") {
		name, value, _ := strings.Cut(part, "=")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "calls":
			c.Calls = number
		case "usec":
			c.Micros = number
		}
	}
	return c
}

// Work is what a server did between two readings.
type Work struct {
	Wall, CPU time.Duration
	In, Out   float64            // bytes
	Commands  map[string]Command // those of scripts included; without INFO, which is ours
}

// Since tells what the server did since then.
func (l Load) Since(then Load) Work {
	w := Work{Wall: l.at.Sub(then.at), CPU: l.CPU - then.CPU, In: l.In - then.In, Out: l.Out - then.Out, Commands: map[string]Command{}}
	for name, now := range l.calls {
		before := then.calls[name]
		if n := now.Calls - before.Calls; n > 0 && name != "info" {
			w.Commands[name] = Command{Calls: n, Micros: now.Micros - before.Micros}
		}
	}
	return w
}

// Share is the share of one core that the server used.
func (w Work) Share() float64 { return w.CPU.Seconds() / w.Wall.Seconds() }

// Scripts is how many scripts ran, and how long one took by the server's own clock.
func (w Work) Scripts() (n float64, each time.Duration) {
	a, b := w.Commands["evalsha"], w.Commands["eval"]
	n = a.Calls + b.Calls
	if n > 0 {
		each = time.Duration((a.Micros + b.Micros) / n * float64(time.Microsecond))
	}
	return n, each
}

// Count is how many commands ran, those within scripts included.
func (w Work) Count() (n float64) {
	for _, c := range w.Commands {
		n += c.Calls
	}
	return n
}

// PerSecond is n a second.
func (w Work) PerSecond(n float64) float64 { return n / w.Wall.Seconds() }
