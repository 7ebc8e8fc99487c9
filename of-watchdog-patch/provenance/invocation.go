package provenance

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Longest value of each detail.  Together with the headers the fixed ones take
// at most 290 bytes, and how many are in flight 13; what is left of markDetailsMax is
// shared by URL and X-Forwarded-For (see beginDetails).
const (
	mostCallID      = 128 // a UUID has 36; clients may send anything
	mostTraceparent = 64  // 55 in version 00
	mostMethod      = 16
	mostPeer        = 64 // an IPv6 address with zone and port
	mostURL         = 512
	mostForwarded   = 512
	leastForwarded  = 192 // the first hops are what joins caller and callee
	mostInFlight    = 10
)

// invocation is one request between BEGIN and END.
type invocation struct {
	layer *Layer
	id    ID
	ended atomic.Bool
}

func (l *Layer) begin(id ID, r *http.Request) *invocation {
	inv := &invocation{layer: l, id: id}
	details := detailsPool.Get().(*[]byte)
	*details = beginDetails((*details)[:0], r)
	l.mu.Lock()
	l.inFlight[inv] = struct{}{}
	l.markChange(MarkBegin, id, details)
	l.mu.Unlock()
	detailsPool.Put(details)
	return inv
}

// markChange makes a mark that says how many are in flight now.  It is called
// with the lock held, so that such marks come in the order in which that
// changes: who missed some knows by a number whether he missed any that matters.
func (l *Layer) markChange(kind Kind, id ID, details *[]byte) {
	*details = appendDetail(*details, KeyInFlight, strconv.Itoa(len(l.inFlight)), mostInFlight)
	l.marker.Mark(Mark{Kind: kind, ID: id, Descriptor: NoDescriptor, Details: *details})
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
	room := markDetailsMax - len(details) - 3*detailHeader - mostInFlight - min(len(url), mostURL)
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
	details := detailsPool.Get().(*[]byte)
	*details = (*details)[:0]
	if status != 0 {
		*details = appendDetail(*details, KeyStatus, strconv.Itoa(status), 3)
		*details = appendDetail(*details, KeyBytes, strconv.FormatInt(bytes, 10), 20)
	}
	inv.layer.mu.Lock()
	delete(inv.layer.inFlight, inv)
	inv.layer.markChange(MarkEnd, inv.id, details)
	inv.layer.mu.Unlock()
	detailsPool.Put(details)
}
