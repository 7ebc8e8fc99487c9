package provenance

import (
	"bufio"
	"net"
	"net/http"
)

// response counts what passes and keeps the id header the watchdog's own, even
// where a function relays another function's headers.
type response struct {
	http.ResponseWriter
	id       string
	status   int
	bytes    int64
	hijacked bool
	returned bool // the handler came back without a panic
}

func (w *response) WriteHeader(status int) {
	w.Header().Set(ResponseHeader, w.id)
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(data)
	w.bytes += int64(n)
	return n, err
}

func (w *response) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection to the handler (an upgraded protocol): bytes are
// then no longer counted.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.hijacked = true
		w.status = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter {
	return w.ResponseWriter
}
