/*
 * The layout of a record between the kernel side and the agent, expanded from
 * events.def.  Included by BPF programs (which have no libc) and by the agent.
 *
 * A record is a head, the event's kernel numbers in the order of events.def,
 * then for each of its kernel strings a fp_record_str that says where in the
 * record the bytes are.  All numbers are 64 bit, so there is no padding.
 */
#ifndef FP_SCHEMA_RECORD_H
#define FP_SCHEMA_RECORD_H

#ifdef __bpf__
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef long long int64_t;
#else
#include <stdint.h>
#endif

struct fp_record_head {
	uint16_t type; /* enum fp_event_type */
	uint16_t version; /* FP_SCHEMA_VERSION */
	uint32_t size; /* bytes of this record that mean something */
	uint64_t time;
	uint64_t cpu;
	uint64_t seq;
	uint64_t cgroup;
	uint64_t tgid;
	uint64_t tid;
	uint64_t process_start;
	uint64_t exec_id;
	uint64_t turn;
	int64_t result;
};

struct fp_record_str {
	uint32_t offset; /* from the start of the record */
	uint32_t len;
};

#define FP_RECORD_NUM(name) uint64_t name;
#define FP_RECORD_STR(name) struct fp_record_str name;
#define FP_RECORD_SKIP(name)
#define FP_EVENT(id, NAME, name, doc)                                                          \
	struct fp_record_##name {                                                              \
		struct fp_record_head head;                                                    \
		FP_EVENT_##NAME(FP_RECORD_NUM, FP_RECORD_STR, FP_RECORD_STR, FP_RECORD_SKIP)   \
	};
#include "schema/events.def"

/* A record with strings is reserved with this much room behind it. */
#define FP_RECORD_ROOM_PATH 1024
#define FP_RECORD_ROOM_PAYLOAD 512
#define FP_RECORD_ROOM_EXEC 2048

#endif
