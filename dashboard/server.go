package dashboard

import (
	"net/http"
	"time"
)

// NewServer makes a server of h with limits that fit a page with live streams: a client must send the head of a request
// within 5 s, at most 16 KiB of it, and all of the request within 30 s; a connection may be idle for two minutes. It sets no
// WriteTimeout, which would end streams: a Handler bounds each of its writes. A program that serves the page with a server of
// its own wants the like, since Go's default has none of them.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}
