package executor

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// As its container's first process the watchdog inherits whatever a function
// left behind.  Each such process keeps its number, which the container has
// only so many of, until it has been waited for.
//
// Its own children are waited for where they were started, which needs to know
// how they ended; so those are known by number, and all others are orphans.
type ownChildren struct {
	mu   sync.Mutex // held from before a fork until its number is known
	pids map[int]struct{}
}

var children = ownChildren{pids: make(map[int]struct{})}

// start runs do, which starts cmd.
func (c *ownChildren) start(cmd *exec.Cmd, do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := do()
	if err == nil {
		c.pids[cmd.Process.Pid] = struct{}{}
	}
	return err
}

// wait is cmd.Process.Wait, for what start has started.
func (c *ownChildren) wait(cmd *exec.Cmd) (*os.ProcessState, error) {
	state, err := cmd.Process.Wait()
	c.mu.Lock()
	delete(c.pids, cmd.Process.Pid)
	c.mu.Unlock()
	return state, err
}

// Orphans become children of the first thread, whose list this is; our own may be there, too.
var listOfChildren = fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())

// reap waits for those orphans that have ended.
func (c *ownChildren) reap() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := os.ReadFile(listOfChildren)
	if err != nil {
		return err
	}
	for _, word := range strings.Fields(string(list)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		if _, own := c.pids[pid]; !own {
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
	return nil
}

// Passes are so far apart at least: a function that leaves many processes does not keep the watchdog busy.
const reapPause = 10 * time.Millisecond

// ReapOrphans waits for what functions leave behind, from now on until the
// function that it returns is called.  It does nothing but in a container's
// first process, to which alone orphans come.
func ReapOrphans() func() {
	if os.Getpid() != 1 {
		return func() {}
	}
	return children.reapAlways()
}

func (c *ownChildren) reapAlways() func() {
	ended := make(chan os.Signal, 1) // one that waits stands for all
	signal.Notify(ended, syscall.SIGCHLD)
	stop := make(chan struct{})
	go func() {
		for {
			if err := c.reap(); err != nil {
				slog.Warn("processes that the function leaves behind stay as zombies", "error", err)
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(reapPause):
			}
			select {
			case <-stop:
				return
			case <-ended:
			}
		}
	}()
	return func() {
		signal.Stop(ended)
		close(stop)
	}
}
