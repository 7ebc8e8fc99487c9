// Package provenance marks the boundaries of invocations in band: by system
// calls that have no effect but carry the invocation's id (lib/schema/mark.def).
//
// A Layer wraps the handler that runs the function.  For each request it makes
// BEGIN before the handler runs, CONNECTION through the request's context when
// the handler's transport has chosen a connection and before it writes to it,
// CHILD around the start of a process (Start), and exactly one END.  It knows
// nothing of the watchdog it stands in: any http.Handler whose outgoing
// requests carry the incoming request's context will do.
//
// The function gets no new header and no new variable.
package provenance

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ResponseHeader tells the caller the invocation's id.
const ResponseHeader = "X-Faasprov-Request"

// Longest value of each detail.  Together with the headers the fixed ones take
// at most 290 bytes; what is left of markDetailsMax is shared by URL and
// X-Forwarded-For (see beginDetails).
const (
	mostCallID      = 128 // a UUID has 36; clients may send anything
	mostTraceparent = 64  // 55 in version 00
	mostMethod      = 16
	mostPeer        = 64 // an IPv6 address with zone and port
	mostURL         = 512
	mostForwarded   = 512
	leastForwarded  = 192 // the first hops are what joins caller and callee
)

// Layer is safe for concurrent use.  Make it with New; call Hello once before
// the first function process; Close when nothing is served any more.
type Layer struct {
	marker Marker

	connections sync.Map // net.Conn → *connection

	mu       sync.Mutex
	inFlight map[*invocation]struct{}
}

// New makes a layer that marks through marker.
func New(marker Marker) *Layer {
	return &Layer{marker: marker, inFlight: make(map[*invocation]struct{})}
}

// Hello says that this process is the container's watchdog.  An error means
// that marks do not work here.
//
// The Go runtime probes once, by a short-lived clone, whether it may use
// pidfds; asking for our own process first keeps that clone out of every
// invocation.
func (l *Layer) Hello() error {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Release()
	}
	return l.marker.Mark(Mark{Kind: MarkHello, Descriptor: NoDescriptor})
}

// Close ends what is still in flight, without a status.
func (l *Layer) Close() {
	l.mu.Lock()
	left := l.inFlight
	l.inFlight = make(map[*invocation]struct{})
	l.mu.Unlock()
	for inv := range left {
		inv.end(0, 0)
	}
}

type contextKey struct{ name string }

var (
	invocationKey = contextKey{"invocation"}
	connectionKey = contextKey{"connection"}
)

// invocation is one request between BEGIN and END.
type invocation struct {
	layer *Layer
	id    ID
	ended atomic.Bool
}

// connection is a client's connection to the watchdog.  Its one goroutine
// serves its requests one after the other, so its fields need no lock.
type connection struct {
	finished *invocation // served, response not yet known to be written out
	status   int
	bytes    int64
}

// IDFrom gives the id of the invocation that ctx belongs to.
func IDFrom(ctx context.Context) (ID, bool) {
	inv, ok := ctx.Value(invocationKey).(*invocation)
	if !ok {
		return ID{}, false
	}
	return inv.id, true
}

// Wrap puts the marks around next.
func (l *Layer) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := NewID(time.Now())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		inv := l.begin(id, r)
		response := &response{ResponseWriter: w, id: id.String()}
		response.Header().Set(ResponseHeader, response.id)
		var conn *connection
		if r.ProtoMajor == 1 { // else a connection serves several requests at once
			conn, _ = r.Context().Value(connectionKey).(*connection)
		}
		defer inv.finish(conn, response)

		ctx := context.WithValue(r.Context(), invocationKey, inv)
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: inv.gotConn})
		next.ServeHTTP(response, r.WithContext(ctx))
		response.returned = true
	})
}

// ConnContext is for http.Server.ConnContext.  With it and ConnState in place,
// END follows the last byte of the response; without them it follows the
// return of the handler, when up to 4 KiB may still be in the server's buffer.
func (l *Layer) ConnContext(ctx context.Context, c net.Conn) context.Context {
	conn := &connection{}
	l.connections.Store(c, conn)
	return context.WithValue(ctx, connectionKey, conn)
}

// ConnState is for http.Server.ConnState.  The server calls it on the
// connection's own goroutine once a response has been flushed (idle) or the
// connection is done (closed).
func (l *Layer) ConnState(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateIdle, http.StateClosed:
		if conn, ok := l.connections.Load(c); ok {
			conn.(*connection).flushed()
		}
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		l.connections.Delete(c)
	}
}

func (c *connection) flushed() {
	if c.finished != nil {
		c.finished.end(c.status, c.bytes)
		c.finished = nil
	}
}

func (l *Layer) begin(id ID, r *http.Request) *invocation {
	inv := &invocation{layer: l, id: id}
	l.mu.Lock()
	l.inFlight[inv] = struct{}{}
	l.mu.Unlock()
	details := detailsPool.Get().(*[]byte)
	*details = beginDetails((*details)[:0], r)
	l.marker.Mark(Mark{Kind: MarkBegin, ID: id, Descriptor: NoDescriptor, Details: *details})
	detailsPool.Put(details)
	return inv
}

var detailsPool = sync.Pool{New: func() any {
	details := make([]byte, 0, markDetailsMax)
	return &details
}}

// beginDetails writes what is known of a request.  It never fails: what is too
// long is cut, URL and X-Forwarded-For last, so that both keep something.
func beginDetails(details []byte, r *http.Request) []byte {
	details = appendDetail(details, KeyCallID, r.Header.Get("X-Call-Id"), mostCallID)
	details = appendDetail(details, KeyTraceparent, r.Header.Get("Traceparent"), mostTraceparent)
	details = appendDetail(details, KeyMethod, r.Method, mostMethod)
	details = appendDetail(details, KeyPeer, r.RemoteAddr, mostPeer)
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ", ")
	url := r.RequestURI
	if url == "" {
		url = r.URL.RequestURI()
	}
	room := markDetailsMax - len(details) - 2*detailHeader - min(len(url), mostURL)
	details = appendDetail(details, KeyForwarded, forwarded, min(mostForwarded, max(leastForwarded, room)))
	return appendDetail(details, KeyURL, url, mostURL)
}

// gotConn runs in the goroutine that sends the request, after a connection
// (new, re-used, or another one after a failure) was chosen and before the
// transport's writer is given the request.
func (inv *invocation) gotConn(info httptrace.GotConnInfo) {
	conn := info.Conn
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		inv.layer.marker.Mark(Mark{Kind: MarkConnection, ID: inv.id, Descriptor: uint32(fd)})
	})
}

// finish is deferred around the handler, so it also runs when that panics.
func (inv *invocation) finish(conn *connection, w *response) {
	if w.status == 0 && w.returned {
		w.status = http.StatusOK // what the server answers for a handler that wrote nothing
	}
	if conn != nil && !w.hijacked {
		conn.finished, conn.status, conn.bytes = inv, w.status, w.bytes
		return
	}
	if !w.hijacked && w.Header().Get("Content-Length") != "" {
		w.Flush() // else the server still has to choose the length or chunks
	}
	inv.end(w.status, w.bytes)
}

// end makes the END mark, once.  Status 0 stands for no response.
func (inv *invocation) end(status int, bytes int64) {
	if !inv.ended.CompareAndSwap(false, true) {
		return
	}
	inv.layer.mu.Lock()
	delete(inv.layer.inFlight, inv)
	inv.layer.mu.Unlock()
	details := detailsPool.Get().(*[]byte)
	*details = (*details)[:0]
	if status != 0 {
		*details = appendDetail(*details, KeyStatus, strconv.Itoa(status), 3)
		*details = appendDetail(*details, KeyBytes, strconv.FormatInt(bytes, 10), 20)
	}
	inv.layer.marker.Mark(Mark{Kind: MarkEnd, ID: inv.id, Descriptor: NoDescriptor, Details: *details})
	detailsPool.Put(details)
}

// Start starts cmd so that its process belongs to the invocation of ctx, if it
// has one.  os/exec forks on the calling thread, which is locked meanwhile; the
// runtime never starts its own threads from a locked one.
func (l *Layer) Start(ctx context.Context, cmd *exec.Cmd) error {
	id, ok := IDFrom(ctx)
	if !ok {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.marker.Mark(Mark{Kind: MarkChild, ID: id, Descriptor: NoDescriptor})
	defer l.marker.Mark(Mark{Kind: MarkChild, Descriptor: NoDescriptor})
	return cmd.Start()
}
