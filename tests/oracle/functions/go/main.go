// As ../python, in goroutines that the runtime moves from thread to thread; a server of its own.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const directory = "/tmp"

// A child gets the token as an argument, and through a pipe; a file's name says through which.
const childScript = `echo "$1" > "$2"child; read token; : > "$2"pipe.$(stat -Lc %i /dev/stdin)`

func path(token, way string) string {
	return filepath.Join(directory, "oracle."+token+"."+way)
}

func touch(token, way string) {
	if err := os.WriteFile(path(token, way), []byte(token), 0o600); err != nil {
		panic(err)
	}
}

// The token to an address that is made of it.
func socket(token string) {
	n, err := strconv.ParseUint(token[len(token)-6:], 16, 24)
	if err != nil {
		panic(err)
	}
	to, err := net.Dial("udp4", fmt.Sprintf("127.%d.%d.%d:4998", n>>16|0x80, n>>8&0xff, n&0xff))
	if err != nil {
		panic(err)
	}
	defer to.Close()
	to.Write([]byte(token))
}

func handle(answer http.ResponseWriter, request *http.Request) {
	token, query := request.Header.Get("X-Call-Id"), request.URL.Query()
	io.Copy(io.Discard, request.Body)
	touch(token, "go-sync")
	time.Sleep(2 * time.Millisecond)
	touch(token, "go-timer")
	var both sync.WaitGroup
	for _, way := range []string{"go-goroutine-a", "go-goroutine-b"} {
		both.Add(1)
		go func(way string) {
			defer both.Done()
			runtime.Gosched()
			touch(token, way)
		}(way)
	}
	both.Wait()
	touch(token, "go-after-goroutines")
	socket(token)
	if url := os.Getenv("oracle_url"); url != "" {
		got, err := http.Get(url)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, got.Body)
		got.Body.Close()
		touch(token, "go-after-call")
	}
	if query.Has("child") {
		child := exec.Command("/bin/sh", "-c", childScript, "child", token, path(token, "go-"))
		child.Stdin = strings.NewReader(token + "\n")
		if err := child.Run(); err != nil {
			panic(err)
		}
		touch(token, "go-after-child")
	}
	if query.Has("behind") {
		time.AfterFunc(5*time.Millisecond, func() {
			touch(token, "go-behind")
			go touch(token, "go-behind-goroutine")
		})
	}
	fmt.Fprint(answer, "ok")
}

func main() {
	if err := http.ListenAndServe("127.0.0.1:5000", http.HandlerFunc(handle)); err != nil {
		panic(err)
	}
}
