package provenance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// recorder keeps marks in the order they were made.
type recorder struct {
	mu    sync.Mutex
	marks []Mark
}

func (r *recorder) Mark(m Mark) error {
	m.Details = append([]byte(nil), m.Details...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = append(r.marks, m)
	return nil
}

func (r *recorder) kinds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []string
	for _, m := range r.marks {
		kinds = append(kinds, fmt.Sprint(m.Kind))
	}
	return strings.Join(kinds, " ")
}

func (r *recorder) all() []Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Mark(nil), r.marks...)
}

// inFlight gives what each BEGIN and END says is in flight.
func (r *recorder) inFlight(t *testing.T) []int {
	t.Helper()
	var told []int
	for _, m := range r.all() {
		if m.Kind != MarkBegin && m.Kind != MarkEnd {
			continue
		}
		n, err := strconv.Atoi(decode(t, m.Details)[KeyInFlight])
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, n)
	}
	return told
}

func (r *recorder) last() Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.marks[len(r.marks)-1]
}

// decode reads details as the other side does, strictly.
func decode(t *testing.T, details []byte) map[Key]string {
	t.Helper()
	found := make(map[Key]string)
	for len(details) > 0 {
		if len(details) < 3 {
			t.Fatalf("truncated details: %x", details)
		}
		n := int(details[1]) | int(details[2])<<8
		if len(details) < 3+n || n == 0 {
			t.Fatalf("bad length %d: %x", n, details)
		}
		if _, twice := found[Key(details[0])]; twice {
			t.Fatalf("key %d twice", details[0])
		}
		found[Key(details[0])] = string(details[3 : 3+n])
		details = details[3+n:]
	}
	return found
}

func TestIDsAreRandomFromTheFirstDigit(t *testing.T) {
	seen, first, half := make(map[ID]bool), make(map[byte]bool), []byte(nil)
	for i := 0; i < 10000; i++ {
		id, err := NewID()
		if err != nil {
			t.Fatal(err)
		}
		if seen[id] || half != nil && !bytes.Equal(half, id[idSize/2:]) {
			t.Fatal(id)
		}
		seen[id], half = true, bytes.Clone(id[idSize/2:])
		first[id[0]] = true
	}
	if len(first) < 200 {
		t.Errorf("only %d different first bytes", len(first))
	}
}

func TestAssistIsInjectedAndBounded(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("NODE_OPTIONS", "--no-warnings")
	t.Setenv("PYTHONPATH", "/opt/function")
	var marks recorder
	layer := New(&marks)
	if err := layer.Assist(dir); err != nil {
		t.Fatal(err)
	}
	if want := "--no-warnings --require=" + dir + "/.faasprov-assist.cjs"; os.Getenv("NODE_OPTIONS") != want {
		t.Errorf("NODE_OPTIONS is %q, not %q", os.Getenv("NODE_OPTIONS"), want)
	}
	if want := dir + "/.faasprov-assist:/opt/function"; os.Getenv("PYTHONPATH") != want {
		t.Errorf("PYTHONPATH is %q, not %q", os.Getenv("PYTHONPATH"), want)
	}
	if there, err := os.Stat(dir + "/.faasprov-assist/__pycache__"); err != nil || there.IsDir() {
		t.Error("Python can keep a compiled copy of the assist, which would join requests")
	}
	if err := New(&marks).Assist(dir); err != nil {
		t.Errorf("a second start in the same place: %v", err)
	}
	got := ""
	handler := layer.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get(ResponseHeader) }))
	request := httptest.NewRequest("GET", "/", nil)
	request.Header.Set(ResponseHeader, "forged")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if len(got) != 32 || got != answer.Header().Get(ResponseHeader) {
		t.Errorf("the function was told %q, the client %q", got, answer.Header().Get(ResponseHeader))
	}
	if err := layer.Assist(t.TempDir() + "/with space"); err == nil {
		t.Error("a path that NODE_OPTIONS cannot carry was taken")
	}
}

func TestArguments(t *testing.T) {
	m := Mark{Kind: MarkConnection, ID: ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		Descriptor: 12, Details: make([]byte, 0x203)}
	arg2, high, low := m.arguments()
	if arg2 != 0x0000000c_0203_01_03 || high != 0x0102030405060708 || low != 0x090a0b0c0d0e0f10 {
		t.Errorf("%x %x %x", arg2, high, low)
	}
	if arg2, _, _ := (Mark{Kind: MarkHello, Descriptor: NoDescriptor}).arguments(); arg2>>32 != 0xffffffff {
		t.Errorf("%x", arg2)
	}
	if binary.Size(m.ID) != idSize {
		t.Error("size of an id")
	}
}

func TestTheKernelKnowsNoSuchOption(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	for _, m := range []Mark{{Kind: MarkHello, Descriptor: NoDescriptor}, {Kind: MarkEnd, Details: []byte{7, 1, 0, '2'}}} {
		if err := (KernelMarker{}).Mark(m); err != nil {
			t.Error(err)
		}
	}
}

func request(header http.Header, method, uri, peer string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header, r.Method, r.RequestURI, r.RemoteAddr = header, method, uri, peer
	return r
}

func TestDetailsOfAnOrdinaryRequest(t *testing.T) {
	r := request(http.Header{"X-Call-Id": {"c"}, "Traceparent": {"00-ab-cd-01"},
		"X-Forwarded-For": {"1.2.3.4:5", "6.7.8.9"}}, "POST", "/a?b=c", "[::1]:99")
	got := decode(t, beginDetails(nil, r))
	want := map[Key]string{KeyCallID: "c", KeyTraceparent: "00-ab-cd-01", KeyMethod: "POST", KeyURL: "/a?b=c",
		KeyForwarded: "1.2.3.4:5, 6.7.8.9", KeyPeer: "[::1]:99"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
	if got := decode(t, beginDetails(nil, request(http.Header{}, "GET", "/", "p"))); len(got) != 3 {
		t.Errorf("what is absent stands there: %v", got)
	}
}

// Whatever a client sends, the mark is made, fits, and keeps a part of each.
func TestDetailsAreCutAndNeverDropped(t *testing.T) {
	for _, n := range []int{0, 1, 100, 127, 128, 129, 191, 192, 193, 511, 512, 513, 5000, 70000} {
		for _, m := range []int{0, 1, 192, 512, 513, 70000} {
			long := strings.Repeat("é", n)
			r := request(http.Header{"X-Call-Id": {long}, "Traceparent": {long}, "X-Forwarded-For": {strings.Repeat("f", m)}},
				"X"+strings.Repeat("M", n), "/"+long, "["+long+"]:1")
			details := beginDetails(nil, r)
			got := decode(t, details)
			if len(details) > markDetailsMax {
				t.Fatalf("%d/%d: %d bytes", n, m, len(details))
			}
			if got[KeyURL] == "" || got[KeyMethod] == "" || got[KeyPeer] == "" || (n > 0 && got[KeyCallID] == "") ||
				len(got[KeyForwarded]) < min(m, leastForwarded) || len(got[KeyURL]) < min(2*n, 500) {
				t.Fatalf("%d/%d: %v", n, m, got)
			}
			for key, value := range got {
				if !utf8.ValidString(value) {
					t.Fatalf("%d/%d: key %d is cut within a character", n, m, key)
				}
			}
			if string(details) != string(beginDetails(nil, r)) {
				t.Fatal("not the same twice")
			}
		}
	}
	if got := cut("\xff\xff\xff\xff\xff", 4); got != "\xff\xff\xff\xff" {
		t.Errorf("bytes that are no text: %q", got)
	}
}

// serve runs handler in a real server, with the connection hooks or without.
func serve(t *testing.T, hooks bool, handler http.HandlerFunc) (*recorder, *httptest.Server) {
	t.Helper()
	marks := &recorder{}
	layer := New(marks)
	server := httptest.NewUnstartedServer(layer.Wrap(handler))
	if hooks {
		server.Config.ConnContext, server.Config.ConnState = layer.ConnContext, layer.ConnState
	}
	server.Config.ErrorLog = nil
	server.Start()
	t.Cleanup(server.Close)
	return marks, server
}

func eventually(t *testing.T, marks *recorder, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); marks.kinds() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("marks are %s, not %s", marks.kinds(), want)
		}
	}
}

func TestEndComesOnceWhateverTheHandlerDoes(t *testing.T) {
	handlers := map[string]struct {
		handler http.HandlerFunc
		status  string
		bytes   string
	}{
		"nothing": {func(http.ResponseWriter, *http.Request) {}, "200", "0"},
		"writes":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.Write([]byte("abc")) }, "201", "3"},
		"hints": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(404) },
			"404", "0"},
		"panics":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", ""},
		"aborts":  {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ab")); panic(http.ErrAbortHandler) }, "200", "2"},
		"flushes": {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.Write([]byte("x")) }, "200", "1"},
		"hijacks": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		}, "101", "0"},
	}
	for name, c := range handlers {
		for _, hooks := range []bool{true, false} {
			t.Run(fmt.Sprint(name, hooks), func(t *testing.T) {
				marks, server := serve(t, hooks, c.handler)
				if response, err := http.Get(server.URL); err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				eventually(t, marks, "2 5")
				got := decode(t, marks.last().Details)
				if got[KeyStatus] != c.status || got[KeyBytes] != c.bytes {
					t.Errorf("%v", got)
				}
				server.Close()
				eventually(t, marks, "2 5")
			})
		}
	}
}

// The server keeps up to 4 KiB back until after the handler: END waits for it.
func TestEndFollowsTheLastByte(t *testing.T) {
	for _, hashable := range []bool{true, false} {
		written := make(chan string, 1)
		marks := &recorder{}
		layer := New(marks)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: layer.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte("small"))
		})), ConnContext: layer.ConnContext, ConnState: layer.ConnState}
		go server.Serve(watchedListener{listener, hashable, func() { written <- marks.kinds() }})
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		eventually(t, marks, "2 5")
		if before := <-written; hashable && before != "2" {
			t.Errorf("END was made before the response was written: %s", before)
		}
		if response.ContentLength != 5 {
			t.Errorf("the length was lost: %d", response.ContentLength)
		}
		server.Close()
	}
}

type watchedListener struct {
	net.Listener
	hashable bool
	onWrite  func()
}

func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if l.hashable {
		return &watchedConn{c, l.onWrite}, err
	}
	return watchedConn{c, l.onWrite}, err
}

type watchedConn struct {
	net.Conn
	onWrite func()
}

func (c watchedConn) Write(data []byte) (int, error) {
	c.onWrite()
	return c.Conn.Write(data)
}

func TestRequestsOfOneConnectionEndOneByOne(t *testing.T) {
	marks, server := serve(t, true, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.0\r\n\r\n")
	reader := bufio.NewReader(conn)
	for i := 0; i < 3; i++ {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
	}
	eventually(t, marks, "2 5 2 5 2 5")
}

func TestTheIDIsTheWatchdogsOwn(t *testing.T) {
	marks, server := serve(t, true, func(w http.ResponseWriter, r *http.Request) {
		if _, ok := IDFrom(r.Context()); !ok {
			t.Error("no id in the context")
		}
		w.Header()[ResponseHeader] = []string{"forged", "twice"}
		w.WriteHeader(200)
	})
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	eventually(t, marks, "2 5")
	if got := response.Header[ResponseHeader]; len(got) != 1 || got[0] != marks.last().ID.String() {
		t.Errorf("%v", got)
	}
}

// Any handler whose outgoing requests carry the context will do, in a server
// that knows nothing of marks.
func TestAForeignHandler(t *testing.T) {
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	defer function.Close()
	marks := &recorder{}
	layer := New(marks)
	server := httptest.NewServer(layer.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		out, _ := http.NewRequestWithContext(ctx, r.Method, function.URL, r.Body)
		response, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		io.Copy(w, response.Body)
		layer.Forking(r.Context(), exec.Command("true").Run)
	})))
	defer server.Close()
	for i := 0; i < 2; i++ {
		response, err := http.Post(server.URL, "text/plain", strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(response.Body); string(body) != "abc" {
			t.Errorf("%q", body)
		}
		response.Body.Close()
	}
	eventually(t, marks, "2 3 4 4 5 2 3 4 4 5")
	if err := layer.Forking(context.Background(), func() error { return nil }); err != nil || marks.last().Kind != MarkEnd {
		t.Error("a fork outside of any invocation was marked")
	}
}

func TestCloseEndsWhatIsLeft(t *testing.T) {
	marks := &recorder{}
	layer := New(marks)
	inv := layer.begin(ID{1}, request(http.Header{}, "GET", "/", "p"))
	layer.begin(ID{2}, request(http.Header{}, "GET", "/", "p"))
	layer.Close()
	layer.Close()
	inv.end(200, 1)
	if marks.kinds() != "2 2 5 5" || fmt.Sprint(marks.inFlight(t)) != "[1 2 1 0]" {
		t.Errorf("%s %v", marks.kinds(), marks.inFlight(t))
	}
	if got := decode(t, marks.last().Details); len(got) != 1 {
		t.Errorf("a status that nobody sent: %v", got)
	}
}

// However many come and go at once, each mark says how many are there after it,
// in the order in which they are made: who reads them in that order can rely on it.
func TestMarksTellHowManyAreInFlight(t *testing.T) {
	marks := &recorder{}
	layer := New(marks)
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := 0; n < 500; n++ {
				layer.begin(ID{byte(n), byte(n >> 8)}, request(http.Header{}, "GET", "/", "p")).end(200, 1)
			}
		}()
	}
	all.Wait()
	told, now := marks.inFlight(t), 0
	for i, m := range marks.all() {
		if m.Kind == MarkBegin {
			now++
		} else {
			now--
		}
		if told[i] != now {
			t.Fatalf("mark %d says %d and not %d", i, told[i], now)
		}
	}
}

// A mark whose other details take all the room says it, too.
func TestTheNumberFitsBesideTheLongestDetails(t *testing.T) {
	marks := &recorder{}
	layer := New(marks)
	long := strings.Repeat("x", 5000)
	for i := 0; i < 3; i++ {
		layer.begin(ID{byte(i)}, request(http.Header{"X-Call-Id": {long}, "Traceparent": {long}, "X-Forwarded-For": {long}}, long, "/"+long, long))
	}
	if len(marks.last().Details) > markDetailsMax || fmt.Sprint(marks.inFlight(t)) != "[1 2 3]" {
		t.Errorf("%d bytes, %v", len(marks.last().Details), marks.inFlight(t))
	}
}

// BenchmarkWrap is the cost of BEGIN and END and all that is around them.
func BenchmarkWrap(b *testing.B) {
	handler := New(KernelMarker{}).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := request(http.Header{"X-Call-Id": {"0d6cf7a2-6d54-4a3b-9f6a-2f6f2f6f2f6f"}}, "POST", "/", "127.0.0.1:4000")
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		handler.ServeHTTP(w, r)
	}
}

// BenchmarkMark is the system call alone.
func BenchmarkMark(b *testing.B) {
	for i := 0; i < b.N; i++ {
		KernelMarker{}.Mark(Mark{Kind: MarkEnd, Descriptor: NoDescriptor})
	}
}
