package provenance

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// assistScript is what a Node function loads before anything of its own.
//
//go:embed assist.cjs
var assistScript []byte

const assistFile = ".faasprov-assist.cjs"

// Assist makes function processes that are started from now on load the runtime
// assist: a script in dir, which NODE_OPTIONS names, and a header of each
// request.  Other runtimes take no notice of either.
func (l *Layer) Assist(dir string) error {
	path := filepath.Join(dir, assistFile)
	if strings.ContainsAny(path, " \"\\") { // what NODE_OPTIONS cannot carry plainly
		return fmt.Errorf("no runtime assist: %q cannot be named in NODE_OPTIONS", path)
	}
	if err := os.WriteFile(path, assistScript, 0o444); err != nil && !holds(path, assistScript) {
		return fmt.Errorf("no runtime assist: %w", err)
	}
	options := strings.TrimSpace(os.Getenv("NODE_OPTIONS") + " --require=" + path)
	if err := os.Setenv("NODE_OPTIONS", options); err != nil {
		return fmt.Errorf("no runtime assist: %w", err)
	}
	l.assist = true
	return nil
}

// holds tells whether the file has just this content: another start left it.
func holds(path string, content []byte) bool {
	there, err := os.ReadFile(path)
	return err == nil && string(there) == string(content)
}
