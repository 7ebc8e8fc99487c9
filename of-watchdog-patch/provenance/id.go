package provenance

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// ID names one invocation, uniquely in the world (UUID version 4, RFC 9562).
// It is random from its first digit on, so that a few digits are enough to
// name an invocation among thousands.
type ID [idSize]byte

// NewID takes 122 random bits.
func NewID() (ID, error) {
	var id ID
	if _, err := rand.Read(id[:]); err != nil {
		return ID{}, fmt.Errorf("no random bytes for an invocation id: %w", err)
	}
	id[6] = 0x40 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id, nil
}

// String is the id as it is written in headers and asked for in queries: 32
// hexadecimal digits.
func (id ID) String() string {
	return hex.EncodeToString(id[:])
}
