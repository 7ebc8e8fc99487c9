/*
 * The agent is killed with -9, again and again, while a process works: every call is
 * in the store once or counted as lost, the records' numbers have no hole, and the
 * batches are one chain.  FAASPROV_KILLS says how often (default 5).  Needs root and BPF; skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/pins.h"
#include "agent/tests/privilege.h"
#include "store/store.h"

#define PATHS_MAX (1u << 20)

static struct fp_cgroup root, loud, quiet;
static char directory[] = "/tmp/faasprov-survive-XXXXXX";
#define WORKERS_MAX 3
static pid_t agent, workers[WORKERS_MAX];

/* Shared with the workers: the first is told to stop for all. */
static struct work {
	volatile bool stop;
	volatile uint64_t done; /* calls of the kind that is counted */
	volatile uint64_t pause_us;
} *work;

static const char *in_directory(const char *name)
{
	static char paths[4][300];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* --- the agent ------------------------------------------------------------------- */

static void show_log(void)
{
	char line[600];
	FILE *log = fopen(in_directory("log"), "r");

	while (log && fgets(line, sizeof(line), log))
		if (!strstr(line, "records lost"))
			print_message("%s", line);
	if (log)
		fclose(log);
}

/* A file of the agent's state. */
static void wait_for(const char *name)
{
	int status;

	for (int i = 0; access(in_directory(name), F_OK) < 0; i++) {
		if (waitpid(agent, &status, WNOHANG) != 0) {
			agent = 0;
			show_log();
			fail_msg("the agent ended by itself");
		}
		assert_true(i < 3000);
		sleep_ms(10);
	}
}

static void start_agent(const char *ring_mib, const char *extra)
{
	unlink(in_directory("flushed"));
	unlink(in_directory("ready"));
	agent = fork();
	assert_true(agent >= 0);
	if (agent == 0) {
		int log = open(in_directory("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		/* nothing of this test outlives it */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, 1);
		dup2(log, 2);
		execl(FAASPROV_AGENT, "faasprov-agent", "serve", "--cgroup", root.path, "--store",
		      in_directory("store.db"), "--state", directory, "--ring-size", ring_mib, extra, NULL);
		_exit(127);
	}
	wait_for("ready");
}

static void end_agent(int signal_number)
{
	int status;

	assert_int_equal(kill(agent, signal_number), 0);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	if (signal_number == SIGTERM)
		assert_int_equal(status, 0);
}

/* --- work ---------------------------------------------------------------------------- */

/* Each call has a name of its own: it can be seen whether one is missing, or there twice. */
static void make_names(unsigned mine)
{
	char path[300];

	while (!work->stop) {
		int fd;

		snprintf(path, sizeof(path), "%s/n%llu", directory, (unsigned long long)work->done);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
			_exit(1);
		work->done++;
		usleep((useconds_t)work->pause_us);
	}
}

static void write_bytes(unsigned mine)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "bytes%u", mine);
	fd = open(in_directory(name), O_WRONLY | O_CREAT, 0600);

	while (!work->stop) {
		if (pwrite(fd, "x", 1, 0) != 1)
			_exit(1);
		work[mine].done++;
		if (work[mine].pause_us)
			usleep((useconds_t)work[mine].pause_us);
	}
}

static void start_worker(unsigned mine, void (*what)(unsigned), const struct fp_cgroup *cgroup)
{
	pid_t worker;
	int go = eventfd(0, EFD_CLOEXEC);
	uint64_t one = 1;

	work->stop = false;
	work[mine].done = 0;
	worker = workers[mine] = fork();
	assert_true(worker >= 0);
	if (worker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(go, &one, sizeof(one)) != sizeof(one))
			_exit(1);
		what(mine);
		_exit(0);
	}
	assert_int_equal(fp_cgroup_enter(cgroup, worker), 0);
	assert_int_equal(write(go, &one, sizeof(one)), sizeof(one));
	close(go);
}

static void end_workers(void)
{
	int status;

	work->stop = true;
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		if (workers[i] == 0)
			continue;
		assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
		assert_int_equal(status, 0);
		workers[i] = 0;
	}
}

/* --- what the store says ---------------------------------------------------------------- */

static struct {
	uint64_t opens, other_lost, next, batches, throttled, freed;
	uint64_t writes, lost; /* of the first container, or of all when there is one */
	uint64_t begun, ended; /* of its workers: the open that each begins with, and its exit */
	uint64_t quiet_writes, quiet_lost; /* of the other */
	uint8_t seen[PATHS_MAX], hash[FP_BATCH_HASH_SIZE];
} found;

static int take_batch(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	struct fp_batch *batch = NULL;
	struct fp_event event;
	char prefix[300];
	size_t n = (size_t)snprintf(prefix, sizeof(prefix), "%s/n", directory);
	int r;

	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	/* one chain, in which nothing shows that anybody was killed */
	assert_int_equal(fp_batch_header(batch)->number, ++found.batches);
	assert_memory_equal(fp_batch_header(batch)->previous, found.hash, FP_BATCH_HASH_SIZE);
	fp_batch_hash(frame, len, found.hash);
	while ((r = fp_batch_next(batch, &event)) > 0) {
		assert_int_equal(event.seq, found.next++);
		if (event.type == FP_EVENT_TYPE_WRITE)
			*(event.cgroup == quiet.id ? &found.quiet_writes : &found.writes) += event.count ? event.count : 1;
		if (event.cgroup != quiet.id) {
			found.begun += event.type == FP_EVENT_TYPE_OPEN;
			found.ended += event.type == FP_EVENT_TYPE_EXIT;
		}
		if (event.type == FP_EVENT_TYPE_THROTTLE)
			(*(event.flags ? &found.throttled : &found.freed))++;
		if (event.type == FP_EVENT_TYPE_LOST &&
		    (event.cause == FP_LOSS_RING_FULL || event.cause == FP_LOSS_BUDGET))
			*(event.cgroup == quiet.id ? &found.quiet_lost : &found.lost) += event.lost;
		else if (event.type == FP_EVENT_TYPE_LOST)
			found.other_lost += event.lost;
		if (event.type == FP_EVENT_TYPE_OPEN && event.path.len > n && memcmp(event.path.data, prefix, n) == 0) {
			unsigned long long number = strtoull(event.path.data + n, NULL, 10);

			assert_true(number < PATHS_MAX);
			found.seen[number]++;
			found.opens++;
		}
	}
	assert_int_equal(r, 0);
	fp_batch_free(batch);
	return 0;
}

static void read_store(void)
{
	struct fp_store *store = NULL;
	char error[256];

	memset(&found, 0, sizeof(found));
	assert_int_equal(fp_store_open(in_directory("store.db"), FP_STORE_READ, &store, error), 0);
	assert_int_equal(fp_store_each_batch(store, 0, take_batch, NULL), 0);
	fp_store_close(store);
	unlink(in_directory("store.db"));
}

/* What is lost of that many workers beside their writes. */
static uint64_t lost_ends(unsigned workers_begun)
{
	return 2ull * workers_begun - found.begun - found.ended;
}

static unsigned kills(void)
{
	const char *text = getenv("FAASPROV_KILLS");

	return text ? (unsigned)atoi(text) : 5;
}

static void kill_again_and_again(const char *ring_mib)
{
	for (unsigned i = 0; i < kills(); i++) {
		/* at any moment of a second's work, the first ones included */
		sleep_ms(i * 137 % 300);
		end_agent(SIGKILL);
		sleep_ms(i * 53 % 100);
		start_agent(ring_mib, NULL);
	}
}

/* --- tests --------------------------------------------------------------------------------- */

static void what_fits_the_ring_is_there_once(void **state)
{
	start_agent("16", NULL);
	work->pause_us = 200;
	start_worker(0, make_names, &root);
	kill_again_and_again("16");
	end_workers();
	end_agent(SIGTERM);
	read_store();
	print_message("%llu calls, %llu batches\n", (unsigned long long)work->done, (unsigned long long)found.batches);
	assert_int_equal(found.lost, 0);
	assert_int_equal(found.other_lost, 0);
	assert_true(work->done > 100);
	for (uint64_t i = 0; i < work->done; i++)
		assert_int_equal(found.seen[i], 1);
	assert_int_equal(found.opens, work->done);
}

static void what_does_not_fit_is_counted(void **state)
{
	start_agent("1", NULL);
	start_worker(0, write_bytes, &root);
	kill_again_and_again("1");
	end_workers();
	end_agent(SIGTERM);
	read_store();
	print_message("%llu calls: %llu delivered, %llu lost, %llu batches\n", (unsigned long long)work->done,
		      (unsigned long long)found.writes, (unsigned long long)found.lost,
		      (unsigned long long)found.batches);
	assert_int_equal(found.other_lost, 0);
	assert_true(found.lost > 0);
	assert_int_equal(found.writes + found.lost, work->done + lost_ends(1));
}

/* Two floods on all processors, and one container that has little to say: of that one nothing is lost. */
static void a_flood_starves_nobody(void **state)
{
	uint64_t calls;

	start_agent("1", NULL);
	work[2].pause_us = 500;
	start_worker(0, write_bytes, &loud);
	start_worker(1, write_bytes, &loud);
	start_worker(2, write_bytes, &quiet);
	for (int i = 0; i < 200 && work[2].done < 1000; i++)
		sleep_ms(100);
	end_workers();
	calls = work[0].done + work[1].done;
	/* when all of it is kept, there is room for the loud one again */
	kill(agent, SIGUSR1);
	wait_for("flushed");
	start_worker(0, write_bytes, &loud);
	while (work[0].done < 10)
		sleep_ms(1);
	end_workers();
	calls += work[0].done;
	end_agent(SIGTERM);
	read_store();
	print_message("loud: %llu calls, %llu delivered, %llu lost; quiet: %llu, %llu, %llu; throttled %llu, freed %llu\n",
		      (unsigned long long)calls, (unsigned long long)found.writes,
		      (unsigned long long)found.lost, (unsigned long long)work[2].done,
		      (unsigned long long)found.quiet_writes, (unsigned long long)found.quiet_lost,
		      (unsigned long long)found.throttled, (unsigned long long)found.freed);
	assert_int_equal(found.other_lost, 0);
	assert_int_equal(found.writes + found.lost, calls + lost_ends(3));
	assert_int_equal(found.quiet_writes, work[2].done);
	assert_int_equal(found.quiet_lost, 0);
	assert_true(found.lost > 0 && found.throttled > 0 && found.freed > 0);
}

static void another_version_is_replaced_and_what_it_held_is_counted(void **state)
{
	start_agent("1", NULL);
	end_agent(SIGKILL);
	start_worker(0, write_bytes, &root);
	while (work->done < 100)
		sleep_ms(1);
	end_workers();
	/* of another size: not what this one would have made */
	start_agent("2", NULL);
	end_agent(SIGTERM);
	read_store();
	assert_true(found.other_lost >= work->done);
	assert_int_equal(found.writes, 0);
}

static void a_stop_leaves_nothing(void **state)
{
	struct fp_pins pins;
	char path[FP_PINS_PATH_MAX];

	snprintf(path, sizeof(path), FP_PINS_ROOT "/%llu", (unsigned long long)root.id);
	start_agent("1", NULL);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(fp_pins_open(root.id, &pins), -EBUSY);
	assert_int_equal(fp_pins_clean(root.id), 0); /* it lives */
	end_agent(SIGTERM);
	assert_int_equal(access(path, F_OK), -1);
	start_agent("1", NULL);
	end_agent(SIGKILL);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(fp_pins_clean(root.id), 1);
	assert_int_equal(access(path, F_OK), -1);
	start_agent("1", "--no-pin");
	assert_int_equal(access(path, F_OK), -1);
	end_agent(SIGTERM);
	unlink(in_directory("store.db"));
}

static void one_that_is_about_to_end_is_waited_for(void **state)
{
	struct fp_pins pins;
	int held[2], status;
	pid_t holder;
	char byte;

	assert_int_equal(pipe(held), 0);
	holder = fork();
	if (holder == 0) {
		if (fp_pins_open(root.id, &pins) < 0 || write(held[1], "x", 1) != 1)
			_exit(1);
		sleep_ms(100); /* the other one is not seen to wait */
		_exit(0);
	}
	assert_int_equal(read(held[0], &byte, 1), 1);
	assert_int_equal(fp_pins_open(root.id, &pins), 0);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_int_equal(status, 0);
	assert_int_equal(fp_pins_remove(&pins), 0);
	close(held[0]);
	close(held[1]);
}

static int make_container(const char *name, struct fp_cgroup *ret_cgroup)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", root.path, name);
	return mkdir(path, 0755) < 0 ? -errno : fp_cgroup_open(path, ret_cgroup);
}

static int group_setup(void **state)
{
	char name[64];

	snprintf(name, sizeof(name), "faasprov-survive-%d", getpid());
	if (!may_load_programs() || fp_cgroup_make(name, &root) < 0) {
		print_message("skipped: this machine does not let the agent record\n");
		exit(77);
	}
	if (make_container("loud", &loud) < 0 || make_container("quiet", &quiet) < 0)
		return -1;
	work = mmap(NULL, WORKERS_MAX * sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return work != MAP_FAILED && mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	int status;

	/* after a test that failed */
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		if (workers[i] > 0 && waitpid(workers[i], &status, WNOHANG) == 0) {
			kill(workers[i], SIGKILL);
			waitpid(workers[i], &status, 0);
		}
		workers[i] = 0;
		work[i].pause_us = 0;
	}
	if (agent > 0 && waitpid(agent, &status, WNOHANG) == 0) {
		kill(agent, SIGKILL);
		waitpid(agent, &status, 0);
	}
	fp_pins_clean(root.id);
	return 0;
}

static int group_teardown(void **state)
{
	char command[300];

	fp_cgroup_remove(&loud);
	fp_cgroup_remove(&quiet);
	fp_cgroup_remove(&root);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_fits_the_ring_is_there_once, teardown),
		cmocka_unit_test_teardown(what_does_not_fit_is_counted, teardown),
		cmocka_unit_test_teardown(a_flood_starves_nobody, teardown),
		cmocka_unit_test_teardown(another_version_is_replaced_and_what_it_held_is_counted, teardown),
		cmocka_unit_test_teardown(a_stop_leaves_nothing, teardown),
		cmocka_unit_test_teardown(one_that_is_about_to_end_is_waited_for, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
