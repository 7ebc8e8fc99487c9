#include "agent/sequence.h"

#include <errno.h>

#include "base/buffer.h"

void fp_sequence_note(struct fp_sequence *sequence, uint64_t cpu, uint64_t seq)
{
	uint64_t *next;

	if (cpu >= FP_SEQUENCE_CPUS_MAX)
		return;
	next = &sequence->next[cpu];
	if (seq >= *next) {
		sequence->missing += seq - *next;
		*next = seq + 1;
	} else if (sequence->missing > 0) {
		sequence->missing--; /* it comes late */
	}
}

void fp_sequence_explain(struct fp_sequence *sequence, uint64_t lost)
{
	sequence->explained += lost;
}

uint64_t fp_sequence_check(struct fp_sequence *sequence)
{
	uint64_t holes = sequence->missing > sequence->explained ? sequence->missing - sequence->explained : 0;
	uint64_t lasting = holes < sequence->seen_before ? holes : sequence->seen_before;
	uint64_t fresh = lasting > sequence->reported ? lasting - sequence->reported : 0;

	sequence->seen_before = holes;
	sequence->reported += fresh;
	return fresh;
}

void fp_sequence_save(const struct fp_sequence *sequence, struct fp_buffer *out)
{
	unsigned n = FP_SEQUENCE_CPUS_MAX;

	while (n > 0 && sequence->next[n - 1] == 0)
		n--;
	fp_buffer_add_varint(out, sequence->missing);
	fp_buffer_add_varint(out, sequence->explained);
	fp_buffer_add_varint(out, sequence->reported);
	fp_buffer_add_varint(out, sequence->seen_before);
	fp_buffer_add_varint(out, n);
	for (unsigned i = 0; i < n; i++)
		fp_buffer_add_varint(out, sequence->next[i]);
}

int fp_sequence_restore(struct fp_sequence *sequence, const uint8_t *data, size_t len, size_t *pos)
{
	uint64_t n;

	if (fp_varint_read(data, len, pos, &sequence->missing) < 0 ||
	    fp_varint_read(data, len, pos, &sequence->explained) < 0 ||
	    fp_varint_read(data, len, pos, &sequence->reported) < 0 ||
	    fp_varint_read(data, len, pos, &sequence->seen_before) < 0 || fp_varint_read(data, len, pos, &n) < 0 ||
	    n > FP_SEQUENCE_CPUS_MAX)
		return -EBADMSG;
	for (uint64_t i = 0; i < n; i++)
		if (fp_varint_read(data, len, pos, &sequence->next[i]) < 0)
			return -EBADMSG;
	return 0;
}
