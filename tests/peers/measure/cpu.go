package measure

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is what /proc/stat counts in.
const tick = 10 * time.Millisecond

// Reading is one look at who has used the processors so far.
type Reading struct {
	at    time.Time
	own   time.Duration // this process
	busy  time.Duration // every process of the machine, and what the machine under it took; 0 if it is not told
	steal time.Duration // of that, what the machine under this one took
}

// Read reads the processors' clocks.
func Read() Reading {
	r := Reading{at: time.Now(), own: OwnCPU()}
	r.busy, r.steal = machineCPU()
	return r
}

// OwnCPU is the processor time of this process, user and system.
func OwnCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func machineCPU() (busy, steal time.Duration) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal ...
	if len(fields) < 9 {
		return 0, 0
	}
	for i, field := range fields[1:9] {
		n, _ := strconv.ParseInt(field, 10, 64)
		if i != 3 && i != 4 {
			busy += time.Duration(n) * tick
		}
		if i == 7 {
			steal = time.Duration(n) * tick
		}
	}
	return busy, steal
}

// Use is what happened between two readings.
type Use struct {
	Wall, Own     time.Duration
	Others, Steal time.Duration // Others: processes that are not part of the measurement, and Steal
}

// Since tells what happened since then. With is the processor time of other processes that are part of the measurement.
func (r Reading) Since(then Reading, with time.Duration) Use {
	u := Use{Wall: r.at.Sub(then.at), Own: r.own - then.own, Steal: r.steal - then.steal}
	u.Others = max(r.busy-then.busy-u.Own-with, 0)
	return u
}

// Noise is the share of the machine that others used.
func (u Use) Noise() float64 {
	if u.Wall <= 0 {
		return 0
	}
	return u.Others.Seconds() / (u.Wall.Seconds() * float64(runtime.NumCPU()))
}

// ProcessCPU is the processor time of some processes so far, user and system, their ended children included; 0 if it is not told.
func ProcessCPU(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ") // behind the program's name
		fields := strings.Fields(rest)
		if len(fields) < 15 {
			continue
		}
		for _, field := range fields[11:15] { // utime stime cutime cstime
			n, _ := strconv.ParseInt(field, 10, 64)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}
