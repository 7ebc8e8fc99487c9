#include "stitcher/stitch.h"

#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "stitcher/build.h"
#include "stitcher/merge.h"

struct fp_stitch {
	struct fp_evidence evidence;
	struct fp_stitch_counts counts;
};

int fp_stitch_new(const struct fp_stitch_limits *limits, struct fp_stitch **ret_stitch)
{
	static const struct fp_stitch_limits defaults = {FP_STITCH_ITEMS_MAX, FP_STITCH_TEXT_MAX};
	struct fp_stitch *stitch = sodium_init() < 0 ? NULL : calloc(1, sizeof(*stitch));

	if (!stitch)
		return -ENOMEM;
	fp_evidence_init(&stitch->evidence, limits ? limits : &defaults);
	*ret_stitch = stitch;
	return 0;
}

struct fp_stitch *fp_stitch_free(struct fp_stitch *stitch)
{
	if (!stitch)
		return NULL;
	fp_evidence_done(&stitch->evidence);
	free(stitch);
	return NULL;
}

int fp_stitch_batch(struct fp_stitch *stitch, uint64_t batch_id, const struct fp_batch_header *header)
{
	return fp_evidence_batch(&stitch->evidence, batch_id, header);
}

int fp_stitch_damaged_batch(struct fp_stitch *stitch, uint64_t batch_id, const struct fp_batch_header *header)
{
	return fp_evidence_damaged_batch(&stitch->evidence, batch_id, header);
}

int fp_stitch_event(struct fp_stitch *stitch, const struct fp_event *event, uint32_t index)
{
	int r = fp_evidence_add(&stitch->evidence, event, index);

	return r < 0 ? r : 0;
}

void fp_stitch_counts(const struct fp_stitch *stitch, struct fp_stitch_counts *ret_counts)
{
	*ret_counts = stitch->counts;
	ret_counts->events = stitch->evidence.n_events;
	ret_counts->invalid = stitch->evidence.n_invalid;
}

static const char *host_of(const struct fp_evidence *evidence, uint32_t boot)
{
	for (uint32_t i = 0; i < fp_intern_count(&evidence->sources_by); i++)
		if (evidence->sources[i].boot == boot)
			return fp_text(evidence, evidence->sources[i].host);
	return "";
}

void fp_stitch_each_clock(const struct fp_stitch *stitch, fp_stitch_clock_fn fn, void *arg)
{
	const struct fp_evidence *evidence = &stitch->evidence;

	for (uint32_t boot = 0; boot < fp_intern_count(&evidence->boots_by); boot++) {
		int64_t corrected = evidence->boots[boot].correction;
		bool compared = false;

		for (size_t i = 0; i < evidence->n_skews; i++) {
			const struct fp_skew *skew = &evidence->skews[i];

			/* each pair once, from the side that is behind */
			if (skew->to != boot || skew->least + skew->most < 0 ||
			    (skew->least + skew->most == 0 && skew->from > skew->to))
				continue;
			fn(arg, host_of(evidence, boot), corrected, host_of(evidence, skew->from), skew->least, skew->most);
			compared = true;
		}
		if (corrected && !compared)
			fn(arg, host_of(evidence, boot), corrected, NULL, 0, 0);
	}
}

int fp_build_progress(struct fp_build *build, const char *what, uint64_t done, uint64_t total)
{
	if (done & 0xffff || !build->sink->progress)
		return 0;
	return build->sink->progress(build->sink->arg, what, done, total);
}

static void build_init(struct fp_build *build, struct fp_evidence *evidence, const struct fp_stitch_sink *sink)
{
	*build = (struct fp_build){.evidence = evidence, .sink = sink};
	fp_graph_init(&build->graph);
	fp_intern_init(&build->guarded, SIZE_MAX);
	fp_intern_init(&build->images_by, SIZE_MAX);
	fp_intern_init(&build->bounds_by, SIZE_MAX);
	fp_intern_init(&build->path_seen, SIZE_MAX);
	fp_intern_init(&build->failed_by, SIZE_MAX);
	fp_intern_init(&build->failed_units, SIZE_MAX);
}

static void build_done(struct fp_build *build)
{
	fp_graph_done(&build->graph);
	free(build->order);
	free(build->requests);
	free(build->processes);
	free(build->links);
	free(build->path_roles);
	free(build->joined);
	free(build->answers);
	free(build->replies);
	free(build->maybe);
	fp_intern_done(&build->bounds_by);
	free(build->bounds);
	fp_intern_done(&build->guarded);
	fp_intern_done(&build->images_by);
	free(build->images);
	free(build->overlaps);
	free(build->overlap_at);
	free(build->overlap_n);
	free(build->gaps);
	free(build->files);
	free(build->path_list);
	fp_intern_done(&build->path_seen);
	fp_intern_done(&build->failed_by);
	fp_intern_done(&build->failed_units);
	free(build->failed);
	free(build->failed_lists);
}

/* Requests that only their own events speak of have a node too. */
static int add_requests(struct fp_build *build)
{
	uint32_t node;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < fp_intern_count(&build->evidence->requests); i++)
		r = fp_build_request_node(build, i, &node);
	return r;
}

/* All that must be known before the first item is resolved. */
static int prepare(struct fp_build *build)
{
	int r = fp_build_order(build);

	if (r >= 0)
		r = fp_build_survey(build);
	if (r >= 0)
		r = fp_build_join(build);
	return r < 0 ? r : fp_build_streams(build);
}

/* When machines' clocks prove wrong they are corrected, and everything is put in order once more. */
static int prepare_with_clocks(struct fp_build *build, struct fp_evidence *evidence, const struct fp_stitch_sink *sink)
{
	int r;

	for (uint32_t i = 0; i < fp_intern_count(&evidence->boots_by); i++)
		evidence->boots[i].correction = 0;
	build_init(build, evidence, sink);
	r = prepare(build);
	if (r >= 0)
		r = fp_build_correct(build);
	if (r <= 0)
		return r;
	build_done(build);
	build_init(build, evidence, sink);
	return prepare(build);
}

int fp_stitch_make(struct fp_stitch *stitch, const struct fp_stitch_sink *sink)
{
	struct fp_build build;
	int r = prepare_with_clocks(&build, &stitch->evidence, sink);

	if (r >= 0)
		r = fp_build_watchdogs(&build);
	if (r >= 0)
		r = fp_build_resolve(&build);
	if (r >= 0)
		r = fp_build_failures(&build);
	if (r >= 0)
		r = add_requests(&build);
	if (r >= 0)
		r = fp_build_losses(&build);
	build.counts.operations = build.graph.n_ops;
	if (r >= 0)
		r = fp_merge(&build.graph);
	if (r >= 0)
		r = fp_build_emit(&build);
	stitch->counts = build.counts;
	build_done(&build);
	return r < 0 ? r : 0;
}
