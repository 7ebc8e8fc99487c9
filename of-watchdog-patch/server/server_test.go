package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"faasprov/watchdog/config"
	"faasprov/watchdog/internal/testfn"
	"faasprov/watchdog/provenance"
	"faasprov/watchdog/server"
)

func TestMain(m *testing.M) {
	testfn.Main()
	os.Exit(m.Run())
}

// recorder keeps marks in the order they were made.
type recorder struct {
	mu    sync.Mutex
	marks []provenance.Mark
}

func (r *recorder) Mark(m provenance.Mark) error {
	m.Details = bytes.Clone(m.Details)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = append(r.marks, m)
	return nil
}

func (r *recorder) all() []provenance.Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]provenance.Mark(nil), r.marks...)
}

var kindNames = map[provenance.Kind]string{provenance.MarkHello: "hello", provenance.MarkBegin: "begin",
	provenance.MarkConnection: "connection", provenance.MarkChild: "child", provenance.MarkEnd: "end"}

// text is the marks in words; of marks with id, only those of it.
func (r *recorder) text(id string) string {
	var words []string
	for _, m := range r.all() {
		if id == "" || m.ID.String() == id {
			words = append(words, kindNames[m.Kind])
		}
	}
	return strings.Join(words, " ")
}

func details(m provenance.Mark) map[provenance.Key]string {
	found := make(map[provenance.Key]string)
	for d := m.Details; len(d) >= 3; {
		n := int(d[1]) | int(d[2])<<8
		found[provenance.Key(d[0])] = string(d[3 : 3+n])
		d = d[3+n:]
	}
	return found
}

// end gives the details of the invocation's END, when it has come.
func (r *recorder) end(t *testing.T, id string) map[provenance.Key]string {
	t.Helper()
	var found map[provenance.Key]string
	until(t, "END of "+id, func() bool {
		for _, m := range r.all() {
			if m.Kind == provenance.MarkEnd && (m.ID.String() == id || id == "") {
				found = details(m)
				return true
			}
		}
		return false
	})
	return found
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// dog is a running watchdog.
type dog struct {
	t     *testing.T
	marks *recorder
	url   string
	lock  string
	stop  context.CancelFunc
	hurry chan struct{}
	ended chan error
}

// unleash starts a watchdog whose settings begin with those of a test: any free
// port, no metrics, no delay at the end.
func unleash(t *testing.T, c config.Config) *dog {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 20 * time.Second
	}
	c.LogBufferSize = 4096
	d := &dog{t: t, marks: &recorder{}, lock: filepath.Join(dir, ".lock"), hurry: make(chan struct{}, 1),
		ended: make(chan error, 1)}
	s, err := server.New(c, provenance.New(d.marks))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.Address().String(), "[::]"), ":")
	d.url = "http://127.0.0.1:" + port
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	go func() { d.ended <- s.Run(ctx, d.hurry) }()
	t.Cleanup(func() {
		stop()
		select {
		case d.hurry <- struct{}{}:
		default:
		}
		d.end()
	})
	return d
}

// end waits for the watchdog to end by itself.
func (d *dog) end() error {
	select {
	case err := <-d.ended:
		d.ended <- err
		return err
	case <-time.After(30 * time.Second):
		d.t.Fatal("the watchdog does not end")
		return nil
	}
}

func (d *dog) ready() *dog {
	d.t.Helper()
	until(d.t, "health", func() bool { return d.health() == http.StatusOK })
	return d
}

func (d *dog) health() int {
	d.t.Helper()
	status, _, _ := d.call("GET", "/_/health", "")
	return status
}

// call makes a request and gives status, body and header; status 0 is no answer.
func (d *dog) call(method, path, body string, header ...string) (int, string, http.Header) {
	d.t.Helper()
	r, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return do(r)
}

func do(r *http.Request) (int, string, http.Header) {
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, string(text) + "…" + err.Error(), response.Header
	}
	return response.StatusCode, string(text), response.Header
}

func idOf(h http.Header) string { return h.Get(provenance.ResponseHeader) }

func httpConfig(t *testing.T, delay time.Duration) config.Config {
	process, upstream := testfn.HTTP(t, delay)
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	return config.Config{Mode: config.ModeHTTP, Process: process, UpstreamURL: u, ExecTimeout: 10 * time.Second}
}

func seen(t *testing.T, body string) testfn.Seen {
	t.Helper()
	var s testfn.Seen
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return s
}

func TestAnInvocationOverHTTP(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	status, body, header := d.call("POST", "/a%2Fb?x=1;y&z", "payload", "X-Call-Id", "call-1",
		"X-Forwarded-For", "10.0.0.1:4444", "Traceparent", "00-1-2-03", "Authorization", "secret")
	s := seen(t, body)
	if status != 200 || s.Method != "POST" || s.URI != "/a%2Fb?x=1;y&z" || s.Body != "payload" || "http://"+s.Host != d.url {
		t.Errorf("%d %+v", status, s)
	}
	if h := s.Header; h.Get("X-Call-Id") != "call-1" || h.Get("X-Forwarded-For") != "10.0.0.1:4444" ||
		h.Get("Authorization") != "secret" || h.Get("Accept-Encoding") != "gzip" || h.Get(provenance.ResponseHeader) != "" {
		t.Errorf("%v", s.Header)
	}
	end := d.marks.end(t, idOf(header))
	if end[provenance.KeyStatus] != "200" || end[provenance.KeyBytes] != fmt.Sprint(len(body)) {
		t.Errorf("%v", end)
	}
	if got := d.marks.text(""); got != "hello begin connection end" {
		t.Errorf("%s", got)
	}
	begin := d.marks.all()[1]
	got := details(begin)
	if got[provenance.KeyCallID] != "call-1" || got[provenance.KeyTraceparent] != "00-1-2-03" ||
		got[provenance.KeyMethod] != "POST" || got[provenance.KeyURL] != "/a%2Fb?x=1;y&z" ||
		got[provenance.KeyForwarded] != "10.0.0.1:4444" || !strings.HasPrefix(got[provenance.KeyPeer], "127.0.0.1:") {
		t.Errorf("%v", got)
	}
	if header.Get("X-Duration-Seconds") == "" {
		t.Errorf("%v", header)
	}
}

func TestNothingIsAddedToTheRequest(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	_, body, _ := d.call("GET", "/", "")
	for name := range seen(t, body).Header {
		if name != "User-Agent" && name != "Accept-Encoding" {
			t.Errorf("header %s was added", name)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	const clients, each = 64, 5
	var wait sync.WaitGroup
	ids := make([][]string, clients)
	for i := range ids {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := 0; j < each; j++ {
				call := fmt.Sprintf("%d-%d", i, j)
				status, body, header := d.call("POST", "/?sleep=5", call, "X-Call-Id", call)
				if status != 200 || !strings.Contains(body, `"`+call+`"`) {
					t.Errorf("%d %s", status, body)
				}
				ids[i] = append(ids[i], idOf(header)+" "+call)
			}
		}()
	}
	wait.Wait()
	unique := make(map[string]bool)
	for _, of := range ids {
		for _, id := range of {
			id, call, _ := strings.Cut(id, " ")
			unique[id] = true
			d.marks.end(t, id)
			if got := d.marks.text(id); got != "begin connection end" && got != "begin connection connection end" {
				t.Errorf("%s: %s", id, got)
			}
			for _, m := range d.marks.all() {
				if m.Kind == provenance.MarkBegin && m.ID.String() == id && details(m)[provenance.KeyCallID] != call {
					t.Errorf("%s is not of %s", id, call)
				}
			}
		}
	}
	if len(unique) != clients*each {
		t.Errorf("%d ids for %d invocations", len(unique), clients*each)
	}
}

// A kept connection hangs up, the transport takes another one: both are marked.
func TestAnotherConnectionAfterAFailure(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	_, _, first := d.call("GET", "/hangup?after=1", "")
	status, _, second := d.call("GET", "/hangup?after=1", "")
	if status != 200 {
		t.Fatalf("%d", status)
	}
	d.marks.end(t, idOf(second))
	if got := d.marks.text(idOf(first)); got != "begin connection end" {
		t.Errorf("%s", got)
	}
	if got := d.marks.text(idOf(second)); got != "begin connection connection end" {
		t.Errorf("%s", got)
	}
}

func TestTimeouts(t *testing.T) {
	c := httpConfig(t, 0)
	c.ExecTimeout = 300 * time.Millisecond
	d := unleash(t, c).ready()
	status, _, header := d.call("GET", "/?sleep=5000", "")
	if status != 504 || header.Get("X-OpenFaaS-Internal") == "" || d.marks.end(t, idOf(header))[provenance.KeyStatus] != "504" {
		t.Errorf("%d %v", status, header)
	}
	start := time.Now()
	if status, _, _ := d.call("GET", "/?sleep=5000", "", "X-Timeout", "20ms"); status != 504 || time.Since(start) > 250*time.Millisecond {
		t.Errorf("%d after %v", status, time.Since(start))
	}
	status, body, header := d.call("GET", "/partial", "")
	if status != 200 || !strings.HasPrefix(body, "begun…") {
		t.Errorf("a cut answer looks whole: %d %q", status, body)
	}
	if end := d.marks.end(t, idOf(header)); end[provenance.KeyStatus] != "200" || end[provenance.KeyBytes] != "5" {
		t.Errorf("%v", end)
	}
}

func TestTheCallerLeaves(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, "GET", d.url+"/?sleep=30000", nil)
	go func() {
		until(t, "connection", func() bool { return strings.HasSuffix(d.marks.text(""), "connection") })
		cancel()
	}()
	if status, _, _ := do(r); status != 0 {
		t.Errorf("%d", status)
	}
	if end := d.marks.end(t, ""); end[provenance.KeyStatus] != "499" {
		t.Errorf("%v", end)
	}
}

// A request that comes before the function listens waits, and begins after.
func TestRequestsWaitForTheFunction(t *testing.T) {
	d := unleash(t, httpConfig(t, time.Second))
	result := make(chan int)
	go func() {
		status, _, _ := d.call("GET", "/", "")
		result <- status
	}()
	time.Sleep(200 * time.Millisecond)
	if d.health() != 503 || d.marks.text("") != "hello" {
		t.Errorf("health %d, marks %s", d.health(), d.marks.text(""))
	}
	if _, err := os.Stat(d.lock); err == nil {
		t.Error("the lock file is there before the function is")
	}
	if status := <-result; status != 200 {
		t.Errorf("%d", status)
	}
	d.ready()
}

func TestAFunctionThatNeverListens(t *testing.T) {
	c := httpConfig(t, time.Minute)
	c.ExecTimeout = 100 * time.Millisecond
	d := unleash(t, c)
	if status, _, _ := d.call("GET", "/", ""); status != 504 || d.marks.text("") != "hello" {
		t.Errorf("%d %s", status, d.marks.text(""))
	}
}

func TestTheFunctionDies(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	slow := make(chan int)
	go func() {
		status, _, _ := d.call("GET", "/?sleep=30000", "")
		slow <- status
	}()
	until(t, "the slow request", func() bool { return strings.Contains(d.marks.text(""), "connection") })
	status, _, _ := d.call("POST", "/die", "")
	if other := <-slow; status != 500 || other != 500 {
		t.Errorf("%d %d", status, other)
	}
	if err := d.end(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	if got := d.marks.text(""); strings.Count(got, "begin") != 2 || strings.Count(got, "end") != 2 {
		t.Errorf("%s", got)
	}
	if _, err := os.Stat(d.lock); err == nil {
		t.Error("the lock file is left")
	}
}

func TestAFunctionThatCannotStart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := httpConfig(t, 0)
	c.Process = []string{"/nonexistent/function"}
	if _, err := server.New(c, nil); err == nil || !strings.Contains(err.Error(), "/nonexistent/function") {
		t.Errorf("%v", err)
	}
}

func TestMarksThatDoNotWorkStopTheStart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := server.New(httpConfig(t, 0), provenance.New(deaf{})); err == nil || !strings.Contains(err.Error(), "seccomp") {
		t.Errorf("%v", err)
	}
}

type deaf struct{}

func (deaf) Mark(provenance.Mark) error { return errors.New("seccomp forbids") }

func TestMaxInflight(t *testing.T) {
	c := httpConfig(t, 0)
	c.MaxInflight = 2
	d := unleash(t, c).ready()
	var wait sync.WaitGroup
	for i := 0; i < 2; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if status, _, _ := d.call("GET", "/?sleep=1000", ""); status != 200 {
				t.Errorf("%d", status)
			}
		}()
	}
	until(t, "two in flight", func() bool { return strings.Count(d.marks.text(""), "connection") == 2 })
	if status, _, header := d.call("GET", "/", ""); status != 429 || idOf(header) != "" {
		t.Errorf("%d %v", status, header)
	}
	if status, _, _ := d.call("GET", "/_/ready", ""); status != 429 {
		t.Errorf("%d", status)
	}
	if d.health() != 200 {
		t.Error("not healthy at the limit")
	}
	wait.Wait()
	if status, _, _ := d.call("GET", "/", ""); status != 200 {
		t.Errorf("%d", status)
	}
	until(t, "ends", func() bool { return strings.Count(d.marks.text(""), "end") == 3 })
	if strings.Count(d.marks.text(""), "begin") != 3 {
		t.Errorf("a refused request was marked: %s", d.marks.text(""))
	}
}

func TestReadiness(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	if status, body, _ := d.call("GET", "/_/ready", ""); status != 200 || body != "" {
		t.Errorf("%d %q", status, body)
	}
	for _, path := range []string{"/_/ready", "/_/health"} {
		if status, _, _ := d.call("POST", path, ""); status != 405 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// A probe never comes over a connection that was an invocation's, nor leaves
// one behind for an invocation: the connection's mark would claim it.
func TestReadinessAsksTheFunctionUnmarked(t *testing.T) {
	c := httpConfig(t, 0)
	c.ReadyPath = "/custom"
	d := unleash(t, c).ready()
	_, before, header := d.call("GET", "/", "")
	d.marks.end(t, idOf(header))
	marks := d.marks.text("")
	status, probe, header := d.call("GET", "/_/ready?status=503", "")
	if s := seen(t, probe); status != 200 || s.URI != "/custom" || s.Peer == seen(t, before).Peer || idOf(header) != "" {
		t.Errorf("%d %+v %v", status, s, header)
	}
	if d.marks.text("") != marks {
		t.Errorf("%s", d.marks.text(""))
	}
	_, after, _ := d.call("GET", "/", "")
	if seen(t, after).Peer == seen(t, probe).Peer {
		t.Error("the probe's connection was used again")
	}
}

func TestBodies(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		c := httpConfig(t, 0)
		c.BufferHTTPBody = buffered
		d := unleash(t, c).ready()
		r, _ := http.NewRequest("PUT", d.url, io.MultiReader(strings.NewReader("of unknown"), strings.NewReader(" length")))
		_, body, _ := do(r)
		if s := seen(t, body); s.Body != "of unknown length" || s.Chunked == buffered || (s.ContentLength == 17) != buffered {
			t.Errorf("buffered %t: %+v", buffered, s)
		}
		if status, body, _ := d.call("GET", "/bytes?n=3000000", ""); status != 200 || len(body) != 3000000 {
			t.Errorf("%d %d", status, len(body))
		}
		if _, body, header := d.call("GET", "/chunks", ""); body != "chunk 0\nchunk 1\nchunk 2\n" ||
			d.marks.end(t, idOf(header))[provenance.KeyBytes] != "24" {
			t.Errorf("%q", body)
		}
		if _, _, header := d.call("GET", "/relay", ""); len(header[provenance.ResponseHeader]) != 1 || strings.Contains(idOf(header), "another") {
			t.Errorf("%v", header)
		}
		if status, _, header := d.call("GET", "/?status=418", ""); status != 418 || d.marks.end(t, idOf(header))[provenance.KeyStatus] != "418" {
			t.Errorf("%d", status)
		}
		d.stop()
		d.end()
	}
}

func TestOneShot(t *testing.T) {
	c := httpConfig(t, 0)
	c.OneShot = true
	c.HealthcheckInterval = time.Hour
	d := unleash(t, c).ready()
	d.call("GET", "/_/ready", "")
	result := make(chan int)
	go func() {
		status, _, _ := d.call("GET", "/?sleep=500", "")
		result <- status
	}()
	until(t, "the first", func() bool { return strings.Contains(d.marks.text(""), "connection") })
	if status, _, _ := d.call("GET", "/", ""); status != 503 && status != 0 {
		t.Errorf("%d", status)
	}
	if status := <-result; status != 200 {
		t.Errorf("%d", status)
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
	if got := d.marks.text(""); got != "hello begin connection end" {
		t.Errorf("%s", got)
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	c := httpConfig(t, 0)
	c.HealthcheckInterval = 300 * time.Millisecond
	d := unleash(t, c).ready()
	result := make(chan int)
	go func() {
		status, _, _ := d.call("GET", "/?sleep=1500", "")
		result <- status
	}()
	until(t, "the request", func() bool { return strings.Contains(d.marks.text(""), "connection") })
	d.stop()
	until(t, "unhealthy", func() bool { return d.health() != 200 })
	if status, _, _ := d.call("GET", "/", ""); status != 200 {
		t.Errorf("not served in the time of grace: %d", status)
	}
	if _, err := os.Stat(d.lock); err == nil {
		t.Error("the lock file is left")
	}
	if status := <-result; status != 200 {
		t.Errorf("%d", status)
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
	if got := d.marks.text(""); strings.Count(got, "begin") != 2 || strings.Count(got, "end") != 2 {
		t.Errorf("%s", got)
	}
}

func TestHurry(t *testing.T) {
	c := httpConfig(t, 0)
	c.HealthcheckInterval = time.Hour
	d := unleash(t, c).ready()
	d.stop()
	d.hurry <- struct{}{}
	if err := d.end(); err != nil {
		t.Error(err)
	}
}

func TestTheLockFile(t *testing.T) {
	d := unleash(t, httpConfig(t, 0)).ready()
	if err := os.Remove(d.lock); err != nil {
		t.Fatal(err)
	}
	if d.health() != 503 {
		t.Error("healthy without the lock file")
	}
	c := httpConfig(t, 0)
	c.SuppressLock = true
	d = unleash(t, c).ready()
	if _, err := os.Stat(d.lock); err == nil {
		t.Error("suppress_lock was ignored")
	}
}

func TestMetrics(t *testing.T) {
	c := httpConfig(t, 0)
	fmt.Sscanf(testfn.FreeAddress(t), "127.0.0.1:%d", &c.MetricsPort)
	d := unleash(t, c).ready()
	d.call("GET", "/", "")
	d.call("POST", "/?status=500", "")
	d.call("STRANGE", "/", "")
	r, _ := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/metrics", c.MetricsPort), nil)
	var text string
	until(t, "all counted", func() bool { // a request is counted when its answer may already be there
		_, text, _ = do(r)
		return strings.Count(text, "http_requests_total{") == 3 && strings.Contains(text, "http_requests_in_flight 0\n")
	})
	for _, want := range []string{`http_requests_total{code="200",method="GET"} 1`,
		`http_requests_total{code="500",method="POST"} 1`, `http_requests_total{code="200",method="unknown"} 1`,
		`http_request_duration_seconds_bucket{code="200",method="GET",le="+Inf"} 1`,
		`http_request_duration_seconds_count{code="500",method="POST"} 1`, "# TYPE http_request_duration_seconds histogram"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if d.marks.end(t, ""); strings.Count(d.marks.text(""), "begin") != 3 {
		t.Errorf("%s", d.marks.text(""))
	}
}
