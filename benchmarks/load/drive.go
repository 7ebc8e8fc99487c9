package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// An order is one slice of load.
type order struct {
	Workload    string  `json:"workload"`
	Mode        string  `json:"mode"`
	Concurrency int     `json:"concurrency"`
	Rate        float64 `json:"rate"`
	Seconds     float64 `json:"seconds"`
	Warm        float64 `json:"warm"` // seconds of the same load before, not measured
}

// A result holds one latency per answer, in microseconds. In an open loop it
// is counted from when the request was due, not from when it could be sent.
type result struct {
	Seconds  float64 `json:"seconds"` // from the first request to the last answer
	Latency  []int64 `json:"latency_us"`
	Failed   int     `json:"failed"`
	Warmed   int     `json:"warmed"`   // requests before, not measured
	Dropped  int     `json:"dropped"`  // due, but too many were in flight already
	InFlight int     `json:"inflight"` // most at a time
}

// A call is one request by HTTP; without a body it is a GET.
type call struct {
	Path string          `json:"path"`
	Body json.RawMessage `json:"body"`
}

// A workload's requests are each some calls, made one after the other and measured as one.
type workloads map[string][][]call

func (w *workloads) String() string        { return "" }
func (w *workloads) Set(text string) error { return json.Unmarshal([]byte(text), w) }

// More than this in flight is no load any more but a queue.
const mostInFlight = 1000

type driver struct {
	client *http.Client
	url    string
	known  workloads

	lock     sync.Mutex
	requests [][]call // of the present order, in turn
	inFlight []int    // how often each of them is asked at the moment
	next     int
	result
}

func drive(args []string) error {
	d := &driver{client: &http.Client{
		Timeout: 60 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: mostInFlight, MaxIdleConns: mostInFlight,
			DisableCompression: true, IdleConnTimeout: 10 * time.Minute},
	}}
	flags := flag.NewFlagSet("drive", flag.ExitOnError)
	flags.StringVar(&d.url, "url", "", "what every path follows")
	flags.Var(&d.known, "requests", "JSON: name of a workload to [[{path, body}]]: requests, which are made in turn, each of some calls")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if d.url == "" || flags.NArg() > 0 {
		return errors.New("drive: --url is needed, and nothing but options")
	}
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return err
		}
		if o.Mode == "open" && o.Rate <= 0 || o.Mode == "closed" && o.Concurrency <= 0 {
			return errors.New("drive: an order needs a rate or a concurrency above 0")
		}
		if d.requests = d.known[o.Workload]; len(d.requests) == 0 {
			return fmt.Errorf("drive: no workload %q", o.Workload)
		}
		d.inFlight = make([]int, len(d.requests))
		warmed := 0
		if o.Warm > 0 {
			d.run(o, o.Warm)
			warmed = len(d.Latency) + d.Failed
		}
		d.run(o, o.Seconds)
		d.Warmed = warmed
		if err := out.Encode(d.result); err != nil {
			return err
		}
	}
	return in.Err()
}

func (d *driver) run(o order, seconds float64) {
	d.result = result{Latency: []int64{}}
	length := time.Duration(seconds * float64(time.Second))
	begin := time.Now()
	var wait sync.WaitGroup
	if o.Mode == "open" {
		d.open(o.Rate, begin, length, &wait)
	} else {
		d.closed(o.Concurrency, begin.Add(length), &wait)
	}
	wait.Wait()
	d.Seconds = time.Since(begin).Seconds()
}

// closed: each of so many callers sends when it has its answer.
func (d *driver) closed(callers int, end time.Time, wait *sync.WaitGroup) {
	d.InFlight = callers
	for i := 0; i < callers; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for begin := time.Now(); begin.Before(end); begin = time.Now() {
				d.one(begin)
			}
		}()
	}
}

// open: requests are due at fixed times, whatever became of those before.
func (d *driver) open(rate float64, begin time.Time, length time.Duration, wait *sync.WaitGroup) {
	step := time.Duration(float64(time.Second) / rate)
	slots := make(chan struct{}, mostInFlight)
	for due := begin; due.Before(begin.Add(length)); due = due.Add(step) {
		time.Sleep(time.Until(due))
		select {
		case slots <- struct{}{}:
		default:
			d.lock.Lock()
			d.Dropped++
			d.lock.Unlock()
			continue
		}
		if n := len(slots); n > d.InFlight {
			d.InFlight = n
		}
		wait.Add(1)
		go func(due time.Time) {
			defer wait.Done()
			d.one(due)
			<-slots
		}(due)
	}
}

func (d *driver) one(begin time.Time) {
	n, calls := d.begin()
	var err error
	for i := 0; i < len(calls) && err == nil; i++ {
		err = d.send(calls[i])
	}
	took := time.Since(begin).Microseconds()
	d.lock.Lock()
	defer d.lock.Unlock()
	d.inFlight[n]--
	if err != nil {
		d.Failed++
		return
	}
	d.Latency = append(d.Latency, took)
}

// begin: the next request in turn that nobody else asks at the moment, or simply the next: two that change the same thing at
// the same time may be refused.
func (d *driver) begin() (int, []call) {
	d.lock.Lock()
	defer d.lock.Unlock()
	n := d.next % len(d.requests)
	for i := range d.requests {
		if free := (n + i) % len(d.requests); d.inFlight[free] == 0 {
			n = free
			break
		}
	}
	d.next = n + 1
	d.inFlight[n]++
	return n, d.requests[n]
}

func (d *driver) send(one call) error {
	method, body := "GET", io.Reader(nil)
	if one.Body != nil {
		method, body = "POST", bytes.NewReader(one.Body)
	}
	request, err := http.NewRequest(method, d.url+one.Path, body)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return errors.New(answer.Status)
	}
	return nil
}
