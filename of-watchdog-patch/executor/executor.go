// Package executor holds the ways a request reaches a function: a long-lived
// HTTP process, a process for each request, or files.  Each is an http.Handler
// and knows nothing of limits, health or marks; processes are started through
// a Starter, so that who watches invocations can stand around the fork.
package executor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"time"
)

// Starter starts the process of one invocation.
type Starter func(ctx context.Context, cmd *exec.Cmd) error

// Plain starts a process and does nothing else.
func Plain(_ context.Context, cmd *exec.Cmd) error {
	return cmd.Start()
}

// StatusClientClosed is logged and marked when the caller left before there was
// an answer; nobody receives it.
const StatusClientClosed = 499

const (
	headerDuration = "X-Duration-Seconds"
	headerInternal = "X-OpenFaaS-Internal" // the answer is the watchdog's own, not the function's
	headerTimeout  = "X-Timeout"
)

// timeout is how long r may run: X-Timeout may shorten exec_timeout, and has no
// effect where there is none to shorten.  0 is no limit.
func timeout(r *http.Request, limit time.Duration) time.Duration {
	asked, err := time.ParseDuration(r.Header.Get(headerTimeout))
	if err != nil || asked <= 0 || asked > limit {
		return limit
	}
	return asked
}

func withTimeout(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// statusOf is the answer to a request that failed with err before the function
// answered.
func statusOf(ctx context.Context, err error) int {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(ctx.Err(), context.Canceled):
		return StatusClientClosed
	default:
		return http.StatusInternalServerError
	}
}

func setDuration(h http.Header, start time.Time) {
	h.Set(headerDuration, fmt.Sprintf("%f", time.Since(start).Seconds()))
}

// fail answers in the watchdog's own name.
func fail(w http.ResponseWriter, start time.Time, status int, text string) {
	setDuration(w.Header(), start)
	w.Header().Set(headerInternal, "of-watchdog")
	if text == "" {
		w.WriteHeader(status)
		return
	}
	http.Error(w, text, status)
}
