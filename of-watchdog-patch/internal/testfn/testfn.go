// Package testfn is the function in the tests: a test binary becomes one when
// it is started with a role in its environment.  A test's TestMain calls Main
// first; Setup makes the environment and gives the fprocess for it.
package testfn

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	roleVar    = "TESTFN_ROLE"    // http or fork
	addressVar = "TESTFN_ADDRESS" // where to listen
	delayVar   = "TESTFN_DELAY"   // before listening
)

// Main is the function when this process was started as one.
func Main() {
	switch os.Getenv(roleVar) {
	case "http":
		serve()
	case "fork":
		os.Exit(once(os.Args[1:]))
	}
}

// HTTP prepares a function in http mode and gives fprocess and upstream_url.
func HTTP(t testing.TB, delay time.Duration) (process []string, upstream string) {
	t.Helper()
	address := FreeAddress(t)
	t.Setenv(roleVar, "http")
	t.Setenv(addressVar, address)
	t.Setenv(delayVar, delay.String())
	return []string{Self(t)}, "http://" + address
}

// Fork prepares a function of the fork modes that acts as the words say.
func Fork(t testing.TB, words ...string) (process []string) {
	t.Helper()
	t.Setenv(roleVar, "fork")
	return append([]string{Self(t)}, words...)
}

// Self is the path of this test binary.
func Self(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// FreeAddress is a loopback address nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Seen is what the function in http mode tells of a request.
type Seen struct {
	Method, URI, Host, Body, Peer string
	ContentLength                 int64
	Chunked                       bool
	Header                        http.Header
}

func serve() {
	delay, _ := time.ParseDuration(os.Getenv(delayVar))
	time.Sleep(delay)
	listener, err := net.Listen("tcp", os.Getenv(addressVar))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("function listens")
	http.Serve(listener, http.HandlerFunc(handle))
}

func handle(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if ms, _ := strconv.Atoi(query.Get("sleep")); ms > 0 {
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	switch r.URL.Path {
	case "/die":
		os.Exit(3)
	case "/relay": // another function's headers, passed on
		w.Header().Set("X-Faasprov-Request", "of-another-function")
	case "/hangup":
		if hijacked(w, query.Get("after")) {
			return
		}
	case "/partial":
		w.Write([]byte("begun"))
		w.(http.Flusher).Flush()
		time.Sleep(time.Minute)
	case "/chunks":
		for i := 0; i < 3; i++ {
			fmt.Fprintf(w, "chunk %d\n", i)
			w.(http.Flusher).Flush()
		}
		return
	case "/bytes":
		n, _ := strconv.Atoi(query.Get("n"))
		w.Write(make([]byte, n))
		return
	case "/upgrade":
		upgrade(w)
		return
	}
	if status, _ := strconv.Atoi(query.Get("status")); status != 0 {
		w.WriteHeader(status)
	}
	body, _ := io.ReadAll(r.Body)
	json.NewEncoder(w).Encode(Seen{Method: r.Method, URI: r.RequestURI, Host: r.Host, Body: string(body), Peer: r.RemoteAddr,
		ContentLength: r.ContentLength, Chunked: len(r.TransferEncoding) > 0, Header: r.Header})
}

var hangups atomic.Int64

// hijacked closes the connection without an answer once, after so many of these
// requests were answered: a connection that worked and then hangs up.
func hijacked(w http.ResponseWriter, after string) bool {
	n, _ := strconv.ParseInt(after, 10, 64)
	if hangups.Add(1) != n+1 {
		return false
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
	return true
}

func upgrade(w http.ResponseWriter) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	io.Copy(conn, buffered) // echo
}

// once is a process of one request.
func once(words []string) int {
	word := "echo"
	if len(words) > 0 {
		word = words[0]
	}
	switch word {
	case "env":
		env := os.Environ()
		sort.Strings(env)
		fmt.Println(strings.Join(env, "\n"))
	case "sleep":
		time.Sleep(time.Minute)
	case "partial":
		fmt.Println("begun")
		time.Sleep(time.Minute)
	case "fail":
		fmt.Println("before the failure")
		fmt.Fprintln(os.Stderr, "reason")
		return 7
	case "closed": // ends without reading its input
		fmt.Println("done")
	case "background": // leaves a child that holds the output open
		child := exec.Command("sleep", "60")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return 1
		}
		fmt.Println(child.Process.Pid)
	default:
		body, _ := io.ReadAll(os.Stdin)
		fmt.Printf("%s %s", strings.Join(words, " "), body)
	}
	return 0
}
