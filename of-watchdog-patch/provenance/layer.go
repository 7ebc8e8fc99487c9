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
// With the runtime assist (Assist) the function's runtime is told by a variable
// to load a script, and by a header which invocation a request is; without it the function gets
// no new header and no new variable.
package provenance

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"sync"
)

// ResponseHeader tells the caller, and the runtime assist, the invocation's id.
const ResponseHeader = "X-Faasprov-Request"

// Layer is safe for concurrent use.  Make it with New; call Hello once before
// the first function process; Close when nothing is served any more.
type Layer struct {
	marker Marker

	connections sync.Map // net.Conn → *connection

	assist bool // the function's requests carry the id

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
	left := make([]*invocation, 0, len(l.inFlight))
	for inv := range l.inFlight {
		left = append(left, inv)
	}
	l.mu.Unlock()
	for _, inv := range left {
		inv.end(0, 0)
	}
}

type contextKey struct{ name string }

var (
	invocationKey = contextKey{"invocation"}
	connectionKey = contextKey{"connection"}
)

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
		id, err := NewID()
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
		r = r.WithContext(ctx)
		r.Header.Del(ResponseHeader) // a client's word for it is nobody's business
		if l.assist {
			r.Header.Set(ResponseHeader, response.id)
		}
		next.ServeHTTP(response, r)
		response.returned = true
	})
}

// ConnContext is for http.Server.ConnContext.  With it and ConnState in place,
// END follows the last byte of the response; without them it follows the
// return of the handler, when up to 4 KiB may still be in the server's buffer.
func (l *Layer) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if !reflect.ValueOf(c).Comparable() { // someone's listener wraps connections in values
		return ctx
	}
	conn := &connection{}
	l.connections.Store(c, conn)
	return context.WithValue(ctx, connectionKey, conn)
}

// ConnState is for http.Server.ConnState.  The server calls it on the
// connection's own goroutine once a response has been flushed (idle) or the
// connection is done (closed).
func (l *Layer) ConnState(c net.Conn, state http.ConnState) {
	if !reflect.ValueOf(c).Comparable() {
		return
	}
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

// Start starts cmd so that its process belongs to the invocation of ctx, if it
// has one.
func (l *Layer) Start(ctx context.Context, cmd *exec.Cmd) error {
	return l.Forking(ctx, cmd.Start)
}

// Forking runs do, whose forks belong to the invocation of ctx, if it has one.
// os/exec forks on the calling thread, which is locked meanwhile; the runtime
// never starts threads of its own from a locked one.
func (l *Layer) Forking(ctx context.Context, do func() error) error {
	id, ok := IDFrom(ctx)
	if !ok {
		return do()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.marker.Mark(Mark{Kind: MarkChild, ID: id, Descriptor: NoDescriptor})
	defer l.marker.Mark(Mark{Kind: MarkChild, Descriptor: NoDescriptor})
	return do()
}
