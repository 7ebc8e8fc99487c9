package executor

import (
	"bufio"
	"errors"
	"io"
	"log"
	"sync"
)

// Output is where a function's own lines go.
type Output struct {
	Prefix bool // date, time and the stream's name before each line
	Limit  int  // longest piece, in bytes; a longer line comes out in pieces; -1: none
	Stdout io.Writer
	Stderr io.Writer
}

// copyLines prints what r yields until it ends.  It always reads to the end: a
// function must never block because a line was too long to print.
func (o Output) copyLines(name string, r io.Reader, w io.Writer) {
	logger := log.New(w, "", 0)
	if o.Prefix {
		logger = log.New(w, name+": ", log.LstdFlags|log.Lmsgprefix)
	}
	size := o.Limit
	if size < 0 {
		size = bufio.MaxScanTokenSize
	}
	lines := bufio.NewReaderSize(r, size)
	for {
		line, err := o.piece(lines)
		if len(line) > 0 || err == nil {
			logger.Print(string(line))
		}
		if err != nil {
			return
		}
	}
}

func (o Output) piece(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		if o.Limit >= 0 {
			return line, nil
		}
		line = append([]byte(nil), line...)
		var rest []byte
		rest, err = r.ReadBytes('\n')
		line = append(line, rest...)
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return line, err
}

// follow prints both streams of a process until they end, and closes them; the
// group is done then.
func (o Output) follow(stdout, stderr io.ReadCloser) *sync.WaitGroup {
	var done sync.WaitGroup
	for _, stream := range []struct {
		name string
		from io.ReadCloser
		to   io.Writer
	}{{"stdout", stdout, o.Stdout}, {"stderr", stderr, o.Stderr}} {
		if stream.from == nil {
			continue
		}
		done.Add(1)
		go func() {
			defer done.Done()
			defer stream.from.Close()
			o.copyLines(stream.name, stream.from, stream.to)
		}()
	}
	return &done
}
