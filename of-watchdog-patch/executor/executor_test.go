package executor

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func printed(o Output, input string) string {
	var out bytes.Buffer
	o.copyLines("stderr", strings.NewReader(input), &out)
	return out.String()
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		limit       int
		input, want string
	}{
		{64, "", ""},
		{64, "a\n\nb\n", "a\n\nb\n"},
		{64, "no end", "no end\n"},
		{64, "100%d\n", "100%d\n"},
		{64, long + "\nrest\n", long[:64] + "\n" + long[64:] + "\nrest\n"},
		{-1, strings.Repeat("y", 200000) + "\nz", strings.Repeat("y", 200000) + "\nz\n"},
	} {
		if got := printed(Output{Limit: c.limit}, c.input); got != c.want {
			t.Errorf("%d %.80q: %.200q", c.limit, c.input, got)
		}
	}
	if got := printed(Output{Prefix: true, Limit: 64}, "a\n"); !strings.HasSuffix(got, " stderr: a\n") || got[4] != '/' {
		t.Errorf("%q", got)
	}
}

func TestALongLineNeverStopsTheReading(t *testing.T) {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		Output{Limit: 16}.copyLines("stdout", r, io.Discard)
		close(done)
	}()
	for i := 0; i < 100; i++ {
		w.Write(bytes.Repeat([]byte("z"), 1000))
	}
	w.Close()
	<-done
}

func TestXTimeoutShortensOnly(t *testing.T) {
	for _, c := range []struct {
		header      string
		limit, want time.Duration
	}{
		{"", time.Minute, time.Minute},
		{"1s", time.Minute, time.Second},
		{"2m", time.Minute, time.Minute},
		{"-1s", time.Minute, time.Minute},
		{"0s", time.Minute, time.Minute},
		{"soon", time.Minute, time.Minute},
		{"1s", 0, 0},
	} {
		r := &http.Request{Header: http.Header{"X-Timeout": {c.header}}}
		if got := timeout(r, c.limit); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
