/*
 * All items by wall clock.  Each boot has one offset, so that the items of one
 * machine keep the order its kernel gave them: (time, cpu, number).
 */
#include <errno.h>
#include <stdlib.h>

#include "stitcher/build.h"

struct place {
	uint64_t wall;
	uint32_t item;
};

static int by_place(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;
	const struct fp_evidence *evidence = arg;
	const struct fp_item *p, *q;
	uint32_t p_boot, q_boot;

	if (x->wall != y->wall)
		return x->wall < y->wall ? -1 : 1;
	p = &evidence->items[x->item];
	q = &evidence->items[y->item];
	p_boot = fp_item_source(evidence, p)->boot;
	q_boot = fp_item_source(evidence, q)->boot;
	if (p_boot != q_boot)
		return p_boot < q_boot ? -1 : 1;
	if (p->time != q->time)
		return p->time < q->time ? -1 : 1;
	if (p->cpu != q->cpu)
		return p->cpu < q->cpu ? -1 : 1;
	if (p->seq != q->seq)
		return p->seq < q->seq ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

int fp_build_order(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	fp_cleanup(fp_freep) struct place *places = malloc((evidence->n_items + 1) * sizeof(*places));

	build->order = malloc((evidence->n_items + 1) * sizeof(*build->order));
	if (!places || !build->order)
		return -ENOMEM;
	for (size_t i = 0; i < evidence->n_items; i++)
		places[i] = (struct place){fp_build_wall(build, &evidence->items[i], evidence->items[i].time), (uint32_t)i};
	qsort_r(places, evidence->n_items, sizeof(*places), by_place, (void *)evidence);
	for (size_t i = 0; i < evidence->n_items; i++)
		build->order[i] = places[i].item;
	return fp_build_progress(build, "order", evidence->n_items, evidence->n_items);
}
