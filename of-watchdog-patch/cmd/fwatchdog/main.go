// fwatchdog is the watchdog that marks request boundaries.
package main

import (
	"os"

	"faasprov/watchdog/provenance"
	"faasprov/watchdog/server"
)

var version = "unknown" // set by the build

func main() {
	os.Exit(server.Main("fwatchdog", version, provenance.New(provenance.KernelMarker{})))
}
