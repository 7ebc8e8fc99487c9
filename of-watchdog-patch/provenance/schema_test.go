package provenance

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

const schemaDir = "../../lib/schema/"

// numbers finds NAME → number by a pattern with two groups.
func numbers(t *testing.T, file, pattern string, name, number int) map[string]uint64 {
	t.Helper()
	text, err := os.ReadFile(schemaDir + file)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]uint64)
	for _, m := range regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(string(text), -1) {
		value, err := strconv.ParseUint(m[number], 0, 64)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found[m[name]] = value
	}
	return found
}

func same(t *testing.T, what string, schema, here map[string]uint64) {
	t.Helper()
	for name, number := range schema {
		if got, ok := here[name]; !ok || got != number {
			t.Errorf("%s %s is %d in the schema and %d (%t) here", what, name, number, got, ok)
		}
	}
	for name := range here {
		if _, ok := schema[name]; !ok {
			t.Errorf("%s %s is here and not in the schema", what, name)
		}
	}
}

func TestNumbersAreTheSchemas(t *testing.T) {
	same(t, "mark", numbers(t, "mark.def", `^FP_MARK\((\d+), (\w+),`, 2, 1), map[string]uint64{
		"HELLO": uint64(MarkHello), "BEGIN": uint64(MarkBegin), "CONNECTION": uint64(MarkConnection),
		"CHILD": uint64(MarkChild), "END": uint64(MarkEnd), "ENTER": uint64(MarkEnter)})
	same(t, "key", numbers(t, "mark.def", `^FP_MARK_KEY\((\d+), (\w+),`, 2, 1), map[string]uint64{
		"CALL_ID": uint64(KeyCallID), "TRACEPARENT": uint64(KeyTraceparent), "METHOD": uint64(KeyMethod),
		"URL": uint64(KeyURL), "FORWARDED": uint64(KeyForwarded), "PEER": uint64(KeyPeer),
		"STATUS": uint64(KeyStatus), "BYTES": uint64(KeyBytes), "IN_FLIGHT": uint64(KeyInFlight)})
	same(t, "constant", numbers(t, "schema.h", `^#define (FP_MARK_\w+|FP_REQUEST_ID_SIZE) (\w+)`, 1, 2),
		map[string]uint64{"FP_MARK_OPTION": markOption, "FP_MARK_VERSION": markVersion,
			"FP_MARK_DETAILS_MAX": markDetailsMax, "FP_REQUEST_ID_SIZE": idSize})
}
