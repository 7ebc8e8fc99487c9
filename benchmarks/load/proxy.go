package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

// A flow is what the proxy logs of each call: both heads and both bodies.
type flow struct {
	Time     time.Time   `json:"time"`
	Peer     string      `json:"peer"`
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Request  http.Header `json:"request"`
	Sent     string      `json:"sent"`
	Status   int         `json:"status"`
	Response http.Header `json:"response"`
	Received string      `json:"received"`
}

type logger struct {
	next http.RoundTripper
	lock sync.Mutex
	file *bufio.Writer
	out  *json.Encoder
}

func (l *logger) RoundTrip(request *http.Request) (*http.Response, error) {
	one := flow{Time: time.Now(), Peer: request.Header.Get("X-Forwarded-For"), Method: request.Method,
		URL: request.URL.String(), Request: request.Header}
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		one.Sent = string(body)
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	response, err := l.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	one.Status, one.Response, one.Received = response.StatusCode, response.Header, string(body)
	l.lock.Lock()
	defer l.lock.Unlock()
	l.out.Encode(one)
	l.file.Flush()
	return response, nil
}

func proxy(args []string) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	listen := flags.String("listen", "", "HOST:PORT to listen on")
	to := flags.String("to", "", "HOST:PORT of the function")
	path := flags.String("log", "", "file to log to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *listen == "" || *to == "" || *path == "" {
		return errors.New("proxy: --listen, --to and --log are needed")
	}
	file, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	writer := bufio.NewWriter(file)
	target := &url.URL{Scheme: "http", Host: *to}
	handler := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
		},
		Transport: &logger{next: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
			file: writer, out: json.NewEncoder(writer)},
	}
	return http.ListenAndServe(*listen, handler)
}
