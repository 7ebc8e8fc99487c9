package provenance

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// ID names one invocation, uniquely in the world and roughly in order of time
// (UUID version 7, RFC 9562).
type ID [idSize]byte

// NewID takes 48 bits of time in milliseconds and 74 random bits.
func NewID(now time.Time) (ID, error) {
	var id ID
	if _, err := rand.Read(id[6:]); err != nil {
		return ID{}, fmt.Errorf("no random bytes for an invocation id: %w", err)
	}
	ms := uint64(now.UnixMilli())
	for i := 0; i < 6; i++ {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id, nil
}

// String is the id as it is written in headers and asked for in queries: 32
// hexadecimal digits.
func (id ID) String() string {
	return hex.EncodeToString(id[:])
}
