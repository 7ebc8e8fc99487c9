/*
 * One limit for all that an agent takes: the ring and the other maps in the kernel, its program and
 * libraries, its heap.  Only what the tables remember can be made less at will (agent/bounds.h), so they get
 * what is left, and that is measured anew from time to time: whatever else grows (buffers of parsers, batches
 * on their way, the spool's list) makes less room for them.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/log.h"

/* The tables always have so much: with less, nothing could be attributed. */
#define TABLES_LEAST (4u << 20)
/* Of the limit, for what the heap cannot give back: holes between what is in use. */
#define HOLES_SHARE 6
/* Of the limit, for the store's pages: they are of the heap, too, and leave the rest to the tables. */
#define STORE_SHARE 16
/* Of the limit, at most, for what the kernel keeps for threads; as long as it is not needed the tables have it. */
#define THREADS_SHARE 16
/* Free memory at the heap's end that is worth giving back. */
#define TRIM_ABOVE (4u << 20)

/* What is mapped of files and the ring, each page shared with others in part. */
static size_t mapped(void)
{
	fp_cleanup(fp_fclosep) FILE *file = fopen("/proc/self/smaps_rollup", "re");
	size_t sum = 0, kib;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pss_File: %zu kB", &kib) == 1 || sscanf(line, "Pss_Shmem: %zu kB", &kib) == 1)
			sum += kib << 10;
	return sum;
}

void fp_serve_memory_begin(struct serve *serve)
{
	/* the loop's own helper threads allocate little: they need no heaps of their own */
	mallopt(M_ARENA_MAX, 1);
	serve->memory.limit = serve->options.memory;
}

/* Once all is loaded, which takes more than anything later: what of that is free again goes back. */
void fp_serve_memory_loaded(struct serve *serve)
{
	size_t ring = serve->options.ring_size, all = mapped();

	if (serve->sink.store && fp_store_set_cache(serve->sink.store, serve->memory.limit / STORE_SHARE) < 0)
		fp_log(FP_LOG_WARNING, "the store may take more memory than it should", "why=\"%s\"", fp_store_error(serve->sink.store));
	malloc_trim(0);
	fp_capture_set_thread_memory(serve->capture, serve->memory.limit / THREADS_SHARE);
	serve->memory.kernel = fp_capture_memory(serve->capture) + fp_existing_memory(serve->walk.existing);
	/* pages of the ring are counted in both */
	serve->memory.mapped = all > ring ? all - ring : all;
	fp_serve_memory_look(serve);
	if (serve->memory.short_of)
		fp_log(FP_LOG_WARNING, "--memory is less than what is needed at least", "limit=%zu needed=%zu",
		       serve->memory.limit, serve->memory.limit + serve->memory.short_of);
}

void fp_serve_memory_look(struct serve *serve)
{
	struct fp_serve_memory *memory = &serve->memory;
	struct mallinfo2 info = mallinfo2(); /* once: it goes through all that is free */
	size_t limit, tables = fp_pipeline_memory(serve->pipeline, &limit), heap = info.uordblks + info.hblkhd;
	size_t threads = fp_capture_thread_memory(serve->capture);
	size_t rest = memory->kernel + threads + memory->mapped + (heap > tables ? heap - tables : 0) + memory->limit / HOLES_SHARE;

	memory->heap = heap;
	memory->short_of = rest + TABLES_LEAST > memory->limit ? rest + TABLES_LEAST - memory->limit : 0;
	fp_pipeline_set_memory(serve->pipeline, memory->short_of ? TABLES_LEAST : memory->limit - rest);
	if (info.keepcost > TRIM_ABOVE)
		malloc_trim(0);
}

json_t *fp_serve_say_memory(const struct serve *serve)
{
	json_t *tables = json_object(), *row;
	struct fp_bound table;

	for (unsigned n = 0; fp_pipeline_table(serve->pipeline, n, &table); n++) {
		row = json_object();
		json_object_set_new(row, "entries", json_integer((json_int_t)table.entries));
		json_object_set_new(row, "bytes", json_integer((json_int_t)table.bytes));
		json_object_set_new(row, "forgotten", json_integer((json_int_t)table.forgotten));
		json_object_set_new(tables, table.name, row);
	}
	return tables;
}
