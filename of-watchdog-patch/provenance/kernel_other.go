//go:build !(linux && (amd64 || arm64))

package provenance

import "errors"

// KernelMarker needs Linux on amd64 or arm64: arg2 and the id are 64 bits wide.
type KernelMarker struct{}

func (KernelMarker) Mark(Mark) error {
	return errors.New("marks need Linux on amd64 or arm64")
}
