// Package natsstore keeps the fleet's verdict in NATS: in a bucket of JetStream's key-value store, one key a breaker. It is a
// back end of package storekit, and shows how docs/store.md is meant.
//
//	s, err := storekit.New(natsstore.New("nats://nats:4222", "payments-prod"), storekit.WithKind("nats"))
//
// It wants nats-server 2.12 or later, the first that writes several keys atomically.
//
// A step is a compare-and-swap. It reads the keys with their revisions, then asks the server for its clock, and writes
// each with the revision that it saw. If another step was faster, the server stores nothing, and the step begins again. Several
// keys are one atomic batch, which a server alone keeps in a file of its own: that takes a hundred times as long as one key.
//
// The pushes of a step are headers of what it writes. The server sends the headers of all that it stored to plain
// subscribers (RePublish), numbered without a gap. So a Follow knows when it missed one.
package natsstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	storekit "github.com/commontrip/commontrip/store/kit"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	turns         = 64
	gets          = 16 // keys that one request reads at once
	markEvery     = 200 * time.Millisecond
	maxHeader     = 32 << 10 // bytes of pushes in one message's headers; the server takes 64 kB
	pushHeader    = "Commontrip-Push"
	markerHeader  = "Commontrip-Marker"
	connectIn     = 5 * time.Second
	askIn         = 500 * time.Millisecond
	wrongSequence = 10071 // error codes of the server
	wrongInFlight = 10164
	tooManyOpen   = 10210
)

// Backend keeps records in a bucket. Make it with [New].
type Backend struct {
	url, bucket string
	replicas    int
	opts        []nats.Option
	ended       context.Context // by Close
	end         context.CancelFunc

	seed  maphash.Seed
	turns [turns]chan struct{} // each holds one token

	mu     sync.Mutex
	nc     *nats.Conn
	stream jetstream.Stream
	busy   chan struct{} // closed when the attempt to connect is over; nil = none runs
	failed error         // of the last attempt
}

// New makes a Backend on a bucket, which it creates if it is missing. It does no I/O.
func New(url, bucket string, opts ...nats.Option) *Backend {
	b := &Backend{url: url, bucket: bucket, replicas: 1, opts: opts}
	b.seed = maphash.MakeSeed()
	for i := range b.turns {
		b.turns[i] = make(chan struct{}, 1)
	}
	b.ended, b.end = context.WithCancel(context.Background())
	return b
}

// WithReplicas says on how many servers a bucket that is made lives; the default is 1.
func (b *Backend) WithReplicas(n int) *Backend {
	b.replicas = n
	return b
}

// key is a name as a key may be spelled.
func (b *Backend) key(name string) string {
	return b.subject("r." + base64.RawURLEncoding.EncodeToString([]byte(name)))
}

func (b *Backend) subject(key string) string { return "$KV." + b.bucket + "." + key }

// followed is the subject on which Follow hears the headers of all that is stored.
func (b *Backend) followed() string { return "commontrip." + b.bucket + ".>" }

// entry is what stands under a key: a record, or a marker that one was dropped.
type entry struct {
	record   storekit.Record
	dropped  bool
	revision uint64
}

// encode gives a line of JSON, and the data below it, so that "nats kv get" shows something.
func encode(r storekit.Record) ([]byte, error) {
	data := r.Data
	r.Data = nil
	head, err := json.Marshal(r)
	return append(append(head, '\n'), data...), err
}

func decode(m *jetstream.RawStreamMsg) (entry, error) {
	e := entry{revision: m.Sequence, dropped: m.Header.Get("KV-Operation") != ""}
	if e.dropped {
		return e, nil
	}
	head, data, found := bytes.Cut(m.Data, []byte("\n"))
	if !found {
		return e, fmt.Errorf("natsstore: %s holds something else than a record", m.Subject)
	}
	if err := json.Unmarshal(head, &e.record); err != nil {
		return e, fmt.Errorf("natsstore: %s: %w", m.Subject, err)
	}
	e.record.Data = data
	return e, nil
}

// get reads the keys of subjects from the stream's leader.
func get(ctx context.Context, stream jetstream.Stream, subjects []string) (map[string]entry, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu    sync.Mutex
		found = map[string]entry{}
		todo  = make(chan string)
		done  sync.WaitGroup
	)
	for range min(gets, len(subjects)) {
		done.Go(func() {
			for subject := range todo {
				m, err := ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
					return stream.GetLastMsgForSubject(ctx, subject)
				})
				if errors.Is(err, jetstream.ErrMsgNotFound) {
					continue
				}
				var e entry
				if err == nil {
					e, err = decode(m)
				}
				if err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				found[subject] = e
				mu.Unlock()
			}
		})
	}
	for _, subject := range subjects {
		todo <- subject
	}
	close(todo)
	done.Wait()
	return found, context.Cause(ctx)
}

// ask makes a request that changes nothing the second time, again if it gets no answer: a cluster drops what comes while
// a stream has no leader.
func ask[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	for {
		soon, cancel := context.WithTimeout(ctx, askIn)
		answer, err := request(soon)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return answer, err
		}
	}
}

// clock is the clock of the server that leads the stream, in ms.
func clock(ctx context.Context, stream jetstream.Stream) (int64, error) {
	info, err := ask(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) { return stream.Info(ctx) })
	if err != nil {
		return 0, err
	}
	return info.TimeStamp.UnixMilli(), nil
}

// Step implements [storekit.Backend].
func (b *Backend) Step(ctx context.Context, names []string, judge storekit.Judge) error {
	done, err := b.turn(ctx, names)
	if err != nil {
		return err
	}
	defer done()
	for attempt := 0; ; attempt++ {
		start := time.Now()
		again, err := b.try(ctx, names, judge)
		if !again {
			return err
		}
		// One that has lost often waits less than one that comes new, so that nobody waits for ever.
		wait := max(4*time.Since(start)>>attempt, time.Millisecond)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(wait)):
		}
	}
}

// turn waits until no other step of this Backend is about one of the names: of two, one would only go in vain. Names share
// turns, which there are a fixed number of.
func (b *Backend) turn(ctx context.Context, names []string) (done func(), err error) {
	var wanted [turns]bool
	for _, name := range names {
		wanted[maphash.String(b.seed, name)%turns] = true
	}
	var taken []chan struct{}
	done = func() {
		for _, t := range taken {
			<-t
		}
	}
	for i, t := range b.turns { // always in this order, so that no two wait for each other
		if !wanted[i] {
			continue
		}
		select {
		case t <- struct{}{}:
			taken = append(taken, t)
		case <-ctx.Done():
			done()
			return nil, ctx.Err()
		}
	}
	return done, nil
}

func (b *Backend) try(ctx context.Context, names []string, judge storekit.Judge) (again bool, err error) {
	nc, stream, err := b.link(ctx)
	if err != nil {
		return false, err
	}
	defer func() { b.lost(err) }()
	subjects := make([]string, len(names))
	for i, name := range names {
		subjects[i] = b.key(name)
	}
	held, err := get(ctx, stream, subjects)
	if err != nil {
		return false, err
	}
	now, err := clock(ctx, stream) // after the records: a step that came between changed a revision
	if err != nil {
		return false, err
	}
	var records []storekit.Record
	for _, e := range held {
		if !e.dropped {
			records = append(records, e.record)
		}
	}
	effect := judge(now, records)
	// A record that stays as it was is not checked again: judge looks at each name alone.
	if len(effect.Put)+len(effect.Push) == 0 {
		return false, nil
	}
	var batch []*nats.Msg
	for _, r := range effect.Put {
		data, err := encode(r)
		if err != nil {
			return false, err
		}
		m := nats.NewMsg(b.key(r.Name))
		m.Data = data
		m.Header.Set(nats.ExpectedLastSubjSeqHdr, strconv.FormatUint(held[m.Subject].revision, 10))
		batch = append(batch, m)
	}
	return commit(ctx, nc, b.address(batch, effect.Push))
}

// address puts the pushes into headers of the batch: into the last record's as many as fit, the rest into messages of their own.
func (b *Backend) address(batch []*nats.Msg, pushes [][]byte) []*nats.Msg {
	room := 0
	if len(batch) > 0 {
		room = maxHeader
	}
	for _, p := range pushes {
		if room < len(p) || room == 0 {
			batch = append(batch, nats.NewMsg(b.subject("push")))
			room = maxHeader
		}
		batch[len(batch)-1].Header.Add(pushHeader, `"`+string(p)+`"`) // quoted, since blanks around a value are lost
		room -= len(p) + len(pushHeader) + 6
	}
	return batch
}

// commit stores all of the batch or nothing. It says again if a revision was not the one that the batch names.
func commit(ctx context.Context, nc *nats.Conn, batch []*nats.Msg) (again bool, err error) {
	id, last := nuid.Next(), len(batch)-1
	for i, m := range batch {
		if last > 0 {
			m.Header.Set("Nats-Batch-Id", id)
			m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		}
		if i < last {
			if err := nc.PublishMsg(m); err != nil {
				return false, err
			}
		}
	}
	if last > 0 {
		batch[last].Header.Set("Nats-Batch-Commit", "1")
	}
	reply, err := nc.RequestMsgWithContext(ctx, batch[last])
	if err != nil { // a cluster may not have heard yet of a stream that is new; nothing was stored then
		return errors.Is(err, nats.ErrNoResponders), err
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return false, err
	}
	if ack.Error == nil {
		return false, nil
	}
	switch ack.Error.ErrorCode {
	case wrongSequence, wrongInFlight, tooManyOpen:
		return true, ack.Error
	}
	return false, ack.Error
}

// Look implements [storekit.Backend].
func (b *Backend) Look(ctx context.Context, names []string) (now int64, records []storekit.Record, err error) {
	_, stream, err := b.link(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer func() { b.lost(err) }()
	var found map[string]entry
	if len(names) == 0 {
		found, err = b.all(ctx, stream)
	} else {
		subjects := make([]string, len(names))
		for i, name := range names {
			subjects[i] = b.key(name)
		}
		found, err = get(ctx, stream, subjects)
	}
	if err != nil {
		return 0, nil, err
	}
	for _, e := range found {
		if !e.dropped && (e.record.Shown || len(names) > 0) {
			records = append(records, e.record)
		}
	}
	now, err = clock(ctx, stream)
	return now, records, err
}

// all reads every key.
func (b *Backend) all(ctx context.Context, stream jetstream.Stream) (map[string]entry, error) {
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(b.subject("r.>")))
	if err != nil {
		return nil, err
	}
	subjects := make([]string, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		subjects = append(subjects, subject)
	}
	return get(ctx, stream, subjects)
}

// Follow implements [storekit.Backend]. It has a connection of its own, which is not made again: a new one may have missed
// something.
func (b *Backend) Follow(ctx context.Context, ready func(), push func([]byte)) error {
	main, _, err := b.link(ctx)
	if err != nil {
		return err
	}
	nc, err := dial(ctx, b.url, append(b.opts[:len(b.opts):len(b.opts)], nats.NoReconnect())...)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync(b.followed())
	if err != nil {
		return err
	}
	// In a cluster the stream's leader may hear of the subscription late. It has once a marker comes back.
	marker, last := nuid.Next(), uint64(0)
	for last == 0 {
		m := nats.NewMsg(b.subject("push"))
		m.Header.Set(markerHeader, marker)
		soon, cancel := context.WithTimeout(ctx, time.Second)
		_, err := commit(soon, main, []*nats.Msg{m})
		cancel()
		if err != nil {
			b.lost(err)
			return err
		}
		for wait := time.Now().Add(markEvery); last == 0; {
			m, err := sub.NextMsg(time.Until(wait))
			if errors.Is(err, nats.ErrTimeout) {
				break
			}
			if err != nil {
				return err
			}
			if m.Header.Get(markerHeader) == marker {
				last = number(m)
			}
		}
	}
	ready()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		if last++; number(m) != last {
			return nil // one was missed
		}
		for _, message := range m.Header.Values(pushHeader) {
			push([]byte(message[1 : len(message)-1]))
		}
	}
}

// number is that of a message in the stream.
func number(m *nats.Msg) uint64 {
	n, _ := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64) // 0 fits nowhere
	return n
}

// Sweep implements [storekit.Backend]. It deletes the messages that it read, by their number, and no newer ones.
func (b *Backend) Sweep(ctx context.Context, now int64) (err error) {
	_, stream, err := b.link(ctx)
	if err != nil {
		return err
	}
	defer func() { b.lost(err) }()
	found, err := b.all(ctx, stream)
	if err != nil {
		return err
	}
	for _, e := range found {
		if !e.dropped && (e.record.Expires == 0 || e.record.Expires > now) {
			continue
		}
		err := stream.DeleteMsg(ctx, e.revision)
		var refused *jetstream.APIError
		if err != nil && !errors.As(err, &refused) { // what refuses is a message that is gone
			return err
		}
	}
	return nil
}

// Close implements [storekit.Backend].
func (b *Backend) Close() error {
	b.end()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nc != nil {
		b.nc.Close()
	}
	return nil
}

// link gives the connection for requests and the bucket's stream, and makes them at first.
func (b *Backend) link(ctx context.Context) (*nats.Conn, jetstream.Stream, error) {
	b.mu.Lock()
	if b.stream != nil {
		defer b.mu.Unlock()
		return b.nc, b.stream, nil
	}
	busy := b.busy
	if busy == nil {
		busy = make(chan struct{})
		b.busy = busy
		go b.connect(b.nc)
	}
	b.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-busy:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stream == nil {
		return nil, nil, b.failed
	}
	return b.nc, b.stream, nil
}

// connect makes what link gives. It goes on when the request that wanted it has given up: the next one finds it.
func (b *Backend) connect(nc *nats.Conn) {
	ctx, cancel := context.WithTimeout(b.ended, connectIn)
	defer cancel()
	var err error
	if nc == nil {
		nc, err = dial(ctx, b.url, append(b.opts[:len(b.opts):len(b.opts)], nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))...)
	}
	var stream jetstream.Stream
	if err == nil {
		stream, err = b.open(ctx, nc)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if nc != nil && b.ended.Err() != nil {
		nc.Close()
	}
	b.nc, b.stream, b.failed = nc, stream, err
	close(b.busy)
	b.busy = nil
}

// open finds the bucket, or makes it.
func (b *Backend) open(ctx context.Context, nc *nats.Conn) (jetstream.Stream, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := ask(ctx, func(ctx context.Context) (jetstream.Stream, error) {
		found, err := js.Stream(ctx, "KV_"+b.bucket)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return js.CreateStream(ctx, b.config())
		}
		return found, err
	})
	if err != nil {
		return nil, err
	}
	switch c := stream.CachedInfo().Config; { // an older server leaves out what it does not know
	case !c.AllowAtomicPublish || c.RePublish == nil || *c.RePublish != *b.config().RePublish:
		return nil, fmt.Errorf("natsstore: bucket %q was not made by this package, or nats-server is older than 2.12", b.bucket)
	case c.AllowDirect:
		return nil, fmt.Errorf("natsstore: bucket %q allows direct gets, which may show what was", b.bucket)
	}
	return stream, nil
}

// config is that of a key-value bucket, as "nats kv" makes it, but for three things: batches, what Follow hears, and
// all reads by the leader.
func (b *Backend) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               "KV_" + b.bucket,
		Subjects:           []string{b.subject(">")},
		MaxMsgsPerSubject:  1,
		Discard:            jetstream.DiscardNew,
		AllowRollup:        true,
		Replicas:           b.replicas,
		AllowAtomicPublish: true,
		RePublish:          &jetstream.RePublish{Source: b.subject(">"), Destination: b.followed(), HeadersOnly: true},
	}
}

// lost makes the next request look for the bucket again, if it seems to be gone.
func (b *Backend) lost(err error) {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrNoResponders) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.stream = nil
	}
}

// dial connects, and gives up when ctx ends. A connection that carries nothing any more is lost after some 2 s.
func dial(ctx context.Context, url string, opts ...nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	made := make(chan result, 1)
	go func() {
		opts = append([]nats.Option{nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectWait(100 * time.Millisecond)}, opts...)
		nc, err := nats.Connect(url, opts...)
		made <- result{nc, err}
	}()
	select {
	case r := <-made:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-made; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}
