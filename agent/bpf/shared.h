/*
 * What the kernel side and the agent agree on besides records: keys and values
 * of maps, limits, numbers that BPF programs cannot take from schema.h.
 */
#ifndef FP_AGENT_BPF_SHARED_H
#define FP_AGENT_BPF_SHARED_H

#include "schema/record.h"

/* 16 MiB hold about 80,000 records: a third of a second of a busy node. */
#define FP_RING_SIZE_DEFAULT (16u << 20)
/* Containers on one node; a Kubernetes node has at most some hundreds. */
#define FP_CONTAINERS_MAX 4096
/* (container, cause) pairs. */
#define FP_LOSSES_MAX (4 * FP_CONTAINERS_MAX)

#define FP_RECORD_VERSION 2
#define FP_RECORD_VERSION_MASK 0xff
/*
 * Beside it, in every record of a container: the number of the run of refused records that it comes after.  Where that
 * is another than in the record before, some are missing just here.
 */
#define FP_RECORD_RUN_SHIFT 8

/* System call numbers below this can be recorded. */
#define FP_CALLS_MAX 512
/* 32-bit calls (agent/calls32.def): their numbers lie below the first of these, behind them what is behind the gates. */
#define FP_FOREIGN_SOCKET 480
#define FP_FOREIGN_PARTS 32
#define FP_FOREIGN_IPC (FP_FOREIGN_SOCKET + FP_FOREIGN_PARTS)
#define FP_FOREIGN_MAX (FP_FOREIGN_IPC + FP_FOREIGN_PARTS)

#define FP_MARK_PRCTL 0x46505256
#define FP_MARK_ROOM 1024
/*
 * The runtime assist's board (mark.def): memory of the process in which it keeps
 * whose work a thread does.  Only its address is ever told.
 */
#define FP_BOARD_DESCRIPTOR FP_MARK_PRCTL /* never a descriptor: beyond the kernel's limit of them */
#define FP_BOARD_WITHIN 16 /* the number for which the board's first id holds */
#define FP_BOARD_LOOKUPS 24 /* the place of whose the pool's name lookups are */
#define FP_BOARD_DESCRIPTORS 64 /* where the table of descriptors begins */
#define FP_BOARD_DESCRIPTORS_MAX 4096
#define FP_BOARD_IDS (FP_BOARD_DESCRIPTORS + 2 * FP_BOARD_DESCRIPTORS_MAX)
#define FP_BOARD_IDS_MAX 4096
#define FP_BOARD_NUMBERS (FP_BOARD_IDS + 16 * FP_BOARD_IDS_MAX)
#define FP_BOARD_OWNERS (FP_BOARD_NUMBERS + 4 * FP_BOARD_IDS_MAX)
#define FP_BOARD_OWNERS_MAX (1 << 17)
#define FP_BOARD_LASTING (FP_BOARD_OWNERS + 8 * FP_BOARD_OWNERS_MAX)
#define FP_BOARD_LASTING_SETS 1024
#define FP_BOARD_LASTING_WAYS 4
#define FP_BOARD_SIZE (FP_BOARD_LASTING + 8 * FP_BOARD_LASTING_WAYS * FP_BOARD_LASTING_SETS)
#define FP_BOARD_RUNNING_SIZE 8 /* of what is shown for the number of what the thread runs */

enum {
#define FP_EVENT(id, NAME, name, doc) FP_RECORD_TYPE_##NAME = id,
#include "schema/events.def"
#define FP_LOSS(number, NAME, name, doc) FP_LOSS_CAUSE_##NAME = number,
#include "schema/graph.def"
#define FP_OBJECT(number, NAME, name, doc) FP_OBJECT_KIND_##NAME = number,
#include "schema/graph.def"
#define FP_OPERATION(number, NAME, name, doc) FP_OPERATION_KIND_##NAME = number,
#include "schema/graph.def"
#define FP_NAMING(number, NAME, name, doc) FP_NAMING_KIND_##NAME = number,
#include "schema/graph.def"
#define FP_MARK(number, NAME, doc) FP_MARK_KIND_##NAME = number,
#include "schema/mark.def"
};

/*
 * Bytes of the ring that a container has written and the agent has given back since the ring began.  A
 * container's place is its id modulo the number of places: ids are given in turn, so
 * that two containers share a place, and a budget, only when thousands were made between them.
 */
#define FP_USAGE_SLOTS 4096
struct fp_usage {
	uint64_t written; /* by the kernel side alone */
	uint64_t read; /* by the agent alone */
	uint64_t throttled; /* 1: records are refused until it has given back much */
	uint64_t refused; /* in all */
	/* Runs of those; and the last that a record has told of, which must not be told by one that was made before. */
	uint64_t runs;
	uint64_t runs_told;
	uint64_t reserved[2]; /* a line of the cache for each: processors write to it with every record */
};
/*
 * No container may hold more than so many times what is free.  One alone gets 4/5 of the
 * ring, N floods share it and leave 1/(4 N + 1) free, for whoever has little to say.
 */
#define FP_USAGE_SHARE 4
/* Bytes a record takes beside its own, and what its length is rounded to. */
#define FP_RING_HEAD 8

struct fp_loss_key {
	uint64_t cgroup; /* 0: of the host */
	uint32_t cause;
	uint32_t reserved;
};

/*
 * Whose kernel side this is.  Another agent takes it over only when it would have
 * loaded just the same; `build` covers programs, layouts and the journal's form.
 */
struct fp_about {
	uint64_t build;
	uint64_t root_cgroup, root_level, container_level, pid_level, ring_size;
	uint64_t hooks; /* missing ones: a bit each enum fp_loss */
	uint64_t memory; /* bytes that the kernel charges for maps and programs, the ring among them */
	uint64_t existing; /* 1: what was there before has been told, and kept */
	uint64_t links; /* attached and pinned, when all of them are: written last */
};

/*
 * What an agent knew when it had dealt with the ring up to a position.  Two of
 * them, written by turns: one counts when the batch it names is kept (agent/capture_journal.c).
 */
/* Grows with each change of what is in `data`. */
#define FP_JOURNAL_VERSION 9
#define FP_JOURNAL_SLOTS 2
#define FP_JOURNAL_ROOM (512u << 10)
struct fp_journal_slot {
	uint64_t valid;
	uint64_t position; /* of the ring */
	uint64_t number; /* batch that must be kept; 0: none */
	uint8_t agent[16]; /* whose batch */
	uint64_t told; /* losses told by then, in all */
	uint64_t len;
	uint8_t data[FP_JOURNAL_ROOM];
};

/*
 * Programs of this project that run below the recorded cgroup: what they do is not recorded (agent/serve_ours.c).
 */
#define FP_OURS_MAX 16
struct fp_ours_seen {
	uint64_t tgid;
	uint64_t start; /* clock ticks since boot; there is nobody here when tgid is 0 */
};
#define FP_TICK 10000000 /* ns; USER_HZ is 100 on every machine we know */

/* Cgroups made lately, and where: from the root of the hierarchy.  Longer paths are cut. */
#define FP_MADE_MAX 512
struct fp_made {
	char path[256];
};

/*
 * Processes that are recorded, by number: when one is moved nobody knows any more where from.  Of more than that some leave
 * without being noticed, which is counted when they begin.
 */
#define FP_MEMBERS_MAX 16384
struct fp_member {
	uint64_t start;
	uint64_t cgroup;
};

/* At its number's place. */
#define FP_WATCHDOG_SLOTS 4096
struct fp_watchdog {
	uint64_t tgid;
	uint64_t process_start;
	uint64_t cgroup; /* whose watchdog it is */
};

/* Numbers of descriptors that were changed lately, of processes with threads. */
#define FP_REPLACED_MAX 8192
/* Datagrams of calls in progress whose other end is noted. */
#define FP_REACHED_MAX 4096
/* Sockets of which it is known who sent the datagram that they read next; of more, those asked last. */
#define FP_SENDERS_MAX 1024
/* Under way through rings at a time; of more than that some have no address, which is counted. */
#define FP_ASKED_ADDRESSES_MAX 1024
/* Requests of rings that complete more than once; of more some are not known any more, which is counted. */
#define FP_REPEATED_MAX 4096

/* `flags` of an open, beside the O_* of the call */
#define FP_OPEN_CREATED (1ull << 32)
/* `flags` of a wait */
#define FP_WAIT_LOOP 1ull
#define FP_WAIT_MOVES 2ull
#define FP_WAIT_BUSY 4ull
#define FP_WAIT_SIGNALS 8ull
/* By so much a loop's first timer may be due earlier than was told, ns. */
#define FP_WAIT_SLACK 100000ull
/* `flags` of a receive, beside those of the descriptor: the bytes are still there to be read */
#define FP_RECEIVE_PEEKED (1ull << 33)
/*
 * `fd` of what moved bytes, beside the number: it may have stood for something else when the call began
 * (bpf/replaced.bpf.h).  With an object of no kind nothing is known but that the bytes were moved.
 */
#define FP_FD_IN_DOUBT (1ull << 32)
/* `flags` of who came, or left */
#define FP_MOVED_BORN 1ull
#define FP_MOVED_THREAD 2ull /* of who left: one thread, and not its process */
/* `flags` of an exit */
#define FP_EXIT_PROCESS 1ull

/* Inodes that were lately given names; one that is forgotten too soon makes doubt, never a wrong name. */
#define FP_MOVES_MAX 16384

/* Of whom the iterators of existing.bpf.c tell; written by the agent before a walk. */
struct fp_existing_wanted {
	uint64_t tgid, start; /* this process alone; 0: all of them */
	uint64_t exec_id; /* of the one process, when it came: what another program of it has mapped, the ring has told */
	uint64_t since; /* who began later is known by a fork; ns of CLOCK_BOOTTIME */
	uint64_t without_cloexec; /* 1: descriptors that the next exec closes are left out */
};

/*
 * Calls by name of which is remembered what they touch, while they are in progress: 7.8 KiB each.  What one touches for which
 * there is no room has its names from memory alone, and says so (unverified).
 */
#define FP_NAMINGS_MAX 256
/* The same of calls that change mounts: 10 KiB each. */
#define FP_MOUNTINGS_MAX 32

/* Strings that a record has room for. */
/* More components than a path of its room can have, and mounts on the way. */
#define FP_PATH_DEPTH_MAX 600
#define FP_ARGV_MAX 1024
#define FP_PAYLOAD_MAX 512
/* Descriptors taken from one message; the kernel allows 253. */
#define FP_PASSED_MAX 32
/* Messages of one sendmmsg or recvmmsg that are recorded one by one; those behind them are counted as lost. */
#define FP_MESSAGES_MAX 32

#endif
