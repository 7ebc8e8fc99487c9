/*
 * The aggregator in hard times: its disk is full, somebody else holds the
 * store, all nodes come at once.  What is acknowledged is stored, once and in
 * order; what cannot be stored waits with its agent.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/uplink/tests/peers.h"
#include "store/store.h"

#define MANY 200
#define EACH 3

/* At most a minute; a busy machine needs it. */
static void wait_until_said(const struct fp_peers *peers, const char *text)
{
	for (int i = 0; i < 6000 && !fp_aggregator_said(peers, text); i++)
		fp_pause_ms(10);
	assert_true(fp_aggregator_said(peers, text));
}

/* A disk of its own for the store, seen by nobody else. */
static bool mount_disk(struct fp_peers *peers, char disk[160])
{
	snprintf(disk, 160, "%s/disk", peers->folder);
	assert_int_equal(mkdir(disk, 0700), 0);
	snprintf(peers->store, sizeof(peers->store), "%.140s/store.db", disk);
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("disk", disk, "tmpfs", 0, "size=512k") == 0;
}

/* Until 300 batches have no room on that disk.  Returns who sends them. */
static pid_t fill_disk(struct fp_peers *peers, char disk[160])
{
	pid_t feeder;

	if (!mount_disk(peers, disk))
		skip();
	fp_aggregator_start(peers, NULL);
	feeder = fp_feeder_start(peers, 300, 1);
	wait_until_said(peers, "no space left");
	return feeder;
}

static void test_disk_full(void **state)
{
	struct fp_peers *peers = *state;
	char disk[160];
	pid_t feeder = fill_disk(peers, disk);

	/* it lives, and what it has acknowledged is there and whole */
	assert_int_equal(waitpid(peers->aggregator, NULL, WNOHANG), 0);
	assert_in_range(fp_store_verify(peers), 1, 299);
	/* there is room again: nobody has to be started anew */
	assert_int_equal(mount("disk", disk, "tmpfs", MS_REMOUNT, "size=64m"), 0);
	assert_int_equal(fp_feeder_wait(feeder), 0);
	assert_int_equal(fp_store_verify(peers), 300);
	fp_aggregator_kill(peers, SIGTERM);
	assert_int_equal(fp_store_verify(peers), 300);
	assert_true(fp_aggregator_said(peers, "stored=300"));
	assert_int_equal(umount(disk), 0);
}

/* Killed on a full disk, and started when there is room: it goes on where it was. */
static void test_disk_full_and_killed(void **state)
{
	struct fp_peers *peers = *state;
	char disk[160];
	pid_t feeder = fill_disk(peers, disk);

	fp_aggregator_kill(peers, SIGKILL);
	assert_int_equal(mount("disk", disk, "tmpfs", MS_REMOUNT, "size=64m"), 0);
	fp_aggregator_start(peers, NULL);
	assert_int_equal(fp_feeder_wait(feeder), 0);
	assert_int_equal(fp_store_verify(peers), 300);
	fp_aggregator_kill(peers, SIGKILL);
	assert_int_equal(umount(disk), 0);
}

static int pass(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	return ++*(unsigned *)arg > 0;
}

/* A reader that holds what it reads, and a writer that holds all: batches wait, nothing fails. */
static void test_held_by_others(void **state)
{
	struct fp_peers *peers = *state;
	struct fp_store *writer;
	unsigned seen = 0;
	pid_t feeder;

	fp_aggregator_start(peers, NULL);
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 5, 1)), 0);
	assert_int_equal(fp_store_open(peers->store, FP_STORE_WRITE, &writer, NULL), 0);
	assert_int_equal(fp_store_each_batch(writer, 0, pass, &seen), 1);
	assert_int_equal(fp_store_group_begin(writer), 0);
	feeder = fp_feeder_start(peers, 100, 1);
	/* by then the first of them has come and waits */
	for (int i = 0; i < 6000 && !fp_aggregator_said(peers, "agent connected"); i++)
		fp_pause_ms(10);
	fp_pause_ms(500);
	assert_int_equal(waitpid(feeder, NULL, WNOHANG), 0);
	assert_int_equal(fp_store_verify(peers), 5);
	assert_int_equal(fp_store_group_abort(writer), 0);
	assert_int_equal(fp_feeder_wait(feeder), 0);
	assert_int_equal(fp_store_verify(peers), 100);
	fp_store_close(writer);
}

/* --- all nodes at once --------------------------------------------------------------- */

struct seen {
	uint8_t agent[MANY][16], hash[MANY][FP_BATCH_HASH_SIZE];
	uint64_t last[MANY];
	unsigned n;
};

static int see(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	struct fp_batch_header header;
	struct seen *seen = arg;
	unsigned i = 0;

	assert_int_equal(fp_batch_peek(frame, len, &header), 0);
	while (i < seen->n && memcmp(seen->agent[i], header.agent, sizeof(header.agent)) != 0)
		i++;
	assert_in_range(i, 0, MANY - 1);
	if (i == seen->n)
		memcpy(seen->agent[seen->n++], header.agent, sizeof(header.agent));
	assert_int_equal(header.number, ++seen->last[i]);
	assert_memory_equal(header.previous, seen->hash[i], sizeof(header.previous));
	fp_batch_hash(frame, len, seen->hash[i]);
	return 0;
}

static void test_all_at_once(void **state)
{
	static struct seen seen;
	struct fp_peers *peers = *state, one[MANY];
	struct fp_store *store;
	pid_t feeders[MANY];

	fp_aggregator_start(peers, NULL);
	for (int i = 0; i < MANY; i++) {
		one[i] = *peers;
		snprintf(one[i].spool, sizeof(one[i].spool), "%.120s/spool-%d", peers->folder, i);
		feeders[i] = fp_feeder_start(&one[i], EACH, 1);
		/* and the aggregator dies among them */
		if (i == MANY / 2) {
			fp_aggregator_kill(peers, SIGKILL);
			fp_aggregator_start(peers, NULL);
		}
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(fp_feeder_wait(feeders[i]), 0);
	assert_int_equal(fp_store_open(peers->store, FP_STORE_READ, &store, NULL), 0);
	assert_int_equal(fp_store_each_batch(store, 0, see, &seen), 0);
	fp_store_close(store);
	assert_int_equal(seen.n, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(seen.last[i], EACH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fp_peers_setup, fp_peers_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_disk_full),
		TEST(test_disk_full_and_killed),
		TEST(test_held_by_others),
		TEST(test_all_at_once),
	};

	return cmocka_run_group_tests_name("hard times", tests, NULL, NULL);
}
