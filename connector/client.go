package connector

import (
	"net"
	"net/http"
	"time"
)

const (
	dialLongest = 10 * time.Second // to connect, and once more for TLS
	idleLongest = 90 * time.Second // that a connection is kept for the next call
)

// newClient calls what is not ours: it keeps so many connections, and waits so
// long for the beginning of an answer. It follows no redirect: a signature, and
// what lets a call through, hold for one address.
func newClient(connections int, answer time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: dialLongest, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:   dialLongest,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          connections,
			MaxIdleConnsPerHost:   connections,
			IdleConnTimeout:       idleLongest,
			ResponseHeaderTimeout: answer,
			DisableCompression:    true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
