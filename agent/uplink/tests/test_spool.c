/* The spool: a chain of batches on disk that has no hole, whatever was left there. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/uplink/spool.h"
#include "agent/uplink/tests/peers.h"

static struct fp_spool *open_spool(const struct fp_peers *peers)
{
	struct fp_spool *spool;
	char error[256];

	if (fp_spool_open(peers->spool, 1 << 20, &spool, error) < 0)
		fail_msg("%s", error);
	return spool;
}

static int put_next(struct fp_spool *spool)
{
	struct fp_batch_writer *writer;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	uint64_t number;
	size_t len;
	int r;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	fp_spool_head(spool, &number, hash);
	fp_feeder_frame(writer, fp_spool_agent(spool), number + 1, hash, &frame, &len, hash);
	r = fp_spool_put(spool, frame, len);
	fp_batch_writer_free(writer);
	return r;
}

static uint64_t head_of(const struct fp_spool *spool)
{
	uint8_t hash[FP_BATCH_HASH_SIZE];
	uint64_t number;

	fp_spool_head(spool, &number, hash);
	return number;
}

static const char *path_of(const struct fp_peers *peers, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", peers->spool, name);
	return path;
}

/* Damages byte `at` of a file (from its end when negative), or cuts it there. */
static void damage(const struct fp_peers *peers, const char *name, long at, bool cut)
{
	FILE *file = fopen(path_of(peers, name), "r+");

	assert_non_null(file);
	fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
	if (cut)
		assert_int_equal(ftruncate(fileno(file), ftell(file)), 0);
	else
		fputc(0x5a, file);
	fclose(file);
}

static void test_life(void **state)
{
	const struct fp_peers *peers = *state;
	struct fp_spool *spool = open_spool(peers), *second;
	struct fp_spool_unsafe unsafe;
	struct fp_buffer frame = FP_BUFFER_INIT;
	struct fp_batch_header header;
	uint8_t agent[16], before[FP_BATCH_HASH_SIZE], after[FP_BATCH_HASH_SIZE];
	char error[256];
	uint64_t number;

	memcpy(agent, fp_spool_agent(spool), sizeof(agent));
	assert_int_equal(head_of(spool), 0);
	assert_false(fp_spool_unsafe(spool, &unsafe));
	assert_int_equal(fp_spool_open(peers->spool, 1, &second, error), -EBUSY);
	for (int i = 0; i < 5; i++)
		assert_int_equal(put_next(spool), 0);
	assert_int_equal(fp_spool_pending(spool), 5);
	assert_true(fp_spool_unsafe(spool, &unsafe));
	assert_int_equal(unsafe.first, 1);
	assert_int_equal(unsafe.last, 5);
	assert_int_equal(fp_spool_sync(&unsafe), 0);
	fp_spool_synced(spool, &unsafe);
	assert_false(fp_spool_unsafe(spool, &unsafe));
	assert_int_equal(put_next(spool), 0);
	assert_true(fp_spool_unsafe(spool, &unsafe));
	assert_int_equal(unsafe.first, 6);

	assert_int_equal(fp_spool_acked(spool, 7), -EINVAL);
	assert_int_equal(fp_spool_acked(spool, 3), 0);
	assert_int_equal(fp_spool_oldest(spool)->number, 4);
	assert_null(fp_spool_entry(spool, 3));
	assert_int_equal(fp_spool_read(spool, 3, &frame), -ENOENT);
	assert_int_equal(fp_spool_read(spool, 5, &frame), 0);
	assert_int_equal(fp_batch_peek((uint8_t *)frame.data, frame.len, &header), 0);
	assert_int_equal(header.number, 5);
	assert_int_equal(access(path_of(peers, "00000000000000000003.acked"), F_OK), 0);
	fp_spool_head(spool, &number, before);
	fp_spool_close(spool);

	/* the next life knows all of it, also when everything was acknowledged */
	spool = open_spool(peers);
	assert_memory_equal(fp_spool_agent(spool), agent, sizeof(agent));
	assert_int_equal(fp_spool_pending(spool), 3);
	assert_int_equal(fp_spool_damaged(spool), 0);
	assert_int_equal(fp_spool_acked(spool, 6), 0);
	assert_int_equal(fp_spool_bytes(spool), 0);
	fp_spool_close(spool);
	spool = open_spool(peers);
	assert_int_equal(fp_spool_pending(spool), 0);
	fp_spool_head(spool, &number, after);
	assert_int_equal(number, 6);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(put_next(spool), 0);
	assert_int_equal(access(path_of(peers, "00000000000000000003.acked"), F_OK), -1);
	fp_spool_close(spool);
	fp_buffer_done(&frame);
}

static void test_not_the_next(void **state)
{
	const struct fp_peers *peers = *state;
	struct fp_spool *spool = open_spool(peers);
	struct fp_batch_writer *writer;
	uint8_t zero[FP_BATCH_HASH_SIZE] = {0}, hash[FP_BATCH_HASH_SIZE], other[16] = {1};
	const uint8_t *frame;
	size_t len;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	fp_feeder_frame(writer, other, 1, zero, &frame, &len, hash);
	assert_int_equal(fp_spool_put(spool, frame, len), -EINVAL);
	fp_feeder_frame(writer, fp_spool_agent(spool), 2, hash, &frame, &len, hash);
	assert_int_equal(fp_spool_put(spool, frame, len), -EINVAL);
	assert_int_equal(put_next(spool), 0);
	fp_feeder_frame(writer, fp_spool_agent(spool), 2, hash, &frame, &len, hash);
	assert_int_equal(fp_spool_put(spool, frame, len), -EINVAL);
	assert_int_equal(fp_spool_put(spool, frame, len - 1), -EINVAL);
	assert_int_equal(head_of(spool), 1);
	fp_batch_writer_free(writer);
	fp_spool_close(spool);
}

/* Between any two steps of an acknowledgement the process may have died. */
static void test_died_while_acknowledging(void **state)
{
	const struct fp_peers *peers = *state;
	struct fp_spool *spool = open_spool(peers);
	char from[256];

	for (int i = 0; i < 8; i++)
		assert_int_equal(put_next(spool), 0);
	assert_int_equal(fp_spool_acked(spool, 2), 0);
	fp_spool_close(spool);
	/* acknowledging up to 6: 6 has its new name, 3 is gone; 4, 5 and the former end are still there */
	strcpy(from, path_of(peers, "00000000000000000006.batch"));
	assert_int_equal(rename(from, path_of(peers, "00000000000000000006.acked")), 0);
	assert_int_equal(unlink(path_of(peers, "00000000000000000003.batch")), 0);
	spool = open_spool(peers);
	assert_int_equal(fp_spool_damaged(spool), 0);
	assert_int_equal(fp_spool_pending(spool), 2);
	assert_int_equal(fp_spool_oldest(spool)->number, 7);
	assert_int_equal(head_of(spool), 8);
	assert_int_equal(access(path_of(peers, "00000000000000000004.batch"), F_OK), -1);
	assert_int_equal(access(path_of(peers, "00000000000000000002.acked"), F_OK), -1);
	fp_spool_close(spool);
}

static void test_crash_of_the_machine(void **state)
{
	const struct fp_peers *peers = *state;
	struct fp_spool *spool = open_spool(peers);
	uint8_t agent[16];

	memcpy(agent, fp_spool_agent(spool), sizeof(agent));
	for (int i = 0; i < 6; i++)
		assert_int_equal(put_next(spool), 0);
	fp_spool_close(spool);
	/* half-written; what follows cannot be sent without it */
	damage(peers, "00000000000000000005.batch", -40, true);
	fclose(fopen(path_of(peers, "new"), "w"));
	spool = open_spool(peers);
	assert_int_equal(fp_spool_damaged(spool), 2);
	assert_int_equal(head_of(spool), 4);
	assert_int_equal(fp_spool_pending(spool), 4);
	assert_int_equal(access(path_of(peers, "damaged-00000000000000000006"), F_OK), 0);
	assert_int_equal(put_next(spool), 0);
	assert_int_equal(head_of(spool), 5);
	fp_spool_close(spool);
	/* the right length and other bytes */
	damage(peers, "00000000000000000005.batch", -8, false);
	spool = open_spool(peers);
	assert_int_equal(fp_spool_damaged(spool), 1);
	assert_int_equal(head_of(spool), 4);
	/* damaged under our hands: noticed when it is to be sent */
	damage(peers, "00000000000000000002.batch", 30, false);
	{
		struct fp_buffer frame = FP_BUFFER_INIT;

		assert_int_equal(fp_spool_read(spool, 2, &frame), -EBADMSG);
		fp_buffer_done(&frame);
	}
	assert_memory_equal(agent, fp_spool_agent(spool), sizeof(agent));
	fp_spool_close(spool);
}

static void test_missing_and_foreign_files(void **state)
{
	const struct fp_peers *peers = *state;
	struct fp_spool *spool = open_spool(peers);
	char error[256];

	for (int i = 0; i < 4; i++)
		assert_int_equal(put_next(spool), 0);
	fp_spool_close(spool);
	assert_int_equal(unlink(path_of(peers, "00000000000000000002.batch")), 0);
	assert_int_equal(mkdir(path_of(peers, "lost+found"), 0700), 0);
	spool = open_spool(peers);
	assert_int_equal(head_of(spool), 1);
	assert_int_equal(fp_spool_damaged(spool), 2);
	fp_spool_close(spool);
	damage(peers, "agent-id", 3, false);
	assert_int_equal(fp_spool_open(peers->spool, 1, &spool, error), -EBADMSG);
	assert_non_null(strstr(error, "this is not an agent's id"));
	assert_int_equal(fp_spool_open("/nowhere/at/all", 1, &spool, error), -ENOENT);
	assert_int_equal(fp_spool_open("/dev/null", 1, &spool, error), -ENOTDIR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fp_peers_setup, fp_peers_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_not_the_next),
		TEST(test_died_while_acknowledging),
		TEST(test_crash_of_the_machine),
		TEST(test_missing_and_foreign_files),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
