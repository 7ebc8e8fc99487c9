// Package server is the watchdog without its marks: it serves the port of the
// container, passes requests to an executor, answers for health, readiness and
// metrics, limits what is in flight, and stops in order.  What watches
// invocations is given to it as an Observer.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"faasprov/watchdog/config"
	"faasprov/watchdog/executor"
)

// Observer stands around each invocation.  Health, readiness and metrics are
// none, nor is a request that is refused before it could reach the function.
type Observer interface {
	Hello() error
	Assist(dir string) error
	Wrap(http.Handler) http.Handler
	Start(context.Context, *exec.Cmd) error
	ConnContext(context.Context, net.Conn) context.Context
	ConnState(net.Conn, http.ConnState)
	Close()
}

// process is an executor whose function lives on between requests.
type process interface {
	http.Handler
	Probe(http.ResponseWriter, *http.Request)
	Listening() <-chan struct{}
	Exited() <-chan struct{}
	ExitError() error
	Stop(grace time.Duration)
}

const (
	maxHeaderBytes = 1 << 20
	// How long requests in flight may take to fail when the function has gone.
	deathGrace = time.Second
	// How long a function may take to end after SIGTERM.
	stopGrace = 5 * time.Second
)

// Server is one watchdog.
type Server struct {
	config   config.Config
	observer Observer // nil: none

	listener net.Listener
	function http.Handler
	process  process // nil in modes without one
	health   *health
	metrics  *metrics
	drain    chan string // asks for shutdown, with the reason
}

// New claims the port, says hello and starts the function, in this order.
func New(c config.Config, observer Observer) (*Server, error) {
	s := &Server{config: c, observer: observer, metrics: newMetrics(), drain: make(chan string, 1)}
	s.health = newHealth(os.TempDir(), c.SuppressLock)
	if err := s.health.clear(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(c.Port))
	if err != nil {
		return nil, err
	}
	s.listener = listener
	if observer != nil {
		if err := observer.Hello(); err != nil {
			listener.Close()
			return nil, fmt.Errorf("cannot mark requests: %w", err)
		}
		if c.Assist && c.Mode == config.ModeHTTP {
			if err := observer.Assist(os.TempDir()); err != nil {
				slog.Warn(err.Error()) // requests are told apart by the kernel's evidence alone
			}
		}
	}
	if err := s.startFunction(); err != nil {
		listener.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) startFunction() error {
	c := s.config
	output := executor.Output{Prefix: c.PrefixLogs, Limit: c.LogBufferSize, Stdout: os.Stdout, Stderr: os.Stderr}
	switch c.Mode {
	case config.ModeHTTP:
		p, err := executor.NewHTTP(executor.HTTPOptions{Process: c.Process, Upstream: c.UpstreamURL,
			ExecTimeout: c.ExecTimeout, BufferBody: c.BufferHTTPBody, Output: output})
		if err != nil {
			return err
		}
		s.function, s.process = p, p
	case config.ModeStreaming, config.ModeSerializing:
		starter := executor.Plain
		if s.observer != nil {
			starter = s.observer.Start
		}
		s.function = &executor.Fork{Process: c.Process, ExecTimeout: c.ExecTimeout, ContentType: c.ContentType,
			CGIHeaders: c.CGIHeaders, Buffered: c.Mode == config.ModeSerializing, Output: output, Start: starter}
	case config.ModeStatic:
		s.function = http.FileServer(http.Dir(c.StaticPath))
	default:
		return fmt.Errorf("mode %q has no executor", c.Mode)
	}
	return nil
}

// Address is where requests are taken.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// handler is the way of a request, outermost first: count, limit, wait for the
// function, mark, run.  A request waits before its BEGIN, so that what the
// function does while it starts is never taken for the request's doing.
func (s *Server) handler() http.Handler {
	invoke := s.function
	if s.observer != nil {
		invoke = s.observer.Wrap(invoke)
	}
	if s.process != nil {
		invoke = s.gate(invoke)
	}
	if s.config.OneShot {
		invoke = oneShot(invoke, s.drain)
	}
	limit := newLimiter(s.config.MaxInflight, invoke)
	invoke = s.account(limit)
	ready := s.readiness(limit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/_/health":
			s.health.ServeHTTP(w, r)
		case "/_/ready":
			ready.ServeHTTP(w, r)
		default:
			invoke.ServeHTTP(w, r)
		}
	})
}

// gate holds requests until the function listens.
func (s *Server) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.process.Listening():
			next.ServeHTTP(w, r)
			return
		default:
		}
		var late <-chan time.Time
		if s.config.ExecTimeout > 0 {
			timer := time.NewTimer(s.config.ExecTimeout)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-s.process.Listening():
			next.ServeHTTP(w, r)
		case <-s.process.Exited():
			http.Error(w, "the function has ended", http.StatusInternalServerError)
		case <-late:
			http.Error(w, "the function does not listen on "+s.config.UpstreamURL.Host, http.StatusGatewayTimeout)
		case <-r.Context().Done():
			w.WriteHeader(executor.StatusClientClosed)
		}
	})
}

// Run serves until ctx is done, the function ends, or one_shot is spent.  A
// second receive on hurry shortens an orderly shutdown.  The error is nil for
// an end that was asked for.
func (s *Server) Run(ctx context.Context, hurry <-chan struct{}) error {
	defer executor.ReapOrphans()()
	web := &http.Server{Handler: s.handler(), ReadTimeout: s.config.ReadTimeout, WriteTimeout: s.config.WriteTimeout,
		MaxHeaderBytes: maxHeaderBytes}
	if s.observer != nil {
		web.ConnContext, web.ConnState = s.observer.ConnContext, s.observer.ConnState
		defer s.observer.Close()
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(s.listener) }()
	stopMetrics := s.metrics.serve(s.config.MetricsPort)
	defer stopMetrics()
	slog.Info("listening", "port", s.listener.Addr().(*net.TCPAddr).Port, "mode", string(s.config.Mode),
		"read_timeout", s.config.ReadTimeout, "write_timeout", s.config.WriteTimeout,
		"exec_timeout", s.config.ExecTimeout, "healthcheck_interval", s.config.HealthcheckInterval)
	defer s.health.clear()
	return s.untilEnd(ctx, hurry, web, served)
}

func (s *Server) untilEnd(ctx context.Context, hurry <-chan struct{}, web *http.Server, served <-chan error) error {
	var listening, exited <-chan struct{}
	if s.process != nil {
		listening, exited = s.process.Listening(), s.process.Exited()
	} else if err := s.health.ready(); err != nil {
		return err
	}
	for {
		select {
		case <-listening:
			if err := s.health.ready(); err != nil {
				s.process.Stop(stopGrace)
				return err
			}
			listening = nil
		case <-exited:
			return s.functionEnded(web)
		case err := <-served:
			if s.process != nil {
				s.process.Stop(stopGrace)
			}
			return fmt.Errorf("serving failed: %w", err)
		case reason := <-s.drain:
			return s.shutdown(reason, 0, hurry, web)
		case <-ctx.Done():
			return s.shutdown("asked to stop", s.config.HealthcheckInterval, hurry, web)
		}
	}
}

// functionEnded lets the requests in flight fail before the watchdog ends too:
// without its function a container is of no use.
func (s *Server) functionEnded(web *http.Server) error {
	s.health.clear()
	ctx, cancel := context.WithTimeout(context.Background(), deathGrace)
	defer cancel()
	if web.Shutdown(ctx) != nil {
		web.Close()
	}
	if err := s.process.ExitError(); err != nil {
		return fmt.Errorf("the function has ended: %w", err)
	}
	return errors.New("the function has ended: exit status 0")
}

// shutdown turns unhealthy, serves on for as long as it takes whoever routes
// requests to notice, then takes no more and waits for those in flight.
func (s *Server) shutdown(reason string, delay time.Duration, hurry <-chan struct{}, web *http.Server) error {
	slog.Info("shutting down", "reason", reason, "no_new_connections_in", delay)
	if err := s.health.clear(); err != nil {
		slog.Error("cannot turn unhealthy", "error", err)
	}
	var exited <-chan struct{}
	if s.process != nil {
		exited = s.process.Exited()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-exited:
	}
	slog.Info("no new connections, draining", "requests", s.metrics.inFlight.Load())
	ctx, cancel := context.WithTimeout(context.Background(), s.config.WriteTimeout)
	defer cancel()
	go func() {
		select {
		case <-hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := web.Shutdown(ctx); err != nil {
		slog.Warn("requests were cut off", "requests", s.metrics.inFlight.Load(), "error", err)
		web.Close()
	}
	if s.process != nil {
		s.process.Stop(stopGrace)
	}
	return nil
}
