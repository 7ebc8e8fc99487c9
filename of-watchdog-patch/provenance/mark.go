package provenance

import (
	"encoding/binary"
	"unicode/utf8"
)

// The numbers of lib/schema/mark.def and lib/schema/schema.h; schema_test.go
// compares each with those files.
const (
	markOption     = 0x46505256
	markVersion    = 1
	markDetailsMax = 1024
	idSize         = 16
)

// Kind is which mark is made.
type Kind uint8

const (
	MarkHello      Kind = 1
	MarkBegin      Kind = 2
	MarkConnection Kind = 3
	MarkChild      Kind = 4
	MarkEnd        Kind = 5
	MarkEnter      Kind = 6 // made by the runtime assist, never by the watchdog
)

// Key names a detail of a mark.
type Key uint8

const (
	KeyCallID      Key = 1
	KeyTraceparent Key = 2
	KeyMethod      Key = 3
	KeyURL         Key = 4
	KeyForwarded   Key = 5
	KeyPeer        Key = 6
	KeyStatus      Key = 7
	KeyBytes       Key = 8
	KeyInFlight    Key = 9
)

// NoDescriptor stands in a mark that is about no descriptor.
const NoDescriptor = 0xffffffff

// Mark is one in-band mark.  Details is borrowed for the length of the call.
type Mark struct {
	Kind       Kind
	ID         ID
	Descriptor uint32
	Details    []byte
}

// Marker delivers marks.  KernelMarker is the real one; tests bring their own.
// An implementation must not block and must not keep Details.
type Marker interface {
	Mark(m Mark) error
}

// arguments gives arg2 and the two halves of the id, as mark.def lays them out.
func (m Mark) arguments() (arg2, high, low uint64) {
	arg2 = uint64(m.Kind) | markVersion<<8 | uint64(len(m.Details))<<16 | uint64(m.Descriptor)<<32
	return arg2, binary.BigEndian.Uint64(m.ID[:8]), binary.BigEndian.Uint64(m.ID[8:])
}

const detailHeader = 3 // key and length

// appendDetail adds one key-length-value triple.  Empty values are left out;
// a value longer than most is cut there, at the start of a character.
func appendDetail(details []byte, key Key, value string, most int) []byte {
	value = cut(value, min(most, markDetailsMax-len(details)-detailHeader))
	if value == "" {
		return details
	}
	details = append(details, byte(key), byte(len(value)), byte(len(value)>>8))
	return append(details, value...)
}

func cut(value string, most int) string {
	if len(value) <= most {
		return value
	}
	if most <= 0 {
		return ""
	}
	for back := 0; back < utf8.UTFMax-1 && back < most; back++ {
		if utf8.RuneStart(value[most-back]) {
			return value[:most-back]
		}
	}
	return value[:most]
}
