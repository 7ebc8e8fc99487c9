// of-watchdog is the same watchdog without marks: what fwatchdog is measured against.
package main

import (
	"os"

	"faasprov/watchdog/server"
)

var version = "unknown" // set by the build

func main() {
	os.Exit(server.Main("of-watchdog", version, nil))
}
