package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
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
