package provenance

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What functions load before anything of their own, by runtime.
var (
	//go:embed assist.cjs
	assistNode []byte
	//go:embed assist.py
	assistPython []byte
)

const (
	assistNodeFile   = ".faasprov-assist.cjs"
	assistPythonFile = ".faasprov-assist/sitecustomize.py"
)

// Assist makes function processes that are started from now on load the runtime
// assist: scripts in dir, which NODE_OPTIONS and PYTHONPATH name, and a header of
// each request.  Other runtimes take no notice of any of them.
func (l *Layer) Assist(dir string) error {
	node, python := filepath.Join(dir, assistNodeFile), filepath.Join(dir, assistPythonFile)
	if strings.ContainsAny(dir, " :\"\\") { // what the variables cannot carry plainly
		return fmt.Errorf("no runtime assist: %q cannot be named in NODE_OPTIONS and PYTHONPATH", dir)
	}
	if err := os.MkdirAll(filepath.Dir(python), 0o755); err != nil {
		return fmt.Errorf("no runtime assist: %w", err)
	}
	// No directory of that name: a compiled copy that one request writes and the next one loads would join the two.
	noCache := filepath.Join(filepath.Dir(python), "__pycache__")
	for path, content := range map[string][]byte{node: assistNode, python: assistPython, noCache: {}} {
		if err := os.WriteFile(path, content, 0o444); err != nil && !holds(path, content) {
			return fmt.Errorf("no runtime assist: %w", err)
		}
	}
	options := strings.TrimSpace(os.Getenv("NODE_OPTIONS") + " --require=" + node)
	if err := os.Setenv("NODE_OPTIONS", options); err != nil {
		return fmt.Errorf("no runtime assist: %w", err)
	}
	directories := strings.TrimSuffix(filepath.Dir(python)+":"+os.Getenv("PYTHONPATH"), ":")
	if err := os.Setenv("PYTHONPATH", directories); err != nil {
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
