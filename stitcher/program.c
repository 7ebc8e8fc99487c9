#include "stitcher/program.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "stitcher/check.h"

FP_DEFINE_CLEANUP(struct fp_batch, fp_batch_free)

/* Damaged batches that get a line each. */
#define WARNINGS_MAX 10

static int exit_code(int error)
{
	switch (error) {
	case -EBADMSG:
	case -EPROTO:
	case -EFBIG:
	case -ENOTSUP:
	case -ENOENT:
		return FP_EXIT_INPUT;
	default:
		return FP_EXIT_SYSTEM;
	}
}

int fp_stitcher_open(struct fp_stitcher *stitcher)
{
	char error[256];
	int r = fp_store_open(stitcher->url, stitcher->check ? FP_STORE_READ : FP_STORE_WRITE, &stitcher->store, error);

	if (r < 0) {
		fp_die_line(FP_STITCHER_NAME, "%s", error);
		return exit_code(r);
	}
	r = fp_stitch_new(&stitcher->limits, &stitcher->stitch);
	if (r < 0) {
		fp_die_line(FP_STITCHER_NAME, "out of memory");
		return FP_EXIT_SYSTEM;
	}
	return FP_EXIT_DONE;
}

void fp_stitcher_close(struct fp_stitcher *stitcher)
{
	stitcher->stitch = fp_stitch_free(stitcher->stitch);
	stitcher->store = fp_store_close(stitcher->store);
}

/* --- evidence in --------------------------------------------------------------- */

static int show(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct fp_stitcher *stitcher = arg;

	if (*stitcher->stop)
		return -EINTR;
	if (stitcher->progress)
		fprintf(stderr, "\r\033[K%s %" PRIu64 " of %" PRIu64, what, done, total);
	return 0;
}

static void show_no_more(const struct fp_stitcher *stitcher)
{
	if (stitcher->progress)
		fputs("\r\033[K", stderr);
}

static int take_events(struct fp_stitcher *stitcher, struct fp_batch *batch)
{
	struct fp_event event;
	uint32_t index = 0;
	int r;

	while ((r = fp_batch_next(batch, &event)) > 0) {
		r = fp_stitch_event(stitcher->stitch, &event, index++);
		if (r < 0)
			return r;
	}
	return r;
}

struct reading {
	struct fp_stitcher *stitcher;
	uint64_t total;
};

static void say_damaged(struct fp_stitcher *stitcher, uint64_t batch_id)
{
	if (++stitcher->damaged <= WARNINGS_MAX)
		fp_log(FP_LOG_WARNING, "batch is damaged and left out", "batch=%" PRIu64, batch_id);
	if (stitcher->damaged == WARNINGS_MAX)
		fp_log(FP_LOG_WARNING, "no more of this is said but their number at the end", "%s", "");
}

/* A damaged batch is left out: what its header says was in it makes a gap in the graph, so no answer hides it. */
static int take_damaged(struct fp_stitcher *stitcher, uint64_t batch_id, const uint8_t *frame, size_t len)
{
	struct fp_batch_header header;

	say_damaged(stitcher, batch_id);
	if (fp_batch_peek(frame, len, &header) < 0)
		return 0;
	return fp_stitch_damaged_batch(stitcher->stitch, batch_id, &header);
}

static int take_batch(void *arg, uint64_t batch_id, const uint8_t *frame, size_t len)
{
	struct reading *reading = arg;
	struct fp_stitcher *stitcher = reading->stitcher;
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	int r = show(stitcher, "reading batch", batch_id, reading->total);

	if (r < 0)
		return r;
	if (stitcher->until && batch_id > stitcher->until)
		return 1;
	r = fp_batch_open(frame, len, &batch);
	if (r == -EBADMSG) {
		r = take_damaged(stitcher, batch_id, frame, len);
	} else if (r == 0) {
		stitcher->whole++;
		r = fp_stitch_batch(stitcher->stitch, batch_id, fp_batch_header(batch));
		if (r == 0)
			r = take_events(stitcher, batch);
	}
	if (r == 0)
		stitcher->read = batch_id;
	return r;
}

/* The store stops at a frame that is not what was stored; behind it the walk goes on. */
static int read_batches(struct fp_stitcher *stitcher, uint64_t last)
{
	struct reading reading = {stitcher, last};
	int r;

	while ((r = fp_store_each_batch(stitcher->store, stitcher->read, take_batch, &reading)) == -EBADMSG &&
	       stitcher->read < last) {
		say_damaged(stitcher, ++stitcher->read);
	}
	return r > 0 ? 0 : r;
}

/* --- graph out ------------------------------------------------------------------ */

static int put_node(void *arg, const struct fp_store_node *node)
{
	return fp_store_graph_put_node(((struct fp_stitcher *)arg)->store, node);
}

static int put_edge(void *arg, const struct fp_store_edge *edge)
{
	return fp_store_graph_put_edge(((struct fp_stitcher *)arg)->store, edge);
}

static int put_request(void *arg, const struct fp_store_request *request)
{
	return fp_store_graph_put_request(((struct fp_stitcher *)arg)->store, request);
}

static int put_loss(void *arg, const struct fp_store_loss *loss)
{
	return fp_store_graph_put_loss(((struct fp_stitcher *)arg)->store, loss);
}

static int write_graph(struct fp_stitcher *stitcher)
{
	const struct fp_stitch_sink sink = {.arg = stitcher, .node = put_node, .edge = put_edge, .request = put_request,
					    .loss = put_loss, .progress = show};
	int r = fp_store_graph_begin(stitcher->store);

	if (r < 0)
		return r;
	r = fp_stitch_make(stitcher->stitch, &sink);
	if (r == 0 && *stitcher->stop)
		r = -EINTR;
	if (r == 0)
		r = fp_store_graph_commit(stitcher->store, stitcher->read);
	else
		fp_store_graph_abort(stitcher->store);
	return r;
}

static void say_error(const struct fp_stitcher *stitcher, int error)
{
	const char *sentence = fp_store_error(stitcher->store);

	if (error == -EINTR)
		fp_die_line(FP_STITCHER_NAME, "interrupted; the graph in %s is as it was before", stitcher->url);
	else if (error == -EFBIG)
		fp_die_line(FP_STITCHER_NAME,
			    "%s holds more than fits: raise --max-events (now %" PRIu64 ", about 250 bytes of memory each)",
			    stitcher->url, stitcher->limits.items);
	else if (error == -EPROTO)
		fp_die_line(FP_STITCHER_NAME, "%s: batch %" PRIu64 " or one behind it is of a version this program does not know",
			    stitcher->url, stitcher->read + 1);
	else if (sentence && *sentence)
		fp_die_line(FP_STITCHER_NAME, "%s", sentence);
	else
		fp_die_line(FP_STITCHER_NAME, "%s: %s", stitcher->url, strerror(-error));
}

static void say_clock(void *arg, const char *host, int64_t corrected, const char *other, int64_t least, int64_t most)
{
	if (other)
		fp_log(FP_LOG_INFO, "clocks compared", "host=%s behind=%s at_least_ns=%" PRId64 " at_most_ns=%" PRId64
		       " put_forward_ns=%" PRId64, host, other, least, most, corrected);
	else
		fp_log(FP_LOG_INFO, "clock put forward", "host=%s put_forward_ns=%" PRId64, host, corrected);
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void say_done(const struct fp_stitcher *stitcher, double seconds)
{
	struct fp_stitch_counts counts;

	fp_stitch_counts(stitcher->stitch, &counts);
	fp_log(FP_LOG_INFO, "stitched",
	       "batch=%" PRIu64 " events=%" PRIu64 " invalid=%" PRIu64 " requests=%" PRIu64 " joined=%" PRIu64
	       " nodes=%" PRIu64 " edges=%" PRIu64 " merged=%" PRIu64 " lost=%" PRIu64 " damaged=%" PRIu64 " seconds=%.3f",
	       stitcher->read, counts.events, counts.invalid, counts.requests, counts.joined, counts.nodes, counts.edges,
	       counts.operations - counts.edges, counts.lost, stitcher->damaged, seconds);
}

int fp_stitcher_once(struct fp_stitcher *stitcher)
{
	struct fp_store_totals totals;
	struct timespec start;
	int r = fp_store_totals(stitcher->store, &totals);

	clock_gettime(CLOCK_MONOTONIC, &start);
	if (r == 0 && !stitcher->rebuild && totals.last_batch == totals.stitched_batch)
		return FP_EXIT_NOTHING;
	if (r == 0)
		r = read_batches(stitcher, totals.last_batch);
	show_no_more(stitcher);
	if (r == 0 && stitcher->damaged && !stitcher->whole) {
		fp_die_line(FP_STITCHER_NAME, "no batch in %s can be read; the graph is as it was before", stitcher->url);
		return FP_EXIT_INPUT;
	}
	if (r == 0)
		r = write_graph(stitcher);
	show_no_more(stitcher);
	if (r < 0) {
		say_error(stitcher, r);
		return exit_code(r);
	}
	fp_stitch_each_clock(stitcher->stitch, say_clock, NULL);
	say_done(stitcher, seconds_since(&start));
	return FP_EXIT_DONE;
}

/* --- the graph that is there, and the one that should be ------------------------- */

/* Rows that get a line each. */
#define DIFFERENCES_MAX 10

struct differences {
	FILE *out;
	uint64_t n;
};

static void say_difference(void *arg, const char *table, const char *how, uint64_t id)
{
	static const char *const said[][2] = {{"missing", "is missing"},
					      {"changed", "is not as the evidence says"},
					      {"added", "is nothing that the evidence says"}};
	struct differences *differences = arg;

	if (differences->n++ >= DIFFERENCES_MAX)
		return;
	fputs(table, differences->out);
	if (id)
		fprintf(differences->out, " %" PRIu64, id);
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (strcmp(how, said[i][0]) == 0)
			fprintf(differences->out, " %s\n", said[i][1]);
}

static int64_t compare(struct fp_stitcher *stitcher, struct differences *differences)
{
	fp_cleanup(fp_check_freep) struct fp_check *check = NULL;
	struct fp_stitch_sink sink;
	int r = fp_check_new(&check);

	if (r < 0)
		return r;
	sink = fp_check_sink(check);
	r = fp_stitch_make(stitcher->stitch, &sink);
	return r < 0 ? r : fp_check_compare(check, stitcher->store, say_difference, differences);
}

int fp_stitcher_check(struct fp_stitcher *stitcher, FILE *out)
{
	struct differences differences = {out, 0};
	struct fp_store_totals totals;
	int64_t r = fp_store_totals(stitcher->store, &totals);

	if (r == 0 && totals.stitched_batch == 0)
		return FP_EXIT_NOTHING;
	stitcher->until = totals.stitched_batch;
	if (r == 0)
		r = read_batches(stitcher, totals.stitched_batch);
	if (r == 0)
		r = compare(stitcher, &differences);
	show_no_more(stitcher);
	if (r < 0) {
		say_error(stitcher, (int)r);
		return exit_code((int)r);
	}
	if (r > DIFFERENCES_MAX)
		fprintf(out, "%" PRId64 " more rows differ\n", r - DIFFERENCES_MAX);
	return r > 0 ? FP_EXIT_INPUT : FP_EXIT_DONE;
}
