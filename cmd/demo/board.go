package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

// board draws the first half: a row a replica, the fleet's, the tier's.
func (h *fleetHalf) board(i ink) []string {
	lines := []string{i.dim(fmt.Sprintf(" %-10s %7s  %-16s %-6s %7s %7s %8s %7s", "replica", "calls/s", "state", "by", "served", "failed", "refused", "probes"))}
	var all, own count
	for n, t := range h.fleet.look() {
		b, c, a := t.Breakers[tierName], t.Calls[shared], t.Calls[alone]
		lines = append(lines, fmt.Sprintf(" %-10s %7.0f  %s %s %7d %7s %8s %7d",
			h.fleet.members[n].name, h.fleet.members[n].rate, pad(stateText(i, b), 16), pad(byText(i, b, t.StoreUp), 6),
			c.Served, nonZero(i.red, c.failed()), nonZero(i.yellow, c.Refused), c.Probes))
		all, own = all.plus(c), own.plus(a)
	}
	lines = append(lines,
		i.dim(" "+ruler),
		fmt.Sprintf(" %-35s %s %7d %7d %8d %7d", i.bold("the fleet")+strings.Repeat(" ", 26), pad("", 6), all.Served, all.failed(), all.Refused, all.Probes),
		fmt.Sprintf(" %-35s %s %7d %7d %8d %7d", "eight breakers that share nothing", pad("", 6), own.Served, own.failed(), own.Refused, own.Probes),
		fmt.Sprintf(" the tier %s · Redis %s", tierText(i, h.tier.doing()), h.redis.doing(i)))
	return lines
}

// failed counts the calls that went out and came to nothing.
func (c count) failed() int { return c.Unlucky + c.Burnt + c.Cut + c.Foreign }

func (c count) plus(d count) count {
	return count{
		Calls: c.Calls + d.Calls, Served: c.Served + d.Served, Unlucky: c.Unlucky + d.Unlucky, Burnt: c.Burnt + d.Burnt,
		Cut: c.Cut + d.Cut, Refused: c.Refused + d.Refused, Probes: c.Probes + d.Probes, Foreign: c.Foreign + d.Foreign,
		Wait: max(c.Wait, d.Wait), Probing: slices.Concat(c.Probing, d.Probing),
	}
}

func stateText(i ink, b belief) string {
	text := b.State.String()
	if b.Mode != breaker.Auto {
		text = b.Mode.String()
	} else if b.State == breaker.Open && b.RetryAfter > 0 {
		text += fmt.Sprintf(" %.1fs", b.RetryAfter.Seconds())
	}
	switch b.State {
	case breaker.Closed:
		return i.green("● " + text)
	case breaker.Open:
		return i.red("○ " + text)
	default:
		return i.yellow("◐ " + text)
	}
}

// byText says whose verdict rules.
func byText(i ink, b belief, storeUp bool) string {
	switch {
	case b.Own:
		return i.yellow("own")
	case !storeUp:
		return i.yellow("fleet?")
	default:
		return "fleet"
	}
}

func tierText(i ink, m mode) string {
	switch m {
	case answers:
		return i.green(string(m))
	case slow:
		return i.yellow(string(m))
	default:
		return i.red(string(m))
	}
}

func nonZero(paint func(string) string, n int) string {
	text := fmt.Sprintf("%7d", n)
	if n == 0 {
		return text
	}
	return paint(text)
}

// brief is a duration as one reads it: three figures.
func brief(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	default:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
}

// ruler stands above what is summed up.
var ruler = strings.Repeat("─", 77)
