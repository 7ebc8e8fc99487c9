//go:build linux && (amd64 || arm64)

package provenance

import (
	"fmt"
	"syscall"
	"unsafe"
)

// KernelMarker makes a mark by a prctl whose option no kernel knows: the call
// fails with EINVAL and does nothing, but who watches system calls sees its
// arguments, in order with all others of the container.
//
// The raw system call is right here: it cannot block, so the Go scheduler need
// not be told, and nothing can be scheduled between a mark and what follows it
// on a locked thread.
type KernelMarker struct{}

func (KernelMarker) Mark(m Mark) error {
	arg2, high, low := m.arguments()
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, markOption, uintptr(arg2), uintptr(high), uintptr(low),
		uintptr(unsafe.Pointer(unsafe.SliceData(m.Details))), 0)
	if errno != syscall.EINVAL {
		return fmt.Errorf("prctl(0x%x) answers %q, not EINVAL: marks may not reach the kernel side", markOption, errno)
	}
	return nil
}
