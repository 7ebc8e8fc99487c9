#include "agent/uplink/tests/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

void fp_pause_ms(unsigned ms)
{
	struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

int fp_peers_setup(void **state)
{
	struct fp_peers *peers = calloc(1, sizeof(*peers));

	strcpy(peers->folder, "/tmp/faasprov-test-XXXXXX");
	if (!mkdtemp(peers->folder))
		return -1;
	snprintf(peers->store, sizeof(peers->store), "%s/store.db", peers->folder);
	snprintf(peers->spool, sizeof(peers->spool), "%s/spool", peers->folder);
	snprintf(peers->state, sizeof(peers->state), "%s/state", peers->folder);
	snprintf(peers->error_log, sizeof(peers->error_log), "%s/aggregator.log", peers->folder);
	strcpy(peers->address, "127.0.0.1:0");
	*state = peers;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int fp_peers_teardown(void **state)
{
	struct fp_peers *peers = *state;

	if (peers->aggregator > 0)
		fp_aggregator_kill(peers, SIGKILL);
	nftw(peers->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(peers);
	return 0;
}

/* --- the aggregator -------------------------------------------------------------- */

static void run_aggregator(const struct fp_peers *peers, const char *const *options)
{
	const char *argv[32] = {FP_AGGREGATOR, "--listen", peers->address, "--store", peers->store,
				"--state", peers->state};
	char files[3][256];
	int n = 7, log = open(peers->error_log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	dup2(log, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (peers->tls[0]) {
		snprintf(files[0], sizeof(files[0]), "%s/ca.pem", peers->tls[0]);
		snprintf(files[1], sizeof(files[1]), "%s/%s.pem", peers->tls[0], peers->tls[1]);
		snprintf(files[2], sizeof(files[2]), "%s/%s.key", peers->tls[0], peers->tls[1]);
		argv[n++] = "--tls-ca";
		argv[n++] = files[0];
		argv[n++] = "--tls-cert";
		argv[n++] = files[1];
		argv[n++] = "--tls-key";
		argv[n++] = files[2];
	}
	while (options && *options && n < 31)
		argv[n++] = *options++;
	execv(argv[0], (char **)argv);
	_exit(127);
}

void fp_aggregator_start(struct fp_peers *peers, const char *const *options)
{
	char ready[200];
	FILE *file = NULL;

	snprintf(ready, sizeof(ready), "%s/ready", peers->state);
	unlink(ready);
	peers->aggregator = fork();
	assert_true(peers->aggregator >= 0);
	if (peers->aggregator == 0)
		run_aggregator(peers, options);
	for (int i = 0; i < 2000 && !file; i++) {
		int status;

		if (waitpid(peers->aggregator, &status, WNOHANG) != 0)
			fail_msg("the aggregator ended with status %d", status);
		fp_pause_ms(10);
		file = fopen(ready, "r");
	}
	assert_non_null(file);
	assert_non_null(fgets(peers->address, sizeof(peers->address), file));
	fclose(file);
	peers->address[strcspn(peers->address, "\n")] = '\0';
}

void fp_aggregator_kill(struct fp_peers *peers, int signal)
{
	int status;

	kill(peers->aggregator, signal);
	waitpid(peers->aggregator, &status, 0);
	peers->aggregator = 0;
	if (signal != SIGKILL)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

bool fp_aggregator_said(const struct fp_peers *peers, const char *text)
{
	FILE *file = fopen(peers->error_log, "r");
	char line[1024];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, text);
	if (file)
		fclose(file);
	return found;
}

/* --- an agent ---------------------------------------------------------------------- */

void fp_feeder_frame(struct fp_batch_writer *writer, const uint8_t agent[16], uint64_t number,
		     const uint8_t previous[FP_BATCH_HASH_SIZE], const uint8_t **ret_frame, size_t *ret_len,
		     uint8_t ret_hash[FP_BATCH_HASH_SIZE])
{
	struct fp_batch_header header = {.number = number, .host = "node-1"};

	memcpy(header.agent, agent, sizeof(header.agent));
	memcpy(header.previous, previous, sizeof(header.previous));
	for (unsigned i = 0; i < 20; i++) {
		struct fp_event event = {
			.type = FP_EVENT_TYPE_CLOSE, .time = number * 1000 + i, .seq = number * 1000 + i, .fd = i};

		if (fp_batch_writer_add(writer, &event) < 0)
			abort();
	}
	if (fp_batch_writer_finish(writer, &header, ret_frame, ret_len, ret_hash) < 0)
		abort();
}

struct feeder {
	uv_loop_t loop;
	uv_timer_t timer;
	struct fp_uplink *uplink;
	struct fp_batch_writer *writer;
	uint64_t last;
};

static void feed(uv_timer_t *timer)
{
	struct feeder *feeder = timer->data;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame, *agent = fp_uplink_agent(feeder->uplink);
	uint64_t number;
	size_t len;

	fp_uplink_head(feeder->uplink, &number, hash);
	if (number < feeder->last) {
		fp_feeder_frame(feeder->writer, agent, number + 1, hash, &frame, &len, hash);
		if (fp_uplink_put(feeder->uplink, frame, len, number + 1) < 0)
			_exit(3);
	} else if (fp_uplink_pending(feeder->uplink) == 0) {
		fp_uplink_close(feeder->uplink);
		uv_close((uv_handle_t *)&feeder->timer, NULL);
	}
}

static void run_feeder(const struct fp_peers *peers, uint64_t last, unsigned pace_ms)
{
	struct fp_uplink_options options = {.spool = peers->spool, .address = peers->address, .retry_ms = 200};
	struct feeder feeder = {.last = last};
	char files[3][256], error[256];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (peers->tls[0]) {
		snprintf(files[0], sizeof(files[0]), "%s/ca.pem", peers->tls[0]);
		snprintf(files[1], sizeof(files[1]), "%s/%s.pem", peers->tls[0], peers->tls[2]);
		snprintf(files[2], sizeof(files[2]), "%s/%s.key", peers->tls[0], peers->tls[2]);
		options.tls_ca = files[0];
		options.tls_cert = files[1];
		options.tls_key = files[2];
	}
	if (uv_loop_init(&feeder.loop) < 0 || fp_batch_writer_new(&feeder.writer) < 0)
		_exit(4);
	if (fp_uplink_open(&feeder.loop, &options, NULL, NULL, &feeder.uplink, error) < 0) {
		fprintf(stderr, "%s\n", error);
		_exit(5);
	}
	uv_timer_init(&feeder.loop, &feeder.timer);
	feeder.timer.data = &feeder;
	uv_timer_start(&feeder.timer, feed, 0, pace_ms);
	uv_run(&feeder.loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&feeder.loop) < 0)
		_exit(6);
	fp_batch_writer_free(feeder.writer);
	exit(0);
}

pid_t fp_feeder_start(const struct fp_peers *peers, uint64_t last, unsigned pace_ms)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		run_feeder(peers, last, pace_ms);
	return pid;
}

int fp_feeder_wait(pid_t pid)
{
	int status;

	for (int i = 0; i < 6000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		fp_pause_ms(10);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -SIGALRM;
}

/* --- the store --------------------------------------------------------------------- */

struct verify {
	uint64_t n;
	uint8_t hash[FP_BATCH_HASH_SIZE];
};

static int verify_batch(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	struct verify *verify = arg;
	struct fp_batch *batch = NULL;
	struct fp_event event;
	uint64_t i = 0;

	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	assert_int_equal(fp_batch_header(batch)->number, ++verify->n);
	assert_memory_equal(fp_batch_header(batch)->previous, verify->hash, sizeof(verify->hash));
	while (fp_batch_next(batch, &event) > 0)
		assert_int_equal(event.seq, verify->n * 1000 + i++);
	assert_int_equal(i, 20);
	fp_batch_hash(frame, len, verify->hash);
	fp_batch_free(batch);
	return 0;
}

uint64_t fp_store_verify(const struct fp_peers *peers)
{
	struct verify verify = {0};
	struct fp_store *store;
	char error[256];

	if (fp_store_open(peers->store, FP_STORE_READ, &store, error) < 0)
		fail_msg("%s", error);
	assert_int_equal(fp_store_each_batch(store, 0, verify_batch, &verify), 0);
	assert_int_equal(fp_store_check(store), 0);
	fp_store_close(store);
	return verify.n;
}
