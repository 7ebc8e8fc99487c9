package provenance

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
)

// ID names one invocation, uniquely in the world: half of it is random and its
// own, half of it random and this watchdog's.  It is random from its first digit
// on, so that a few digits are enough to name an invocation among thousands; and
// half of it is the same in all that one container serves, so that it is stored
// in half the bytes.
type ID [idSize]byte

const ownSize = idSize / 2

var watchdog struct {
	once sync.Once
	half [idSize - ownSize]byte
	err  error
}

// NewID takes 64 random bits, and at first 64 more.
func NewID() (ID, error) {
	var id ID
	watchdog.once.Do(func() { _, watchdog.err = rand.Read(watchdog.half[:]) })
	err := watchdog.err
	if err == nil {
		_, err = rand.Read(id[:ownSize])
	}
	if err != nil {
		return ID{}, fmt.Errorf("no random bytes for an invocation id: %w", err)
	}
	copy(id[ownSize:], watchdog.half[:])
	return id, nil
}

// String is the id as it is written in headers and asked for in queries: 32
// hexadecimal digits.
func (id ID) String() string {
	return hex.EncodeToString(id[:])
}
