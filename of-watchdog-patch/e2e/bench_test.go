package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkRequest sends requests by turns to the watchdog with marks and to
// the one without, each with a function process of its own, over one kept
// connection each.  Medians, because both share the machine with all else.
//
//	go test -run '^$' -bench Request -benchtime 20000x ./e2e
func BenchmarkRequest(b *testing.B) {
	programs := []*program{start(b, httpSettings(b), "of-watchdog"), start(b, httpSettings(b), "fwatchdog")}
	times := make([][]time.Duration, len(programs))
	one := func(i int, keep bool) {
		begun := time.Now()
		response, err := http.Get(programs[i].url + "/")
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if keep {
			times[i] = append(times[i], time.Since(begun))
		}
	}
	for n := 0; n < 500; n++ {
		one(n%2, false)
	}
	before := []time.Duration{cpu(b, programs[0]), cpu(b, programs[1])}
	b.ResetTimer()
	for n := 0; n < b.N; n++ {
		one(n%2, true) // who comes first alternates too
		one((n+1)%2, true)
	}
	b.StopTimer()
	var median, work [2]float64
	for i, of := range times {
		sort.Slice(of, func(a, b int) bool { return of[a] < of[b] })
		median[i] = float64(of[len(of)/2].Nanoseconds()) / 1000
		work[i] = float64((cpu(b, programs[i]) - before[i]).Microseconds()) / float64(b.N)
		name := []string{"vanilla", "patched"}[i]
		b.ReportMetric(median[i], name+"-median-us")
		b.ReportMetric(work[i], name+"-cpu-us")
	}
	b.ReportMetric(median[1]/median[0], "ratio")
	b.ReportMetric(0, "ns/op")
}

// cpu is the processor time of a program so far, in clock ticks of 10 ms.
func cpu(b *testing.B, p *program) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat)[strings.LastIndex(string(stat), ")")+2:])
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
