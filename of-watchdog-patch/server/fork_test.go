package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"faasprov/watchdog/config"
	"faasprov/watchdog/internal/testfn"
	"faasprov/watchdog/provenance"
)

func forkConfig(t *testing.T, mode config.Mode, words ...string) config.Config {
	return config.Config{Mode: mode, Process: testfn.Fork(t, words...), ContentType: "text/x-test", CGIHeaders: true,
		ExecTimeout: 20 * time.Second}
}

func bothForkModes(t *testing.T, test func(t *testing.T, mode config.Mode)) {
	for _, mode := range []config.Mode{config.ModeStreaming, config.ModeSerializing} {
		t.Run(string(mode), func(t *testing.T) { test(t, mode) })
	}
}

func TestAnInvocationByFork(t *testing.T) {
	bothForkModes(t, func(t *testing.T, mode config.Mode) {
		d := unleash(t, forkConfig(t, mode, "echo", "these")).ready()
		status, body, header := d.call("POST", "/p", "input")
		if status != 200 || body != "echo these input" || header.Get("Content-Type") != "text/x-test" {
			t.Errorf("%d %q %v", status, body, header)
		}
		if end := d.marks.end(t, idOf(header)); end[provenance.KeyStatus] != "200" || end[provenance.KeyBytes] != "16" {
			t.Errorf("%v", end)
		}
		if got := d.marks.text(""); got != "hello begin child child end" {
			t.Errorf("%s", got)
		}
		if marks := d.marks.all(); marks[2].ID != marks[1].ID || marks[3].ID != (provenance.ID{}) {
			t.Errorf("%v", marks)
		}
	})
}

func TestTheChildsEnvironment(t *testing.T) {
	bothForkModes(t, func(t *testing.T, mode config.Mode) {
		for _, cgi := range []bool{true, false} {
			c := forkConfig(t, mode, "env")
			c.CGIHeaders = cgi
			d := unleash(t, c).ready()
			_, body, _ := d.call("GET", "/a/b?q=1", "", "X-Call-Id", "call", "Traceparent", "tp")
			for _, line := range []string{"Http_X_Call_Id=call", "Http_Traceparent=tp", "Http_Method=GET",
				"Http_Path=/a/b", "Http_Query=q=1"} {
				if strings.Contains(body, line+"\n") != cgi {
					t.Errorf("cgi_headers %t: %s in %s", cgi, line, body)
				}
			}
			if strings.Contains(strings.ToUpper(body), "FAASPROV_") {
				t.Errorf("%s", body)
			}
			d.stop()
			d.end()
		}
	})
}

func TestForksThatFail(t *testing.T) {
	for _, c := range []struct {
		mode   config.Mode
		words  []string
		status int
		body   string
	}{
		{config.ModeStreaming, []string{"fail"}, 200, "before the failure\n"},
		{config.ModeSerializing, []string{"fail"}, 500, "exit status 7\n"},
		{config.ModeStreaming, []string{"closed"}, 200, "done\n"},
		{config.ModeSerializing, []string{"closed"}, 200, "done\n"},
	} {
		d := unleash(t, forkConfig(t, c.mode, c.words...)).ready()
		status, body, header := d.call("POST", "/", strings.Repeat("x", 1<<20))
		if status != c.status || body != c.body || d.marks.end(t, idOf(header))[provenance.KeyStatus] != fmt.Sprint(c.status) {
			t.Errorf("%v: %d %q", c, status, body)
		}
		d.stop()
		d.end()
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	bothForkModes(t, func(t *testing.T, mode config.Mode) {
		c := forkConfig(t, mode)
		c.Process = []string{"/nonexistent/program"}
		d := unleash(t, c).ready()
		status, _, header := d.call("GET", "/", "")
		if status != 500 || d.marks.end(t, idOf(header))[provenance.KeyStatus] != "500" {
			t.Errorf("%d", status)
		}
		if got := d.marks.text(""); got != "hello begin child child end" {
			t.Errorf("the thread is left marked: %s", got)
		}
	})
}

func TestForksThatTakeTooLong(t *testing.T) {
	for _, c := range []struct {
		mode   config.Mode
		word   string
		status int
		cut    bool
	}{
		{config.ModeStreaming, "sleep", 504, false},
		{config.ModeSerializing, "sleep", 504, false},
		{config.ModeSerializing, "partial", 504, false},
		{config.ModeStreaming, "partial", 200, true},
	} {
		settings := forkConfig(t, c.mode, c.word)
		settings.ExecTimeout = 700 * time.Millisecond
		d := unleash(t, settings).ready()
		start := time.Now()
		status, body, header := d.call("GET", "/", "")
		if status != c.status || strings.Contains(body, "…") != c.cut || time.Since(start) > 10*time.Second {
			t.Errorf("%v: %d %q after %v", c, status, body, time.Since(start))
		}
		if end := d.marks.end(t, idOf(header)); end[provenance.KeyStatus] != fmt.Sprint(c.status) {
			t.Errorf("%v: %v", c, end)
		}
		d.stop()
		d.end()
	}
}

// A child that outlives the program and holds its output is part of the
// invocation, and goes with it.
func TestTheWholeGroupIsKilled(t *testing.T) {
	c := forkConfig(t, config.ModeStreaming, "background")
	c.ExecTimeout = time.Second
	d := unleash(t, c).ready()
	_, body, _ := d.call("GET", "/", "")
	pid, err := strconv.Atoi(strings.Split(body, "\n")[0])
	if err != nil {
		t.Fatal(body)
	}
	until(t, "the background child's end", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) != nil
	})
}

func TestOutputPassesAsItComes(t *testing.T) {
	c := forkConfig(t, config.ModeStreaming, "partial")
	c.ExecTimeout = 3 * time.Second
	d := unleash(t, c).ready()
	response, err := http.Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	start := time.Now()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if line != "begun\n" || err != nil || time.Since(start) > 2*time.Second {
		t.Errorf("%q %v after %v", line, err, time.Since(start))
	}
}

func TestManyForksAtOnce(t *testing.T) {
	d := unleash(t, forkConfig(t, config.ModeSerializing, "echo")).ready()
	results := make(chan string)
	const n = 32
	for i := 0; i < n; i++ {
		go func() {
			_, body, header := d.call("POST", "/", fmt.Sprint(i))
			if body != fmt.Sprintf("echo %d", i) {
				t.Errorf("%q", body)
			}
			results <- idOf(header)
		}()
	}
	ids := make(map[string]bool)
	for i := 0; i < n; i++ {
		id := <-results
		ids[id] = true
		d.marks.end(t, id)
		if got := d.marks.text(id); got != "begin child end" {
			t.Errorf("%s", got)
		}
	}
	if len(ids) != n || strings.Count(d.marks.text(provenance.ID{}.String()), "child") != n {
		t.Errorf("%d ids, %s", len(ids), d.marks.text(provenance.ID{}.String()))
	}
}

func TestStaticFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.html"), []byte("<p>"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := unleash(t, config.Config{Mode: config.ModeStatic, StaticPath: dir}).ready()
	status, body, header := d.call("GET", "/page.html", "")
	if status != 200 || body != "<p>" || d.marks.end(t, idOf(header))[provenance.KeyBytes] != "3" {
		t.Errorf("%d %q", status, body)
	}
	if status, _, _ := d.call("GET", "/../../etc/passwd", ""); status != 404 {
		t.Errorf("%d", status)
	}
	until(t, "ends", func() bool { return d.marks.text("") == "hello begin end begin end" })
}

// An upgraded connection belongs to its invocation until it closes.
func TestUpgrade(t *testing.T) {
	c := httpConfig(t, 0)
	c.ExecTimeout = 200 * time.Millisecond // is not for conversations
	d := unleash(t, c).ready()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != 101 || idOf(response.Header) == "" {
		t.Fatalf("%v %v", response, err)
	}
	time.Sleep(400 * time.Millisecond)
	fmt.Fprint(conn, "ping")
	answer := make([]byte, 4)
	if _, err := io.ReadFull(reader, answer); err != nil || string(answer) != "ping" {
		t.Fatalf("%q %v", answer, err)
	}
	if got := d.marks.text(""); got != "hello begin connection" {
		t.Errorf("%s", got)
	}
	conn.Close()
	if end := d.marks.end(t, idOf(response.Header)); end[provenance.KeyStatus] != "101" {
		t.Errorf("%v", end)
	}
}
