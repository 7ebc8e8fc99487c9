package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"faasprov/watchdog/config"
)

// Exit codes, the same for all programs of the project.
const (
	exitDone   = 0
	exitAbsent = 1 // --run-healthcheck: no lock file
	exitUsage  = 2
	exitSystem = 4
)

const usage = `%s: takes the requests of a function's container and passes them to the function.

Usage: %s [--version] [--run-healthcheck] [--help]

  --version          print the version and end
  --run-healthcheck  end with 0 when the watchdog of this container is ready (lock file), else 1
  --help             print this text

All else is set by environment variables, as OpenFaaS documents them for its
of-watchdog: mode, fprocess, http_upstream_url, exec_timeout, max_inflight, ...
docs/watchdog.md lists each with its default.
`

// Main is the whole program: name and version are its own, observer is what
// stands around invocations, or nil.  It returns the exit code.
func Main(name, version string, observer Observer) int {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	showVersion := flags.Bool("version", false, "")
	healthcheck := flags.Bool("run-healthcheck", false, "")
	err := flags.Parse(os.Args[1:])
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf(usage, name, name)
		return exitDone
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v; see %s --help\n", name, err, name)
		return exitUsage
	case *showVersion:
		fmt.Printf("%s %s (%s, %s/%s)\n", name, version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitDone
	case *healthcheck:
		if _, err := os.Stat(LockFile(os.TempDir())); err != nil {
			fmt.Fprintf(os.Stderr, "%s: not ready: %v\n", name, err)
			return exitAbsent
		}
		return exitDone
	}
	return run(name, version, observer)
}

func run(name, version string, observer Observer) int {
	c, warnings, err := config.Load(os.Environ())
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return exitUsage
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	slog.Info("starting", "program", name, "version", version)
	for _, warning := range warnings {
		slog.Warn(warning)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	s, err := New(c, observer)
	if err == nil {
		ctx, hurry := stopOn(signals)
		err = s.Run(ctx, hurry)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return exitSystem
	}
	return exitDone
}

// stopOn turns signals into an order to stop, and each further one, or an
// interrupt from a terminal, into an order to hurry.
func stopOn(signals <-chan os.Signal) (context.Context, <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	hurry := make(chan struct{}, 4)
	go func() {
		first := <-signals
		cancel()
		if first == syscall.SIGINT {
			hurry <- struct{}{}
		}
		for range signals {
			hurry <- struct{}{}
		}
	}()
	return ctx, hurry
}
