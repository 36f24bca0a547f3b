package machine

// ring holds the marks of the newest calls, two bits a call.
type ring struct {
	bits []byte
	size int // how many it can hold
	next int // where the next one goes
	sum  tally
}

// at is the mark in place i.
func (r *ring) at(i int) mark { return mark(r.bits[i/4]>>(i%4*2)) & (markFailed | markSlow) }

// set puts a mark into place i.
func (r *ring) set(i int, m mark) {
	shift := i % 4 * 2
	r.bits[i/4] = r.bits[i/4]&^(3<<shift) | byte(m)<<shift
}

// push enters a call; the oldest one leaves if the ring is full.
func (r *ring) push(m mark) {
	if r.sum.calls == int64(r.size) {
		gone := tallyOf(r.at(r.next))
		r.sum.calls--
		r.sum.failures -= gone.failures
		r.sum.slow -= gone.slow
	}
	r.set(r.next, m)
	r.sum.add(tallyOf(m))
	if r.next++; r.next == r.size {
		r.next = 0
	}
}

// pushSuccesses enters n plain successes, at a cost of at most the ring's size.
func (r *ring) pushSuccesses(n int) {
	if n >= r.size {
		clear(r.bits)
		r.sum = tally{calls: int64(r.size)}
		return
	}
	for range n {
		r.push(0)
	}
}

// resize keeps the newest calls.
func (r *ring) resize(size int) {
	old := *r
	*r = ring{bits: make([]byte, (size+3)/4), size: size}
	for i := min(int(old.sum.calls), size); i > 0; i-- {
		r.push(old.at((old.next - i + old.size) % old.size))
	}
}

// tally counts all that it holds.
func (r *ring) tally() tally { return r.sum }
