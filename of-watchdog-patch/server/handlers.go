package server

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// health answers /_/health: healthy from the moment the function can take
// requests until shutdown, and, unless suppress_lock is set, as long as the
// lock file is there (which others may look at, or remove).
type health struct {
	path     string // of the lock file
	suppress bool
	up       atomic.Bool
}

func newHealth(dir string, suppress bool) *health {
	return &health{path: LockFile(dir), suppress: suppress}
}

// LockFile is the path of the lock file under dir.
func LockFile(dir string) string {
	return filepath.Join(dir, ".lock")
}

func (h *health) ready() error {
	if !h.suppress {
		if err := os.MkdirAll(filepath.Dir(h.path), 0o777); err != nil {
			return fmt.Errorf("cannot write the lock file (suppress_lock=true does without): %w", err)
		}
		if err := os.WriteFile(h.path, nil, 0o660); err != nil {
			return fmt.Errorf("cannot write the lock file (suppress_lock=true does without): %w", err)
		}
	}
	h.up.Store(true)
	slog.Info("ready")
	return nil
}

func (h *health) clear() error {
	h.up.Store(false)
	if h.suppress {
		return nil
	}
	if err := os.Remove(h.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (h *health) ok() bool {
	if !h.up.Load() {
		return false
	}
	if h.suppress {
		return true
	}
	_, err := os.Stat(h.path)
	return err == nil
}

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !h.ok():
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.Write([]byte("OK"))
	}
}

// readiness answers /_/ready: as health, but 429 at the limit, and with
// ready_path the function's own answer, which belongs to no invocation.
func (s *Server) readiness(limit *limiter) http.Handler {
	probe := s.function
	if s.process != nil {
		probe = http.HandlerFunc(s.process.Probe)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case !s.health.ok():
			w.WriteHeader(http.StatusServiceUnavailable)
		case limit.met():
			w.WriteHeader(http.StatusTooManyRequests)
		case s.config.ReadyPath == "":
			w.WriteHeader(http.StatusOK)
		default:
			asked := r.Clone(r.Context())
			asked.URL = &url.URL{Path: s.config.ReadyPath}
			asked.RequestURI = s.config.ReadyPath
			probe.ServeHTTP(w, asked)
		}
	})
}

// limiter refuses what is beyond max_inflight.
type limiter struct {
	most    int64 // 0: no limit
	current atomic.Int64
	next    http.Handler
}

func newLimiter(most int, next http.Handler) *limiter {
	return &limiter{most: int64(most), next: next}
}

func (l *limiter) met() bool {
	return l.most > 0 && l.current.Load() >= l.most
}

func (l *limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.most == 0 {
		l.next.ServeHTTP(w, r)
		return
	}
	defer l.current.Add(-1)
	if l.current.Add(1) > l.most {
		w.Header().Set("X-OpenFaaS-Internal", "of-watchdog")
		http.Error(w, fmt.Sprintf("%d requests are in flight, which is the limit", l.most), http.StatusTooManyRequests)
		return
	}
	l.next.ServeHTTP(w, r)
}

// oneShot takes the first request and has the server drain at once.
func oneShot(next http.Handler, drain chan<- string) http.Handler {
	var taken atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !taken.CompareAndSwap(false, true) {
			http.Error(w, "one_shot: the one request was served", http.StatusServiceUnavailable)
			return
		}
		drain <- "one_shot"
		next.ServeHTTP(w, r)
	})
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

func (c *counting) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(c.ResponseWriter).Hijack()
	if err == nil {
		c.status = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

func (c *counting) Flush() {
	http.NewResponseController(c.ResponseWriter).Flush()
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// accessLog prints one line for each request, in the form that OpenFaaS
// documents; kubelet's probes are left out.
func accessLog(next http.Handler, callID bool) http.Handler {
	logger := log.New(os.Stderr, "", log.LstdFlags)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &counting{ResponseWriter: w}
		defer func() {
			if strings.HasPrefix(r.UserAgent(), "kube-probe") {
				return
			}
			status := max(c.status, 0)
			line := fmt.Sprintf("%s %s - %d %s - ContentLength: %s (%.4fs)", r.Method, r.RequestURI, status,
				http.StatusText(status), humanSize(c.bytes), time.Since(start).Seconds())
			if callID {
				id := r.Header.Get("X-Call-Id")
				if id == "" {
					id = "none"
				}
				line += " [" + id + "]"
			}
			logger.Print(line)
		}()
		next.ServeHTTP(c, r)
		if c.status == 0 {
			c.status = http.StatusOK
		}
	})
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
