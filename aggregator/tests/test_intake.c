/* What enters the store: whole chains, each batch once, and nothing of a group when the disk says no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/intake.h"
#include "store/tests/util.h"

#define MAX 16

struct fixture {
	struct fp_store *store;
	struct fp_intake *intake;
	struct fp_chain a, b;
	struct fp_intake_item items[MAX];
	struct fp_intake_item *list[MAX];
	size_t n;
};

static struct fixture *begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[256];

	if (fp_store_open(fp_folder_path(state, "s.db"), FP_STORE_CREATE, &f->store, error) < 0)
		fail_msg("%s", error);
	assert_int_equal(fp_intake_new(f->store, &f->intake), 0);
	fp_chain_init(&f->a, 0xaa);
	fp_chain_init(&f->b, 0xbb);
	return f;
}

static void clear(struct fixture *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->items[i].frame);
	memset(f->items, 0, sizeof(f->items));
	f->n = 0;
}

static void end(struct fixture *f)
{
	clear(f);
	fp_intake_free(f->intake);
	fp_store_close(f->store);
	fp_chain_done(&f->a);
	fp_chain_done(&f->b);
	free(f);
}

static struct fp_intake_item *add(struct fixture *f, struct fp_chain *chain, bool batch)
{
	struct fp_intake_item *item = &f->items[f->n];

	memcpy(item->agent, chain->header.agent, sizeof(item->agent));
	if (batch)
		item->frame = fp_chain_next(chain, 3, 42, &item->len);
	f->list[f->n++] = item;
	return item;
}

static void take(struct fixture *f)
{
	fp_intake_take(f->intake, f->list, f->n);
}

static uint64_t stored(struct fixture *f)
{
	struct fp_store_totals totals;

	assert_int_equal(fp_store_totals(f->store, &totals), 0);
	return totals.batches;
}

static void test_two_chains(void **state)
{
	struct fixture *f = begin(state);

	add(f, &f->a, false);
	add(f, &f->a, true);
	add(f, &f->b, true);
	add(f, &f->a, true);
	add(f, &f->a, false);
	take(f);
	assert_int_equal(f->items[0].verdict, FP_VERDICT_GREETED);
	assert_int_equal(f->items[0].welcome.last, 0);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(f->items[i].verdict, FP_VERDICT_STORED);
	assert_int_equal(f->items[3].number, 2);
	assert_int_equal(f->items[3].events, 3);
	assert_int_equal(f->items[4].welcome.last, 2);
	assert_memory_equal(f->items[4].welcome.hash, f->a.header.previous, FP_BATCH_HASH_SIZE);
	assert_int_equal(stored(f), 3);
	/* all again */
	take(f);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(f->items[i].verdict, FP_VERDICT_KNOWN);
	assert_int_equal(stored(f), 3);
	/* another life of the aggregator knows as much */
	fp_intake_free(f->intake);
	assert_int_equal(fp_intake_new(f->store, &f->intake), 0);
	clear(f);
	add(f, &f->b, true);
	take(f);
	assert_int_equal(f->items[0].verdict, FP_VERDICT_STORED);
	end(f);
}

/* Two aggregators of one store: an agent that goes from one to the other and back is known to both. */
static void test_two_aggregators(void **state)
{
	struct fixture *f = begin(state);
	struct fp_intake *first = f->intake, *second;
	struct fp_store *store;
	char error[256];

	assert_int_equal(fp_store_open(fp_folder_path(state, "s.db"), FP_STORE_WRITE, &store, error), 0);
	assert_int_equal(fp_intake_new(store, &second), 0);
	for (int turn = 0; turn < 4; turn++) {
		f->intake = turn % 2 ? second : first;
		clear(f);
		add(f, &f->a, false);
		add(f, &f->a, true);
		take(f);
		assert_int_equal(f->items[0].welcome.last, turn);
		assert_int_equal(f->items[1].verdict, FP_VERDICT_STORED);
	}
	f->intake = first;
	fp_intake_free(second);
	fp_store_close(store);
	end(f);
}

/* One bad batch is kept out, and what follows it of that agent; the others of the group are stored. */
static void test_bad_one_in_a_group(void **state)
{
	struct fixture *f = begin(state);

	add(f, &f->a, true);
	add(f, &f->b, true);
	f->items[1].frame[f->items[1].len - 3] ^= 0x55;
	add(f, &f->b, true);
	add(f, &f->a, true);
	add(f, &f->a, true);
	memcpy(f->items[4].agent, f->b.header.agent, 16);
	take(f);
	assert_int_equal(f->items[0].verdict, FP_VERDICT_STORED);
	assert_int_equal(f->items[1].verdict, FP_VERDICT_REFUSED);
	assert_int_equal(f->items[1].code, FP_REFUSE_INVALID);
	assert_int_equal(f->items[2].verdict, FP_VERDICT_REFUSED);
	assert_int_equal(f->items[2].code, FP_REFUSE_CHAIN);
	assert_int_equal(f->items[3].verdict, FP_VERDICT_STORED);
	assert_int_equal(f->items[4].verdict, FP_VERDICT_REFUSED);
	assert_string_equal(f->items[4].reason, "the batch is of another agent than the one connected");
	assert_int_equal(stored(f), 2);
	end(f);
}

static void test_other_version(void **state)
{
	struct fixture *f = begin(state);

	add(f, &f->a, true);
	f->items[0].frame[6]++;
	take(f);
	assert_int_equal(f->items[0].code, FP_REFUSE_VERSION);
	end(f);
}

/* The store cannot take it: nothing of the group is taken, nothing is remembered as taken, and it works again later. */
static void test_store_fails(void **state)
{
	struct fixture *f = begin(state);
	struct fp_store *real = f->store;
	struct fp_store *reader;
	char error[256];

	assert_int_equal(fp_store_open(fp_folder_path(state, "s.db"), FP_STORE_READ, &reader, error), 0);
	add(f, &f->a, true);
	take(f);
	assert_int_equal(f->items[0].verdict, FP_VERDICT_STORED);
	fp_intake_free(f->intake);
	/* a store that cannot be written */
	assert_int_equal(fp_intake_new(reader, &f->intake), 0);
	clear(f);
	add(f, &f->a, true);
	add(f, &f->b, true);
	add(f, &f->a, false);
	take(f);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(f->items[i].verdict, FP_VERDICT_REFUSED);
		assert_int_equal(f->items[i].code, FP_REFUSE_STORE);
		assert_non_null(strstr(f->items[i].reason, "for reading only"));
	}
	fp_intake_free(f->intake);
	assert_int_equal(fp_intake_new(real, &f->intake), 0);
	take(f);
	assert_int_equal(f->items[0].verdict, FP_VERDICT_STORED);
	assert_int_equal(f->items[1].verdict, FP_VERDICT_STORED);
	assert_int_equal(stored(f), 3);
	fp_store_close(reader);
	end(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fp_folder_setup, fp_folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_chains),
		TEST(test_two_aggregators),
		TEST(test_bad_one_in_a_group),
		TEST(test_other_version),
		TEST(test_store_fails),
	};

	return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
