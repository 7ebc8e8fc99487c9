#include "agent/walk.h"

#include <errno.h>
#include <string.h>

#include "agent/bpf/shared.h"

void fp_walk_done(struct fp_walk *walk)
{
	walk->existing = fp_existing_free(walk->existing);
	walk->n = 0;
	walk->begun = false;
}

int fp_walk_note(struct fp_walk *walk, const void *record, size_t len)
{
	struct fp_record_head head;

	if (len < sizeof(head))
		return 0;
	memcpy(&head, record, sizeof(head));
	if (head.type != FP_RECORD_TYPE_MOVED)
		return 0;
	if (!walk->existing)
		return -ENOTSUP;
	for (unsigned i = 0; i < walk->n; i++)
		if (walk->waiting[i].tgid == head.tgid && walk->waiting[i].start == head.process_start)
			return 1;
	if (walk->n == FP_WALK_WAITING_MAX)
		return -ENOSPC;
	walk->waiting[walk->n].tgid = head.tgid;
	walk->waiting[walk->n].exec_id = head.exec_id;
	walk->waiting[walk->n++].start = head.process_start;
	return 1;
}

int fp_walk_step(struct fp_walk *walk, fp_capture_record_fn fn, void *arg)
{
	for (;;) {
		int r = walk->begun ? fp_existing_read(walk->existing, fn, arg) : 0;

		if (r != 0)
			return r;
		walk->begun = false;
		if (!walk->n)
			return 0;
		r = fp_existing_begin_process(walk->existing, walk->waiting[0].tgid, walk->waiting[0].start,
					      walk->waiting[0].exec_id);
		walk->n--;
		memmove(walk->waiting, walk->waiting + 1, walk->n * sizeof(walk->waiting[0]));
		if (r == -ESRCH) /* over already: he is known by what the ring has told */
			continue;
		if (r < 0)
			return r;
		walk->begun = true;
	}
}
