// fp-load is what the benchmarks need on the wire: `drive` sends load and
// measures each answer, `proxy` stands in front of a function and logs what
// passes, as a recorder that works at the application layer does.
package main

import (
	"fmt"
	"os"
)

const usage = `Usage: fp-load drive --url URL --requests JSON
       fp-load proxy --listen HOST:PORT --to HOST:PORT --log FILE
The requests are {"NAME": [{"path": "/…", "body": …}, …]}.  drive reads one order per line from standard input and
answers each with one line:
  {"workload":"NAME","mode":"closed","concurrency":5,"seconds":2,"warm":0.3}
  {"workload":"NAME","mode":"open","rate":20,"seconds":2,"warm":0.3}
`

func main() {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "drive":
		err = drive(os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "proxy":
		err = proxy(os.Args[2:])
	case len(os.Args) == 2 && os.Args[1] == "--help":
		fmt.Print(usage)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fp-load: %v\n", err)
		os.Exit(4)
	}
}
