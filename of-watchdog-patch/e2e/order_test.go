package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"faasprov/watchdog/internal/testfn"
)

// A call is one system call in the order in which the kernel was entered.
type call struct {
	tid  string
	name string
	args string

	kind uint64 // of a mark, else 0
	id   string
	fd   string // of a mark or a write
}

const (
	hello, begin, connection, child, end = 1, 2, 3, 4, 5
	noID                                 = "00000000000000000000000000000000"
)

var (
	callLine = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	markArgs = regexp.MustCompile(`^0x46505256[^,]*, (\w+), (\w+), (\w+),`)
)

// traced runs work against fwatchdog under strace and gives all calls.
func traced(t *testing.T, env []string, name string, work func(p *program)) []call {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %s", out)
	}
	log := filepath.Join(t.TempDir(), "strace")
	p := start(t, env, name, "strace", "-f", "-q", "-s", "600", "-o", log,
		"-e", "trace=prctl,write,sendto,clone,clone3,fork,vfork,execve", "-e", "signal=none")
	work(p)
	stop(t, p, log)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

// stop ends the program itself: the first process in strace's log.
func stop(t *testing.T, p *program, log string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(text))[0])
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func parse(t *testing.T, text string) []call {
	t.Helper()
	var calls []call
	for _, line := range strings.Split(text, "\n") {
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue // an end of an interrupted line, an exit
		}
		c := call{tid: m[1], name: m[2], args: m[3]}
		if mark := markArgs.FindStringSubmatch(c.args); c.name == "prctl" && mark != nil {
			arg2, _ := strconv.ParseUint(mark[1], 0, 64)
			high, _ := strconv.ParseUint(mark[2], 0, 64)
			low, _ := strconv.ParseUint(mark[3], 0, 64)
			c.kind, c.fd, c.id = arg2&0xff, fmt.Sprint(arg2>>32), fmt.Sprintf("%016x%016x", high, low)
			if !strings.HasSuffix(line, "= -1 EINVAL (Invalid argument)") && !strings.Contains(line, "unfinished") {
				t.Errorf("a mark had an effect: %s", line)
			}
		}
		if c.name == "write" || c.name == "sendto" {
			c.fd, _, _ = strings.Cut(c.args, ",")
		}
		calls = append(calls, c)
	}
	return calls
}

// find gives the place of the first call from start on that is as wanted, or -1.
func find(calls []call, start int, wanted func(c call) bool) int {
	for i := start; i < len(calls); i++ {
		if wanted(calls[i]) {
			return i
		}
	}
	return -1
}

func mark(kind uint64, id string) func(call) bool {
	return func(c call) bool { return c.kind == kind && (id == "" || c.id == id) }
}

func writes(text string) func(call) bool {
	return func(c call) bool { return (c.name == "write" || c.name == "sendto") && strings.Contains(c.args, text) }
}

// startsProcess: a thread's clone carries CLONE_THREAD.
func startsProcess(c call) bool {
	switch c.name {
	case "clone", "clone3", "fork", "vfork":
		return !strings.Contains(c.args, "CLONE_THREAD")
	}
	return false
}

func checkHello(t *testing.T, calls []call) {
	t.Helper()
	said := find(calls, 0, mark(hello, noID))
	made := find(calls, 0, func(c call) bool { return startsProcess(c) && strings.Contains(c.args, "SIGCHLD") })
	if said < 0 || made < 0 || said > made {
		t.Errorf("HELLO is call %d, the first process call %d", said, made)
	}
	if find(calls, said+1, mark(hello, "")) >= 0 {
		t.Error("HELLO twice")
	}
}

// checkEnds: END is the last of an invocation's marks, once, after its answer.
func checkEnds(t *testing.T, calls []call, id string) {
	t.Helper()
	began := find(calls, 0, mark(begin, id))
	answered := find(calls, 0, writes("X-Faasprov-Request: "+id))
	ended := find(calls, 0, mark(end, id))
	if began < 0 || answered < began || ended < answered {
		t.Errorf("%s: BEGIN is call %d, the answer %d, END %d", id, began, answered, ended)
	}
	if again := find(calls, ended+1, func(c call) bool { return c.id == id }); again >= 0 {
		t.Errorf("%s: a mark after END: %+v", id, calls[again])
	}
}

// Whatever is written to the function stands under the latest mark of its
// connection: on new, kept and replaced connections, with many at once.
func TestOrderOverHTTP(t *testing.T) {
	ids := make(map[string]string) // URL → id
	calls := traced(t, httpSettings(t), "fwatchdog", func(p *program) {
		var mu sync.Mutex
		get := func(path string) {
			id, _ := p.get(path)
			mu.Lock()
			defer mu.Unlock()
			ids[path] = id
		}
		get("/hangup?after=1&n=1")
		get("/hangup?after=1&n=2") // the function closes the kept connection
		var wait sync.WaitGroup
		for i := 0; i < 6; i++ {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for j := 0; j < 4; j++ {
					get(fmt.Sprintf("/?sleep=3&n=%d-%d", i, j))
				}
			}()
		}
		wait.Wait()
	})
	checkHello(t, calls)
	for path, id := range ids {
		checkEnds(t, calls, id)
		sent := 0
		for i := find(calls, 0, writes("GET "+path+" HTTP")); i >= 0; i = find(calls, i+1, writes("GET "+path+" HTTP")) {
			sent++
			latest := ""
			for _, c := range calls[:i] {
				if c.kind == connection && c.fd == calls[i].fd {
					latest = c.id
				}
			}
			if latest != id {
				t.Errorf("%s of %s was written under %q", path, id, latest)
			}
		}
		want := 1
		if path == "/hangup?after=1&n=2" {
			want = 2
		}
		if sent != want {
			t.Errorf("%s was sent %d times", path, sent)
		}
	}
}

// The process of an invocation, and nothing else, is forked by the thread that
// said so.
func TestOrderByFork(t *testing.T) {
	for _, mode := range []string{"streaming", "serializing"} {
		process := testfn.Fork(t, "echo")
		env := settings(t, "mode="+mode, "fprocess="+strings.Join(process, " "))
		var ids []string
		calls := traced(t, env, "fwatchdog", func(p *program) {
			var mu sync.Mutex
			var wait sync.WaitGroup
			for i := 0; i < 6; i++ {
				wait.Add(1)
				go func() {
					defer wait.Done()
					id, _ := p.get("/")
					mu.Lock()
					defer mu.Unlock()
					ids = append(ids, id)
				}()
			}
			wait.Wait()
		})
		checkHello(t, calls)
		for _, id := range ids {
			checkEnds(t, calls, id)
			opened := find(calls, 0, mark(child, id))
			if opened < 0 {
				t.Fatalf("%s: no CHILD", id)
			}
			tid := calls[opened].tid
			closed := find(calls, opened, func(c call) bool { return c.kind == child && c.id == noID && c.tid == tid })
			var made, threads int
			for _, c := range calls[opened : closed+1] {
				if c.tid == tid && startsProcess(c) {
					made++
				} else if c.tid == tid && strings.HasPrefix(c.name, "clone") {
					threads++
				}
			}
			if made != 1 || threads != 0 {
				t.Errorf("%s: %d processes and %d threads under CHILD", id, made, threads)
			}
		}
		said := find(calls, 0, mark(hello, ""))
		for i := find(calls, said, startsProcess); i >= 0; i = find(calls, i+1, startsProcess) {
			last := call{}
			for _, c := range calls[:i] {
				if c.kind == child && c.tid == calls[i].tid {
					last = c
				}
			}
			if last.id == "" || last.id == noID {
				t.Errorf("a process of no invocation: %+v", calls[i])
			}
		}
	}
}

func TestTheVanillaProgramMakesNoMarks(t *testing.T) {
	calls := traced(t, httpSettings(t), "of-watchdog", func(p *program) { p.get("/") })
	if i := find(calls, 0, func(c call) bool { return strings.Contains(c.args, "0x46505256") }); i >= 0 {
		t.Errorf("%+v", calls[i])
	}
	if find(calls, 0, writes("X-Faasprov")) >= 0 {
		t.Error("it names an id")
	}
}
