package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// metrics are the three that OpenFaaS documents, in Prometheus' text format:
// http_requests_total, http_request_duration_seconds, http_requests_in_flight.
// Written here rather than with the Prometheus client because that samples the
// process from /proc, which would stand in every recording of the container.
type metrics struct {
	inFlight atomic.Int64

	mu     sync.Mutex
	series map[seriesKey]*series
}

type seriesKey struct{ code, method string }

type series struct {
	count   uint64
	sum     float64
	buckets [len(bounds)]uint64 // not cumulative
}

// The client library's default buckets, in seconds.
var bounds = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics() *metrics {
	return &metrics{series: make(map[seriesKey]*series)}
}

func (m *metrics) observe(code int, method string, elapsed time.Duration) {
	seconds := elapsed.Seconds()
	key := seriesKey{strconv.Itoa(code), methodLabel(method)}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.series[key]
	if s == nil {
		s = &series{}
		m.series[key] = s
	}
	s.count++
	s.sum += seconds
	if i := sort.SearchFloat64s(bounds[:], seconds); i < len(bounds) {
		s.buckets[i]++
	}
}

// methodLabel bounds the number of series: a client may send any word.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE":
		return method
	}
	return "unknown"
}

func (m *metrics) write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]seriesKey, 0, len(m.series))
	for key := range m.series {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].code+keys[i].method < keys[j].code+keys[j].method
	})
	fmt.Fprint(w, "# HELP http_requests_in_flight requests being served\n# TYPE http_requests_in_flight gauge\n")
	fmt.Fprintf(w, "http_requests_in_flight %d\n", m.inFlight.Load())
	fmt.Fprint(w, "# HELP http_requests_total requests served\n# TYPE http_requests_total counter\n")
	for _, key := range keys {
		fmt.Fprintf(w, "http_requests_total{code=%q,method=%q} %d\n", key.code, key.method, m.series[key].count)
	}
	const name = "http_request_duration_seconds"
	fmt.Fprintf(w, "# HELP %s seconds spent on a request\n# TYPE %s histogram\n", name, name)
	for _, key := range keys {
		s, total := m.series[key], uint64(0)
		for i, bound := range bounds {
			total += s.buckets[i]
			fmt.Fprintf(w, "%s_bucket{code=%q,method=%q,le=\"%g\"} %d\n", name, key.code, key.method, bound, total)
		}
		fmt.Fprintf(w, "%s_bucket{code=%q,method=%q,le=\"+Inf\"} %d\n", name, key.code, key.method, s.count)
		fmt.Fprintf(w, "%s_sum{code=%q,method=%q} %g\n", name, key.code, key.method, s.sum)
		fmt.Fprintf(w, "%s_count{code=%q,method=%q} %d\n", name, key.code, key.method, s.count)
	}
}

// serve answers /metrics on a port of its own.  A port that is taken is logged
// and costs no more than the metrics.
func (m *metrics) serve(port int) (stop func()) {
	if port == 0 {
		return func() {}
	}
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		slog.Error("no metrics", "error", err)
		return func() {}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		m.write(w)
	})
	web := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go web.Serve(listener)
	return func() { web.Shutdown(context.Background()) }
}
