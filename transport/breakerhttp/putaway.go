package breakerhttp

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// What is read of the body of a failed response before it is closed. Error pages are short; what is longer, or slow to come,
// costs the connection.
const (
	maxPutAway    = 64 << 10
	putAwayWithin = 250 * time.Millisecond
)

// errRestDropped is what a reader gets in place of what putAway has not read.
var errRestDropped = errors.New("breakerhttp: the rest of a failed response was dropped when it was checked")

// putAway reads a little of the body, so that the connection can be used again, closes it, and leaves what it has read in
// its place.
func putAway(resp *http.Response) {
	body := resp.Body
	if body == nil || body == http.NoBody {
		return
	}
	if _, done := body.(*keptBody); done {
		return
	}
	tooSlow := time.AfterFunc(putAwayWithin, func() { _ = body.Close() })
	var kept bytes.Buffer
	n, err := io.Copy(&kept, io.LimitReader(body, maxPutAway))
	if err == nil && n == maxPutAway {
		if _, err = body.Read(make([]byte, 1)); err == nil {
			err = errRestDropped
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if !tooSlow.Stop() && err != nil {
		err = errRestDropped
	}
	_ = body.Close() // the status is the news, whatever the body says
	resp.Body = &keptBody{kept: kept.Bytes(), end: err}
}

// keptBody is what was read of a body, and how that ended.
type keptBody struct {
	kept []byte
	end  error // nil: io.EOF
}

func (b *keptBody) Read(p []byte) (int, error) {
	if len(b.kept) == 0 && len(p) > 0 {
		if b.end != nil {
			return 0, b.end
		}
		return 0, io.EOF
	}
	n := copy(p, b.kept)
	b.kept = b.kept[n:]
	return n, nil
}

func (b *keptBody) Close() error { return nil }
