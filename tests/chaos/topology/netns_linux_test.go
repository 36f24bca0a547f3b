package topology

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/commontrip/commontrip/internal/lab/relay"
	"github.com/commontrip/commontrip/tests/redistest"
)

// namespace is a redis-server in a network namespace of its own, with two addresses there, so that what goes to one of them
// can be cut, lost or slowed down by the kernel. The namespace has no name: it ends with the processes in it, whatever
// becomes of the test.
type namespace struct {
	*redistest.Server
	t            *testing.T
	holder       int // a process in the namespace
	link         string
	near, remote string // host:port
}

// startNamespace skips if namespaces, ip or nft are missing, or fails if REQUIRE_NETNS=1.
func startNamespace(t *testing.T) *namespace {
	t.Helper()
	refuse := func(hint string) {
		t.Helper()
		if os.Getenv("REQUIRE_NETNS") == "1" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	if path := os.Getenv("PATH"); !strings.Contains(path, "/usr/sbin") {
		t.Setenv("PATH", path+":/usr/sbin:/sbin")
	}
	for tool, from := range map[string]string{"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux"} {
		if _, err := exec.LookPath(tool); err != nil {
			refuse(tool + " is not in PATH; get it with: apt-get install " + from)
		}
	}
	holder := exec.Command("cat") // reads until this process is gone
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		refuse("no right to make a network namespace (root has it): " + err.Error())
	}
	t.Cleanup(func() { end(t, in, holder) })

	s := &namespace{t: t, holder: holder.Process.Pid, link: fmt.Sprintf("ct%d", holder.Process.Pid)}
	// Of the range for tests of networks (RFC 2544), eight addresses by the process.
	base, last := s.holder/32%256, s.holder%32*8
	address := func(n int) string { return fmt.Sprintf("198.18.%d.%d", base, last+n) }
	s.run("ip", "link", "add", s.link, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(s.holder))
	s.run("ip", "addr", "add", address(1)+"/29", "dev", s.link)
	s.run("ip", "link", "set", s.link, "up")
	s.inside("ip", "addr", "add", address(2)+"/29", "dev", "eth0")
	s.inside("ip", "addr", "add", address(3)+"/29", "dev", "eth0")
	s.inside("ip", "link", "set", "eth0", "up")
	s.Server = redistest.Host{IP: address(2), Via: s.enter()}.Start(t, "--bind", "0.0.0.0", "--protected-mode", "no")
	s.near = s.Addr()
	s.remote = strings.Replace(s.near, address(2), address(3), 1)
	return s
}

func end(t *testing.T, in io.Closer, holder *exec.Cmd) {
	_ = in.Close()
	if err := holder.Wait(); err != nil {
		t.Error(err)
	}
}

func (s *namespace) enter() []string {
	return []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", s.holder)}
}

func (s *namespace) run(args ...string) []byte {
	s.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

// inside runs a command in the namespace.
func (s *namespace) inside(args ...string) []byte {
	s.t.Helper()
	return s.run(append(s.enter(), args...)...)
}

// rules replaces what the namespace does with packets of each way; an empty rule lets all pass.
func (s *namespace) rules(in, out string) {
	s.t.Helper()
	s.inside("nft", fmt.Sprintf("add table ip faults; delete table ip faults; add table ip faults; "+
		"add chain ip faults in { type filter hook input priority 0; }; "+
		"add chain ip faults out { type filter hook output priority 0; }; %s%s",
		rule("in", in), rule("out", out)))
}

func rule(chain, text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("add rule ip faults %s %s; ", chain, text)
}

// cut drops what goes to the remote address, or comes from it.
func (s *namespace) cut(ways relay.Way) {
	s.t.Helper()
	host, _, _ := strings.Cut(s.remote, ":")
	var in, out string
	if ways&relay.Requests != 0 {
		in = "ip daddr " + host + " drop"
	}
	if ways&relay.Replies != 0 {
		out = "ip saddr " + host + " drop"
	}
	s.rules(in, out)
}

// lose drops a share of the packets of each way, in percent.
func (s *namespace) lose(percent int) {
	s.t.Helper()
	text := fmt.Sprintf("numgen random mod 100 < %d counter drop", percent)
	s.rules(text, text)
}

// dropped counts the packets that lose has dropped.
func (s *namespace) dropped() (sum int) {
	s.t.Helper()
	for _, found := range packets.FindAllSubmatch(s.inside("nft", "list", "table", "ip", "faults"), -1) {
		n, _ := strconv.Atoi(string(found[1]))
		sum += n
	}
	return sum
}

var packets = regexp.MustCompile(`counter packets (\d+)`)

// thin limits what goes each way to 256 kbit/s. It says whether the kernel can.
func (s *namespace) thin() bool {
	s.t.Helper()
	limit := []string{"root", "tbf", "rate", "256kbit", "burst", "8kb", "latency", "400ms"}
	if exec.Command("tc", append([]string{"qdisc", "add", "dev", s.link}, limit...)...).Run() != nil {
		return false
	}
	s.inside(append([]string{"tc", "qdisc", "add", "dev", "eth0"}, limit...)...)
	return true
}

// wide ends thin.
func (s *namespace) wide() {
	s.t.Helper()
	s.run("tc", "qdisc", "del", "dev", s.link, "root")
	s.inside("tc", "qdisc", "del", "dev", "eth0", "root")
}
