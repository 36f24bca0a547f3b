package respfault

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one connection of a client and the one to the server behind it.
type conn struct {
	p              *Proxy
	client, server *net.TCPConn
	pending        chan *exchange // requests without an answer, in their order; each is here before it is forwarded
	frames         chan frame     // of the server; closed with its connection
	spare          *frame         // a reply that was read before its request was looked at
	writing        sync.Mutex     // to the client

	message atomic.Pointer[frame] // the subscription's confirmation, after which messages are made
	hung    atomic.Bool
	ending  sync.Once
	done    chan struct{}
}

// exchange is a request on its way, and how many replies of the server belong to it.
type exchange struct {
	Request
	rule    Rule
	heals   int // of the Proxy, when the rule was found
	replies int
}

// queued bounds the requests of one connection that wait for an answer.
const queued = 1 << 12

func newConn(p *Proxy, client, server *net.TCPConn) *conn {
	return &conn{
		p: p, client: client, server: server, pending: make(chan *exchange, queued), frames: make(chan frame, 64),
		done: make(chan struct{}),
	}
}

// run returns when the connection has ended and its goroutines have.
func (c *conn) run() {
	var running sync.WaitGroup
	running.Go(func() { c.requests(); c.end(Close) })
	running.Go(func() { c.replies(); c.end(Close) })
	running.Go(func() { // ends with the server's side; what it has read still goes out
		defer close(c.frames)
		r := bufio.NewReaderSize(c.server, 16<<10)
		for {
			f, err := readFrame(r)
			if err != nil {
				return
			}
			select {
			case c.frames <- f:
			case <-c.done:
				return
			}
		}
	})
	running.Wait()
}

// cut ends the connection as the rule of x says.
func (c *conn) cut(x *exchange) {
	if c.wait(x.rule.Wait); x.rule.End == Hang {
		c.p.hang(c, x.heals)
		return
	}
	c.end(x.rule.End)
}

func (c *conn) end(how End) {
	c.ending.Do(func() {
		close(c.done)
		if how == Reset {
			_ = c.client.SetLinger(0)
		}
		_ = c.client.Close()
		_ = c.server.Close()
	})
}

// requests reads the client's commands and forwards them by their rules.
func (c *conn) requests() {
	r := bufio.NewReaderSize(c.client, 64<<10) // a short pipeline comes in one piece
	for place := 1; ; place++ {
		if r.Buffered() == 0 {
			place = 1
		}
		f, err := readFrame(r)
		if err != nil {
			return
		}
		if c.hung.Load() {
			continue
		}
		x := &exchange{Request: newRequest(f.items, place), replies: 1}
		x.rule, x.heals = c.p.rule(x.Request)
		x.at(Arrived)
		switch x.rule.Act {
		case CutBefore:
			c.cut(x)
			continue
		case Twice:
			x.replies = 2
		case Refuse:
			x.replies = 0
		}
		select {
		case c.pending <- x:
		case <-c.done:
			return
		}
		for range x.replies {
			if c.write(c.server, f.raw) != nil {
				break // the server is gone: its end says so, after the replies that it still gave
			}
		}
	}
}

// replies gives the client its answers, in the order of its requests, and messages as they come.
func (c *conn) replies() {
	for {
		select {
		case x := <-c.pending:
			if !c.answer(x) {
				return
			}
		case f, ok := <-c.frames:
			switch {
			case !ok:
				return
			case f.isMessage():
				c.deliver(f)
			case !c.answerBy(f):
				return
			}
		case <-c.done:
			return
		}
	}
}

// answerBy gives the client f, a reply that came before its request was looked at, behind the answers to requests that
// were not forwarded.
func (c *conn) answerBy(f frame) bool {
	c.spare = &f
	for c.spare != nil {
		select {
		case x := <-c.pending:
			if !c.answer(x) {
				return false
			}
		case <-c.done:
			return false
		}
	}
	return true
}

// answer gives the client the reply to x, once the server has; false if the connection has ended.
func (c *conn) answer(x *exchange) bool {
	var reply []byte
	for range x.replies {
		f, ok := c.next()
		if !ok {
			return false
		}
		if f.isConfirmation() {
			c.message.Store(&f)
		}
		reply = f.raw
	}
	if x.replies > 0 {
		x.at(Executed)
	}
	if x.rule.Act == CutAfter {
		if x.rule.Reply != nil {
			_ = c.toClient(x.rule.Reply(x.Request, reply))
		}
		c.cut(x)
		return x.rule.End == Hang
	}
	c.wait(x.rule.Wait)
	if x.rule.Reply != nil {
		reply = x.rule.Reply(x.Request, reply)
	}
	if c.toClient(reply) != nil {
		return false
	}
	x.at(Answered)
	return true
}

// next is the server's next reply. Messages before it are delivered.
func (c *conn) next() (frame, bool) {
	if f := c.spare; f != nil {
		c.spare = nil
		return *f, true
	}
	for {
		select {
		case f, ok := <-c.frames:
			if !ok {
				return frame{}, false
			}
			if !f.isMessage() {
				return f, true
			}
			c.deliver(f)
		case <-c.done:
			return frame{}, false
		}
	}
}

func (c *conn) deliver(f frame) {
	for _, payload := range c.p.passed(f.items[len(f.items)-1]) {
		_ = c.toClient(f.with(payload))
	}
}

func (c *conn) toClient(raw []byte) error {
	if c.hung.Load() {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(c.client, raw)
}

func (c *conn) write(to net.Conn, raw []byte) error {
	n := c.p.slices()
	if n <= 0 {
		n = len(raw)
	}
	for len(raw) > 0 {
		part := raw[:min(n, len(raw))]
		if _, err := to.Write(part); err != nil {
			return err
		}
		raw = raw[len(part):]
	}
	return nil
}

// wait returns early if the connection ends.
func (c *conn) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.done:
	}
}

func (x *exchange) at(point Point) {
	if x.rule.Hook != nil {
		x.rule.Hook(x.Request, point)
	}
}
