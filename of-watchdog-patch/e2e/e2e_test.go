// Package e2e runs the two programs as they are installed.
package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"faasprov/watchdog/internal/testfn"
)

var binaries string // where TestMain built them

func TestMain(m *testing.M) {
	testfn.Main()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "watchdog")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version=9.8.7",
			"-o", dir, "../cmd/fwatchdog", "../cmd/of-watchdog")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		binaries = dir
		return m.Run()
	}())
}

// output collects what a program prints, while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// program is a running watchdog.
type program struct {
	t     testing.TB
	cmd   *exec.Cmd
	url   string
	said  *output
	ended bool
}

// settings is an environment for a watchdog on free ports.
func settings(t testing.TB, more ...string) []string {
	t.Helper()
	_, port, _ := strings.Cut(testfn.FreeAddress(t), ":")
	env := append(os.Environ(), "port="+port, "metrics_port=0", "TMPDIR="+t.TempDir(), "healthcheck_interval=0")
	return append(env, more...)
}

func httpSettings(t testing.TB, more ...string) []string {
	t.Helper()
	process, upstream := testfn.HTTP(t, 0)
	return settings(t, append([]string{"mode=http", "fprocess=" + strings.Join(process, " "), "upstream_url=" + upstream}, more...)...)
}

func value(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// start runs name, through the words of wrap if there are any, until it is ready.
func start(t testing.TB, env []string, name string, wrap ...string) *program {
	t.Helper()
	argv := append(wrap, filepath.Join(binaries, name))
	p := &program{t: t, cmd: exec.Command(argv[0], argv[1:]...), said: &output{},
		url: "http://127.0.0.1:" + value(env, "port")}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all of it can be ended
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.ended {
			syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.said)
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		response, err := http.Get(p.url + "/_/health")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %v\n%s", name, err, p.said)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// end waits for the program and gives its exit code.
func (p *program) end() int {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		p.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
		p.ended = true
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		p.t.Fatal("does not end")
		return -1
	}
}

// get gives the invocation's id as the response names it.
func (p *program) get(path string) (id, body string) {
	p.t.Helper()
	response, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.Header.Get("X-Faasprov-Request"), string(text)
}

// run gives exit code and output of a program that ends by itself.
func run(t *testing.T, env []string, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries, name), args...)
	var out, err strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &err
	cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

func TestCommandLine(t *testing.T) {
	for _, name := range []string{"fwatchdog", "of-watchdog"} {
		if code, out, _ := run(t, nil, name, "--version"); code != 0 || !strings.HasPrefix(out, name+" 9.8.7 ") {
			t.Errorf("%d %s", code, out)
		}
		if code, out, _ := run(t, nil, name, "--help"); code != 0 || !strings.Contains(out, "Usage: "+name) {
			t.Errorf("%d %s", code, out)
		}
		for _, args := range [][]string{{"--nonsense"}, {"word"}} {
			if code, _, err := run(t, nil, name, args...); code != 2 || strings.Count(err, "\n") != 1 || !strings.Contains(err, "--help") {
				t.Errorf("%v: %d %s", args, code, err)
			}
		}
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	for _, c := range []struct {
		env  []string
		code int
		want string
	}{
		{[]string{"mode=http", "fprocess=x"}, 2, "http_upstream_url"},
		{[]string{"fprocess=x", "jwt_auth=true"}, 2, "jwt_auth"},
		{[]string{"fprocess=x", "mode=inproc"}, 2, "inproc"},
		{[]string{"fprocess=/nonexistent", "mode=http", "upstream_url=http://127.0.0.1:1", "port=0"}, 2, "port"},
		{settings(t, "fprocess=/nonexistent", "mode=http", "upstream_url=http://127.0.0.1:1"), 4, "/nonexistent"},
	} {
		code, _, err := run(t, c.env, "fwatchdog")
		lines := strings.Split(strings.TrimSpace(err), "\n")
		if code != c.code || !strings.Contains(lines[len(lines)-1], c.want) {
			t.Errorf("%s: %d %s", c.want, code, err)
		}
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	env := httpSettings(t)
	start(t, env, "fwatchdog")
	code, _, err := run(t, append(env, "TMPDIR="+t.TempDir()), "fwatchdog")
	if code != 4 || !strings.Contains(err, "address already in use") {
		t.Errorf("%d %s", code, err)
	}
}

func TestFromStartToEnd(t *testing.T) {
	for _, name := range []string{"fwatchdog", "of-watchdog"} {
		env := httpSettings(t, "log_call_id=true", "write_debug=true")
		if code, _, err := run(t, env, name, "--run-healthcheck"); code != 1 || err == "" {
			t.Errorf("%d %s", code, err)
		}
		p := start(t, env, name)
		if code, _, err := run(t, env, name, "--run-healthcheck"); code != 0 {
			t.Errorf("%d %s", code, err)
		}
		if id, body := p.get("/x"); (len(id) == 32) != (name == "fwatchdog") || !strings.Contains(body, `"URI":"/x"`) {
			t.Errorf("%q %s", id, body)
		}
		p.cmd.Process.Signal(syscall.SIGTERM)
		if code := p.end(); code != 0 {
			t.Errorf("%d", code)
		}
		for _, want := range []string{"stdout: function listens\n", "GET /x - 200 OK - ContentLength: ", "s) [none]\n",
			"write_debug has no effect", "version=9.8.7"} {
			if !strings.Contains(p.said.String(), want) {
				t.Errorf("%q was not said: %s", want, p.said)
			}
		}
		if _, err := os.Stat(filepath.Join(value(env, "TMPDIR"), ".lock")); err == nil {
			t.Error("the lock file is left")
		}
	}
}

func TestItEndsWithItsFunction(t *testing.T) {
	p := start(t, httpSettings(t), "fwatchdog")
	http.Get(p.url + "/die")
	if code := p.end(); code != 4 || !strings.Contains(p.said.String(), "the function has ended: exit status 3") {
		t.Errorf("%d %s", code, p.said)
	}
}

func TestASecondSignalHurries(t *testing.T) {
	p := start(t, httpSettings(t, "healthcheck_interval=1h"), "fwatchdog")
	p.cmd.Process.Signal(syscall.SIGTERM)
	for !strings.Contains(p.said.String(), "shutting down") {
		time.Sleep(time.Millisecond)
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("%d", code)
	}
}
