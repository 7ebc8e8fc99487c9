package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// HTTP runs one process and passes requests on to the port it listens on.
type HTTP struct {
	upstream    *url.URL
	execTimeout time.Duration
	bufferBody  bool

	cmd   *exec.Cmd
	stdin io.Closer // held open: a function may take the end of its input as the order to stop
	proxy *httputil.ReverseProxy
	probe *httputil.ReverseProxy

	listening chan struct{} // closed when the process accepts connections
	exited    chan struct{} // closed when it has gone
	exitErr   error         // why; read after exited
}

// HTTPOptions are the settings of NewHTTP.
type HTTPOptions struct {
	Process     []string
	Upstream    *url.URL
	ExecTimeout time.Duration
	BufferBody  bool // send Content-Length even where the caller sent chunks
	Output      Output
}

// NewHTTP starts the function's process.
func NewHTTP(o HTTPOptions) (*HTTP, error) {
	h := &HTTP{upstream: o.Upstream, execTimeout: o.ExecTimeout, bufferBody: o.BufferBody,
		listening: make(chan struct{}), exited: make(chan struct{})}
	h.proxy = h.newProxy(h.newTransport(false))
	h.probe = h.newProxy(h.newTransport(true))
	h.cmd = exec.Command(o.Process[0], o.Process[1:]...)
	stdin, err := h.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	h.stdin = stdin
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := h.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := children.start(h.cmd, h.cmd.Start); err != nil {
		return nil, fmt.Errorf("cannot start the function: %w", err)
	}
	streams := o.Output.follow(stdout, stderr)
	go h.wait(streams)
	go h.awaitListening()
	return h, nil
}

// wait takes the process's end first and its last lines after that: a child it
// left behind may hold the streams open for ever.
func (h *HTTP) wait(streams *sync.WaitGroup) {
	state, err := children.wait(h.cmd)
	drained := make(chan struct{})
	go func() {
		streams.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(time.Second):
	}
	switch {
	case err != nil:
		h.exitErr = err
	case !state.Success():
		h.exitErr = errors.New(state.String())
	}
	close(h.exited)
}

// Exited is closed when the process has gone; ExitError then says how.
func (h *HTTP) Exited() <-chan struct{} { return h.exited }

// ExitError is nil when the process ended with status 0.
func (h *HTTP) ExitError() error { return h.exitErr }

// Listening is closed when the process accepts connections.
func (h *HTTP) Listening() <-chan struct{} { return h.listening }

// Stop asks the process to end and kills it when it has not after grace.
func (h *HTTP) Stop(grace time.Duration) {
	h.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-h.exited:
	case <-time.After(grace):
		h.cmd.Process.Signal(os.Kill)
		<-h.exited
	}
}

const (
	firstPoll = 2 * time.Millisecond
	slowPoll  = 100 * time.Millisecond
)

// awaitListening tries to connect until it works.  A refused attempt never
// reaches the function; the one that works is closed without a byte.
func (h *HTTP) awaitListening() {
	address := h.upstream.Host
	if h.upstream.Port() == "" {
		address = net.JoinHostPort(h.upstream.Hostname(), h.upstream.Scheme)
	}
	for pause := firstPoll; ; pause = min(2*pause, slowPoll) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			close(h.listening)
			return
		}
		select {
		case <-h.exited:
			return
		case <-time.After(pause):
		}
	}
}

// newTransport makes what connects to the function.  There is never a proxy
// between: the connection must be the function's own.  Idle connections close
// before common servers would close them (Node after 5 s), because a request
// with a body cannot be sent again when the server has just hung up.
func (h *HTTP) newTransport(single bool) *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: h.execTimeout, KeepAlive: 10 * time.Second}).DialContext,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   100,
		IdleConnTimeout:       500 * time.Millisecond,
		ExpectContinueTimeout: 1500 * time.Millisecond,
		DisableCompression:    true,
		DisableKeepAlives:     single,
	}
}

var copyBuffers = bufferPool{sync.Pool{New: func() any { return make([]byte, 32*1024) }}}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte       { return b.pool.Get().([]byte) }
func (b *bufferPool) Put(buffer []byte) { b.pool.Put(buffer) }

func (h *HTTP) newProxy(transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: &copyBuffers,
		Rewrite:    h.rewrite,
		ModifyResponse: func(response *http.Response) error {
			if start, ok := response.Request.Context().Value(startKey{}).(time.Time); ok {
				setDuration(response.Header, start)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			start, _ := r.Context().Value(startKey{}).(time.Time)
			status := statusOf(r.Context(), err)
			slog.Error("request to the function failed", "method", r.Method, "uri", r.RequestURI,
				"status", status, "error", err)
			fail(w, start, status, "")
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

type startKey struct{}

// rewrite leaves the caller's request as it is but for its address: Host, the
// query and the X-Forwarded headers are the gateway's and pass untouched.
func (h *HTTP) rewrite(p *httputil.ProxyRequest) {
	query := p.In.URL.RawQuery
	p.SetURL(h.upstream)
	p.Out.Host = p.In.Host
	if h.upstream.RawQuery == "" {
		p.Out.URL.RawQuery = query
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = values
		}
	}
}

func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.serve(h.proxy, w, r)
}

// Probe is ServeHTTP on a connection of its own, for requests that belong to
// no invocation: they must not come over a connection that belonged to one.
func (h *HTTP) Probe(w http.ResponseWriter, r *http.Request) {
	h.serve(h.probe, w, r)
}

func (h *HTTP) serve(proxy *httputil.ReverseProxy, w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	limit := timeout(r, h.execTimeout)
	if longLived(r) {
		limit = 0
	}
	ctx, cancel := withTimeout(context.WithValue(r.Context(), startKey{}, start), limit)
	defer cancel()
	r = r.WithContext(ctx)
	if h.bufferBody && r.ContentLength != 0 {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			fail(w, start, http.StatusBadRequest, "cannot read the request's body: "+err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.TransferEncoding = nil
	}
	proxy.ServeHTTP(w, r)
}

// longLived requests are conversations: exec_timeout is not for them.
func longLived(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") ||
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
