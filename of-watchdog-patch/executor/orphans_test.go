package executor

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const prSetChildSubreaper = 36

// adopt makes this process the one that orphans come to, as a container's first is.
func adopt(t *testing.T) {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 0, 0) })
	if _, err := os.ReadFile(listOfChildren); err != nil {
		t.Skip(err)
	}
}

func orphans(t *testing.T) []string {
	list, err := os.ReadFile(listOfChildren)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(list))
}

func fork(script string, buffered bool) *Fork {
	return &Fork{Process: []string{"/bin/sh", "-c", script}, ExecTimeout: time.Minute, Buffered: buffered,
		Output: Output{Stdout: io.Discard, Stderr: io.Discard}, Start: Plain}
}

// Each request leaves a process behind that lives on for a while and one that
// has ended before; none stays, and how the function's own ended is known.
func TestWhatFunctionsLeaveBehindIsWaitedFor(t *testing.T) {
	adopt(t)
	defer children.reapAlways()()
	const requests = 40
	var all sync.WaitGroup
	for i := range requests {
		all.Add(1)
		go func() {
			defer all.Done()
			answer := httptest.NewRecorder()
			script, status := "(sleep 0.1 >/dev/null 2>&1 &) ; (: &) ; echo done", http.StatusOK
			if i%2 == 1 {
				script, status = script+"; exit 7", http.StatusInternalServerError
			}
			fork(script, true).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
			text, want := answer.Body.String(), map[int]string{200: "done\n", 500: "exit status 7\n"}[status]
			if answer.Code != status || text != want {
				t.Errorf("%d %q", answer.Code, text)
			}
		}()
	}
	all.Wait()
	for deadline := time.Now().Add(time.Minute); len(orphans(t)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("left: %v", orphans(t))
		}
	}
	if n := len(children.pids); n != 0 {
		t.Errorf("%d children are still taken for our own", n)
	}
}

// A process that is known is not waited for, however long it has ended.
func TestOwnChildrenAreLeftToWhoStartedThem(t *testing.T) {
	adopt(t)
	cmd := exec.Command("/bin/sh", "-c", "exit 5")
	if err := children.start(cmd, cmd.Start); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(stateOf(t, cmd.Process.Pid), "(zombie)") {
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		if err := children.reap(); err != nil {
			t.Fatal(err)
		}
	}
	state, err := children.wait(cmd)
	if err != nil || state.ExitCode() != 5 {
		t.Errorf("%v %v", state, err)
	}
}

func stateOf(t *testing.T, pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
