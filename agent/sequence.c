#include "agent/sequence.h"

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
