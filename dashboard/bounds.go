package dashboard

import (
	"net/http"
	"time"
)

// What one client may hold, whatever the limits of the server that the Handler runs in.
const (
	maxBody      = 16 << 10         // bytes of a request's body; the longest valid command is about 2 kB
	bodyPatience = 10 * time.Second // for all of a body to arrive
	sendWithin   = 10 * time.Second // for an answer, or a message of a stream, to be taken
)

// boundBody bounds the time in which a body must have arrived. A server reads to its end what a Handler leaves of a body, and
// it does so before the first word of the answer, unless the connection is to be closed.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience)) // if the server can
	w.Header().Set("Connection", "close")                                           // until the body was read
}

// reply gives a whole answer. What the server still holds of it when the Handler returns is under the same bound. The server
// takes it away before the connection's next request.
func reply(w http.ResponseWriter, status int, body []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendWithin)) // if the server can
	w.WriteHeader(status)
	w.Write(body)
}
