package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Fork runs a process for each request: the request's body is its standard
// input, its standard output the response's body.
type Fork struct {
	Process     []string
	ExecTimeout time.Duration
	ContentType string
	CGIHeaders  bool // request in the process's environment, as Http_…
	Buffered    bool // serializing: bodies are held whole; else they pass as they come
	Output      Output
	Start       Starter
}

func (f *Fork) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	ctx, cancel := withTimeout(context.WithoutCancel(r.Context()), timeout(r, f.ExecTimeout))
	defer cancel()
	w.Header().Set("Content-Type", f.ContentType)
	if f.Buffered {
		f.serveBuffered(ctx, w, r, start)
	} else {
		f.serveStreaming(ctx, w, r, start)
	}
}

// serveStreaming can tell the caller of a failure only while nothing was
// written; later it breaks the connection off, so that what came is not taken
// for the whole.
func (f *Fork) serveStreaming(ctx context.Context, w http.ResponseWriter, r *http.Request, start time.Time) {
	out := &flushing{w: w, controller: http.NewResponseController(w)}
	err := f.run(ctx, r, r.Body, out)
	if err == nil {
		return
	}
	slog.Error("function failed", "method", r.Method, "uri", r.RequestURI, "error", err)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && ctx.Err() == nil: // what it wrote is its answer
	case out.written:
		panic(http.ErrAbortHandler)
	default:
		fail(w, start, statusOf(ctx, err), "")
	}
}

func (f *Fork) serveBuffered(ctx context.Context, w http.ResponseWriter, r *http.Request, start time.Time) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, start, http.StatusBadRequest, "cannot read the request's body: "+err.Error())
		return
	}
	var out bytes.Buffer
	if err := f.run(ctx, r, bytes.NewReader(body), &out); err != nil {
		slog.Error("function failed", "method", r.Method, "uri", r.RequestURI, "error", err)
		fail(w, start, statusOf(ctx, err), err.Error())
		return
	}
	setDuration(w.Header(), start)
	w.Write(out.Bytes())
}

// flushing passes each piece on at once.
type flushing struct {
	w          io.Writer
	controller *http.ResponseController
	written    bool
}

func (f *flushing) Write(data []byte) (int, error) {
	f.written = true
	n, err := f.w.Write(data)
	if err == nil {
		f.controller.Flush()
	}
	return n, err
}

// run makes one process and returns when it has ended and its output has.  At
// the deadline it kills the process and all of its group.
func (f *Fork) run(ctx context.Context, r *http.Request, in io.Reader, out io.Writer) error {
	cmd := exec.Command(f.Process[0], f.Process[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if f.CGIHeaders {
		cmd.Env = append(os.Environ(), cgi(r)...)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := children.start(cmd, func() error { return f.Start(r.Context(), cmd) }); err != nil {
		return fmt.Errorf("cannot start the function: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		stdout.Close() // who left the group may still hold the other ends
		stderr.Close()
	})
	defer stop()
	f.Output.follow(nil, stderr)
	go func() { // ends with the body, or when the process no longer reads
		io.Copy(stdin, in)
		stdin.Close()
	}()
	_, copyErr := io.Copy(out, stdout)
	stdout.Close() // a caller that left: the process learns of it as it writes
	defer stdin.Close()
	return reap(ctx, cmd, copyErr)
}

// reap is what cmd.Wait would be, but that stays for the last lines of standard
// error, which a background child may hold open.
func reap(ctx context.Context, cmd *exec.Cmd, copyErr error) error {
	state, err := children.wait(cmd)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("killed after exec_timeout: %w", ctx.Err())
	case err != nil:
		return err
	case !state.Success():
		return &exec.ExitError{ProcessState: state}
	case copyErr != nil:
		return fmt.Errorf("cannot pass the answer on: %w", copyErr)
	}
	return nil
}

// cgi describes r in the way of OpenFaaS: Http_ and the header's name with
// underscores; of repeated headers the first.
func cgi(r *http.Request) []string {
	var env []string
	for name, values := range r.Header {
		env = append(env, "Http_"+strings.ReplaceAll(name, "-", "_")+"="+values[0])
	}
	slices.Sort(env)
	env = append(env, "Http_Method="+r.Method)
	if r.URL.RawQuery != "" {
		env = append(env, "Http_Query="+r.URL.RawQuery)
	}
	if r.URL.Path != "" {
		env = append(env, "Http_Path="+r.URL.Path)
	}
	if len(r.TransferEncoding) > 0 {
		env = append(env, "Http_Transfer_Encoding="+r.TransferEncoding[0])
	}
	return env
}
