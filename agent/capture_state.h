/*
 * What a capture is made of.  Shared by capture.c (loading, attaching, taking
 * over), capture_hooks.c (what a kernel may lack), capture_records.c (what comes out) and capture_journal.c (what outlives
 * an agent), and by nobody else.
 */
#ifndef FP_AGENT_CAPTURE_STATE_H
#define FP_AGENT_CAPTURE_STATE_H

#include "agent/bpf/shared.h"
#include "agent/capture.h"
#include "agent/pins.h"
#include "agent/ring.h"

/* Maps that the agent itself uses, by the name of their pins. */
#define FP_CAPTURE_MAPS(MAP) MAP(ring) MAP(losses) MAP(about) MAP(journal) MAP(families) MAP(usage) MAP(watchdogs) MAP(made) MAP(members) MAP(sequence) MAP(bss)

enum fp_capture_map {
#define FP_CAPTURE_MAP(name) FP_CAPTURE_MAP_##name,
	FP_CAPTURE_MAPS(FP_CAPTURE_MAP)
#undef FP_CAPTURE_MAP
	FP_CAPTURE_N_MAPS
};

struct bpf_link;
struct faasprov_bpf;
struct faasprov_bpf__bss;

struct known_loss {
	struct fp_loss_key key;
	uint64_t taken; /* what take_losses() has already given out */
};

struct fp_capture {
	struct faasprov_bpf *skeleton; /* NULL: taken over */
	int maps[FP_CAPTURE_N_MAPS];
	bool own_maps; /* else the skeleton closes them */
	struct faasprov_bpf__bss *bss; /* the kernel side's variables */
	struct fp_usage *usage; /* FP_USAGE_SLOTS of the kernel side's */
	uint64_t highest; /* bytes that were waiting when most were */
	uint64_t read[FP_USAGE_SLOTS]; /* bytes of each that were read; given back at release */
	struct fp_ring ring;
	int epoll;
	int alarm; /* the same for who asks whether the ring fills */
	bool hold; /* records stay until released */
	struct fp_about about;
	char not_pinned[128];
	uint64_t refused; /* hooks that are not attached, a bit each of those that a kernel may lack */
	int root; /* directory of the recorded cgroup, to attach hooks to; -1: not known */
	struct fp_pins pins, old; /* lock -1: none */
	uint64_t replaced;
	fp_capture_record_fn fn;
	void *arg;
	struct bpf_link **probes; /* on functions in user space */
	size_t n_probes;
	struct known_loss *known;
	size_t n_known;
	uint64_t losses_taken; /* what the kernel side had counted by then */
	struct fp_journal_slot *slots; /* FP_JOURNAL_SLOTS and one to write from; NULL until needed */
	unsigned slot; /* written next */
};

/* Programs and layouts of that kernel side are those of this program. */
bool fp_capture_is_same_build(const struct fp_about *about);
struct known_loss *fp_capture_known_loss(struct fp_capture *capture, const struct fp_loss_key *key);
/* Gives back the room of what was read, to the ring and to each container's budget. */
void fp_capture_give_back(struct fp_capture *capture);
/* What was told of a kernel side that cannot be taken over, and how much is unread there. */
uint64_t fp_capture_count_unread(const struct fp_pins *old);

/* Hooks that the kernel does not have, or that are wished away, are not loaded; `spare`: none that can be missing is. */
void fp_capture_leave_out_missing(struct fp_capture *capture, uint64_t without, bool spare);
/* One that cannot be attached is missing, like one that the kernel does not have; the others attach all the same. */
void fp_capture_attach_optional(struct fp_capture *capture, int cgroup);

#endif
