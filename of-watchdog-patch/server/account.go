package server

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"faasprov/watchdog/executor"
)

// account counts each request and prints its line.
func (s *Server) account(next http.Handler) http.Handler {
	logger := log.New(os.Stderr, "", log.LstdFlags)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &counting{ResponseWriter: w}
		s.metrics.inFlight.Add(1)
		defer func() { // also when a handler breaks its connection off
			elapsed := time.Since(start)
			s.metrics.inFlight.Add(-1)
			s.metrics.observe(c.status, r.Method, elapsed)
			if !strings.HasPrefix(r.UserAgent(), "kube-probe") {
				logger.Print(accessLine(r, c, elapsed, s.config.LogCallID))
			}
		}()
		next.ServeHTTP(c, r)
		if c.status == 0 {
			c.status = http.StatusOK
		}
	})
}

// accessLine has the form that OpenFaaS documents.
func accessLine(r *http.Request, c *counting, elapsed time.Duration, callID bool) string {
	text := http.StatusText(c.status)
	switch {
	case c.status == 0:
		text = "no answer"
	case c.status == executor.StatusClientClosed:
		text = "caller left"
	}
	line := fmt.Sprintf("%s %s - %d %s - ContentLength: %s (%.4fs)", r.Method, r.RequestURI, c.status, text,
		humanSize(c.bytes), elapsed.Seconds())
	if !callID {
		return line
	}
	id := r.Header.Get("X-Call-Id")
	if id == "" {
		id = "none"
	}
	return line + " [" + id + "]"
}

// humanSize writes a length with up to four digits, in powers of 1000.
func humanSize(n int64) string {
	size := float64(n)
	for _, unit := range []string{"B", "kB", "MB", "GB", "TB"} {
		if size < 1000 {
			return fmt.Sprintf("%.4g%s", size, unit)
		}
		size /= 1000
	}
	return fmt.Sprintf("%.4gPB", size)
}

// counting sees status and length of a response.
type counting struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *counting) WriteHeader(status int) {
	if c.status == 0 && status >= 200 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counting) Write(data []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(data)
	c.bytes += int64(n)
	return n, err
}

func (c *counting) Flush() {
	http.NewResponseController(c.ResponseWriter).Flush()
}

func (c *counting) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(c.ResponseWriter).Hijack()
	if err == nil {
		c.status = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (c *counting) Unwrap() http.ResponseWriter {
	return c.ResponseWriter
}
