/*
 * Are the numbers of the records without holes?  Per processor the kernel side
 * counts every record, lost ones included, so a hole is a loss and one that
 * nobody has counted is found here.  Records of one processor can arrive slightly out of
 * order, so a hole counts only once it has lasted from one check to the next.
 */
#ifndef FP_AGENT_SEQUENCE_H
#define FP_AGENT_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

struct fp_buffer;

#define FP_SEQUENCE_CPUS_MAX 1024

struct fp_sequence {
	uint64_t next[FP_SEQUENCE_CPUS_MAX]; /* per processor */
	uint64_t missing; /* numbers not seen, of all processors */
	uint64_t explained; /* losses the kernel side has counted */
	uint64_t reported; /* holes already given out by check() */
	uint64_t seen_before; /* unexplained at the last check */
};

void fp_sequence_note(struct fp_sequence *sequence, uint64_t cpu, uint64_t seq);
void fp_sequence_explain(struct fp_sequence *sequence, uint64_t lost);
/* Newly found, lasting, unexplained holes. */
uint64_t fp_sequence_check(struct fp_sequence *sequence);
/* For whoever counts on after a restart.  0, -EBADMSG. */
void fp_sequence_save(const struct fp_sequence *sequence, struct fp_buffer *out);
int fp_sequence_restore(struct fp_sequence *sequence, const uint8_t *data, size_t len, size_t *pos);

#endif
