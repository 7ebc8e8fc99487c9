/* From agent to store, with the real aggregator: each batch arrives once, in order, whoever is killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/uplink/tests/peers.h"
#include "base/text.h"
#include "store/store.h"
#include "wire/protocol.h"

static void test_delivers(void **state)
{
	struct fp_peers *peers = *state;

	fp_aggregator_start(peers, NULL);
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 100, 1)), 0);
	assert_int_equal(fp_store_verify(peers), 100);
	/* a second life goes on with the chain */
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 150, 1)), 0);
	fp_aggregator_kill(peers, SIGTERM);
	assert_int_equal(fp_store_verify(peers), 150);
	assert_true(fp_aggregator_said(peers, "stored=150 events=3000 duplicate=0 refused=0"));
}

/* Nobody listens at first: the spool keeps everything, and then all of it is sent. */
static void test_aggregator_comes_late(void **state)
{
	struct fp_peers *peers = *state;
	pid_t feeder;

	fp_aggregator_start(peers, NULL);
	fp_aggregator_kill(peers, SIGTERM);
	feeder = fp_feeder_start(peers, 200, 1);
	fp_pause_ms(300);
	fp_aggregator_start(peers, NULL);
	assert_int_equal(fp_feeder_wait(feeder), 0);
	assert_int_equal(fp_store_verify(peers), 200);
}

static void test_aggregator_killed(void **state)
{
	struct fp_peers *peers = *state;
	pid_t feeder;
	unsigned kills = 0;
	int status;

	fp_aggregator_start(peers, NULL);
	feeder = fp_feeder_start(peers, 1500, 2);
	/* on a slow machine the aggregator is at last left alone, so that the end comes */
	while (waitpid(feeder, &status, kills < 50 ? WNOHANG : 0) == 0) {
		fp_pause_ms(20 + kills * 37 % 150);
		fp_aggregator_kill(peers, SIGKILL);
		fp_aggregator_start(peers, NULL);
		kills++;
	}
	assert_int_equal(status, 0);
	assert_true(kills > 5);
	assert_int_equal(fp_store_verify(peers), 1500);
}

/* Goes on after all that was killed, until so much is stored: a slow machine may not have come so far. */
static bool reaches(struct fp_peers *peers, unsigned least)
{
	unsigned ms = 100;

	for (; fp_store_verify(peers) <= least && ms < 60000; ms *= 2) {
		pid_t feeder = fp_feeder_start(peers, 1000000, 1);

		fp_pause_ms(ms);
		kill(feeder, SIGKILL);
		fp_feeder_wait(feeder);
		fp_feeder_wait(fp_feeder_start(peers, 0, 1));
	}
	return ms < 60000;
}

static void test_agent_killed(void **state)
{
	struct fp_peers *peers = *state;

	fp_aggregator_start(peers, NULL);
	for (unsigned kills = 0; kills < 15; kills++) {
		pid_t feeder = fp_feeder_start(peers, 1000000, 1);

		fp_pause_ms(20 + kills * 31 % 130);
		kill(feeder, SIGKILL);
		assert_int_equal(fp_feeder_wait(feeder), -SIGKILL);
	}
	/* whatever number was reached: the rest is delivered */
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 0, 1)), 0);
	assert_true(reaches(peers, 50));
}

static void test_both_killed(void **state)
{
	struct fp_peers *peers = *state;
	pid_t feeder;

	fp_aggregator_start(peers, NULL);
	for (unsigned kills = 0; kills < 12; kills++) {
		int status;

		feeder = fp_feeder_start(peers, 1000000, 1);
		fp_pause_ms(50 + kills * 41 % 100);
		kill(kills % 2 ? feeder : peers->aggregator, SIGKILL);
		fp_pause_ms(kills * 7 % 30);
		kill(kills % 2 ? peers->aggregator : feeder, SIGKILL);
		waitpid(feeder, &status, 0);
		fp_aggregator_kill(peers, SIGKILL);
		fp_aggregator_start(peers, NULL);
	}
	/* whatever number was reached: the end is delivered */
	feeder = fp_feeder_start(peers, 0, 1);
	assert_int_equal(fp_feeder_wait(feeder), 0);
	assert_true(reaches(peers, 50));
	fp_aggregator_kill(peers, SIGTERM);
}

/* --- those that mean no good ------------------------------------------------------- */

static int connect_to(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct timeval patience = {10, 0};
	uint64_t hi, lo;
	uint16_t port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(fp_endpoint_parse(address, strlen(address), &hi, &lo, &port), 0);
	to.sin_port = htons(port);
	to.sin_addr.s_addr = htonl((uint32_t)lo);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* Reads until the peer closes; what came is in `out`. */
static size_t read_to_end(int fd, uint8_t *out, size_t size)
{
	size_t n = 0;
	ssize_t r;

	while (n < size && (r = read(fd, out + n, size - n)) > 0)
		n += (size_t)r;
	assert_true(n < size && (r == 0 || errno == ECONNRESET));
	close(fd);
	return n;
}

static void send_buffer(int fd, struct fp_buffer *buffer)
{
	assert_int_equal(send(fd, buffer->data, buffer->len, MSG_NOSIGNAL), buffer->len);
	fp_buffer_done(buffer);
}

static void test_garbage(void **state)
{
	struct fp_peers *peers = *state;
	static const char *const options[] = {"--timeout", "1", NULL};
	struct fp_buffer hello = FP_BUFFER_INIT, out = FP_BUFFER_INIT;
	uint8_t answer[1024], id[16] = "sixteen bytes id", noise[4096];
	pid_t feeder;
	int silent, slow, liar;

	fp_aggregator_start(peers, options);
	feeder = fp_feeder_start(peers, 500, 2);
	/* says nothing; begins a message and stops; announces a long batch and sends little of it */
	silent = connect_to(peers->address);
	slow = connect_to(peers->address);
	assert_int_equal(send(slow, "FP\x01", 3, 0), 3);
	liar = connect_to(peers->address);
	fp_message_hello(&hello, id);
	send_buffer(liar, &hello);
	assert_int_equal(send(liar, "FP\x01\x03\x00\x00\x30\x00" "begin", 13, 0), 13);
	srandom(7);
	for (int i = 0; i < 50; i++) {
		int fd = connect_to(peers->address);

		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)random();
		if (i % 2)
			memcpy(noise, "FP\x01\x01\x14\x00\x00\x00", 8); /* a HELLO of another version, then noise */
		if (send(fd, noise, sizeof(noise), MSG_NOSIGNAL) > 0)
			read_to_end(fd, answer, sizeof(answer));
		else
			close(fd);
	}
	/* a batch that is none, within a right conversation */
	fp_message_hello(&out, id);
	memset(noise, 'x', sizeof(noise));
	fp_message_batch(&out, noise, sizeof(noise));
	{
		int fd = connect_to(peers->address);
		size_t n;

		send_buffer(fd, &out);
		n = read_to_end(fd, answer, sizeof(answer) - 1);
		answer[n] = '\0';
		assert_non_null(memmem(answer, n, "not well-formed", 15));
	}
	read_to_end(silent, answer, sizeof(answer));
	read_to_end(slow, answer, sizeof(answer));
	read_to_end(liar, answer, sizeof(answer));
	assert_int_equal(fp_feeder_wait(feeder), 0);
	assert_int_equal(fp_store_verify(peers), 500);
	fp_aggregator_kill(peers, SIGTERM);
	assert_true(fp_aggregator_said(peers, "stored=500"));
}

static void test_too_many(void **state)
{
	struct fp_peers *peers = *state;
	static const char *const options[] = {"--timeout", "1", "--max-connections", "4", NULL};
	uint8_t answer[64];
	int fds[8];

	fp_aggregator_start(peers, options);
	for (int i = 0; i < 8; i++)
		fds[i] = connect_to(peers->address);
	/* the later ones are closed at once, the first when their time is over; then there is room again */
	for (int i = 7; i >= 0; i--)
		assert_int_equal(read_to_end(fds[i], answer, sizeof(answer)), 0);
	assert_true(fp_aggregator_said(peers, "too many connections"));
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 10, 1)), 0);
	assert_int_equal(fp_store_verify(peers), 10);
}

/* --- chains ------------------------------------------------------------------------- */

/* Sends frames after a HELLO and gives the text of the refusal. */
static void refused_with(struct fp_peers *peers, const uint8_t *agent, const uint8_t *frame, size_t len, const char *text)
{
	struct fp_buffer out = FP_BUFFER_INIT;
	uint8_t answer[1024];
	int fd = connect_to(peers->address);
	size_t n;

	fp_message_hello(&out, agent);
	fp_message_batch(&out, frame, len);
	send_buffer(fd, &out);
	n = read_to_end(fd, answer, sizeof(answer));
	if (!memmem(answer, n, text, strlen(text)))
		fail_msg("no \"%s\" in the answer", text);
}

static void test_chain(void **state)
{
	struct fp_peers *peers = *state;
	struct fp_batch_writer *writer;
	uint8_t agent[16] = "agent-under-test", zero[FP_BATCH_HASH_SIZE] = {0}, other[FP_BATCH_HASH_SIZE] = {1},
		hash[FP_BATCH_HASH_SIZE], ignored[FP_BATCH_HASH_SIZE], answer[256];
	struct fp_buffer out = FP_BUFFER_INIT;
	const uint8_t *frame;
	size_t len, n;
	int fd;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	fp_aggregator_start(peers, NULL);
	fp_feeder_frame(writer, agent, 2, other, &frame, &len, ignored);
	refused_with(peers, agent, frame, len, "batch 2 leaves a hole: the last one stored is 0");
	fp_feeder_frame(writer, agent, 1, zero, &frame, &len, hash);
	refused_with(peers, (const uint8_t *)"another agent id", frame, len, "of another agent");
	/* the right one, twice in one conversation: stored once, acknowledged */
	fd = connect_to(peers->address);
	fp_message_hello(&out, agent);
	fp_message_batch(&out, frame, len);
	fp_message_batch(&out, frame, len);
	send_buffer(fd, &out);
	n = 0;
	while (n < 48 + 16) {
		ssize_t r = read(fd, answer + n, sizeof(answer) - n);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_int_equal(answer[3], FP_MESSAGE_WELCOME);
	assert_int_equal(answer[48 + 3], FP_MESSAGE_ACK);
	assert_int_equal(answer[48 + 8], 1);
	close(fd);
	fp_feeder_frame(writer, agent, 2, other, &frame, &len, ignored);
	refused_with(peers, agent, frame, len, "batch 2 follows another batch 1 than the one stored");
	fp_feeder_frame(writer, agent, 3, hash, &frame, &len, ignored);
	refused_with(peers, agent, frame, len, "batch 3 leaves a hole: the last one stored is 1");
	for (unsigned i = 0; i < 2; i++) {
		struct fp_event event = {.type = FP_EVENT_TYPE_CLOSE, .time = 5};

		assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	}
	fp_feeder_frame(writer, agent, 1, zero, &frame, &len, ignored);
	refused_with(peers, agent, frame, len, "another batch 1 is stored already");
	assert_true(fp_aggregator_said(peers, "msg=\"batch refused\""));
	fp_aggregator_kill(peers, SIGTERM);
	assert_int_equal(fp_store_verify(peers), 1);
	assert_true(fp_aggregator_said(peers, "stored=1 events=20 duplicate=1 refused=5"));
	fp_batch_writer_free(writer);
}

/* --- the uplink alone -------------------------------------------------------------- */

struct watch {
	uv_loop_t loop;
	uv_timer_t limit;
	int until; /* the notice that stops the loop, -1: none */
	char text[256];
	bool drained, closed, late;
};

static void on_notice(void *arg, enum fp_uplink_notice what, const char *text)
{
	struct watch *watch = arg;

	if ((int)what != watch->until)
		return;
	snprintf(watch->text, sizeof(watch->text), "%s", text);
	uv_stop(&watch->loop);
}

static void on_drained(void *arg)
{
	struct watch *watch = arg;

	watch->drained = true;
	uv_stop(&watch->loop);
}

static void on_uplink_closed(void *arg)
{
	((struct watch *)arg)->closed = true;
}

static void on_limit(uv_timer_t *timer)
{
	((struct watch *)timer->data)->late = true;
	uv_stop(timer->loop);
}

static const struct fp_uplink_calls watch_calls = {on_notice, on_drained, on_uplink_closed};

static void watch_init(struct watch *watch)
{
	memset(watch, 0, sizeof(*watch));
	watch->until = -1;
	uv_loop_init(&watch->loop);
	uv_timer_init(&watch->loop, &watch->limit);
	watch->limit.data = watch;
	uv_timer_start(&watch->limit, on_limit, 30000, 0);
}

static void watch_done(struct watch *watch, struct fp_uplink *uplink)
{
	fp_uplink_close(uplink);
	uv_close((uv_handle_t *)&watch->limit, NULL);
	uv_run(&watch->loop, UV_RUN_DEFAULT);
	assert_true(watch->closed);
	assert_int_equal(uv_loop_close(&watch->loop), 0);
}

static int put_next(struct fp_uplink *uplink, struct fp_batch_writer *writer)
{
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	uint64_t number;
	size_t len;

	fp_uplink_head(uplink, &number, hash);
	fp_feeder_frame(writer, fp_uplink_agent(uplink), number + 1, hash, &frame, &len, hash);
	return fp_uplink_put(uplink, frame, len, number + 1);
}

static void test_spool_full(void **state)
{
	struct fp_peers *peers = *state;
	struct fp_uplink_options options = {.spool = peers->spool, .spool_limit = 4096, .retry_ms = 100};
	struct fp_batch_writer *writer;
	struct fp_uplink *uplink;
	struct watch watch;
	char error[256];
	uint64_t n = 0;
	int r;

	watch_init(&watch);
	assert_int_equal(fp_batch_writer_new(&writer), 0);
	fp_aggregator_start(peers, NULL);
	fp_aggregator_kill(peers, SIGKILL);
	options.address = peers->address;
	assert_int_equal(fp_uplink_open(&watch.loop, &options, &watch_calls, &watch, &uplink, error), 0);
	while ((r = put_next(uplink, writer)) == 0)
		n++;
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 3);
	assert_int_equal(put_next(uplink, writer), -ENOSPC);
	assert_int_equal(fp_uplink_pending(uplink), n);
	assert_true(fp_uplink_pending_bytes(uplink) <= 4096);
	fp_aggregator_start(peers, NULL);
	uv_run(&watch.loop, UV_RUN_DEFAULT);
	assert_true(watch.drained && !watch.late);
	assert_int_equal(fp_uplink_pending(uplink), 0);
	/* the number that was not taken is taken now: no hole in the chain */
	watch.drained = false;
	assert_int_equal(put_next(uplink, writer), 0);
	uv_run(&watch.loop, UV_RUN_DEFAULT);
	assert_true(watch.drained && !watch.late);
	assert_int_equal(fp_store_verify(peers), n + 1);
	watch_done(&watch, uplink);
	fp_batch_writer_free(writer);
}

/* Another store behind the same address does not know our beginning: that is said, and nothing is thrown away. */
static void test_other_store(void **state)
{
	struct fp_peers *peers = *state;
	struct fp_uplink_options options = {.spool = peers->spool, .retry_ms = 100};
	struct fp_batch_writer *writer;
	struct fp_uplink *uplink;
	struct watch watch;
	char error[256];

	fp_aggregator_start(peers, NULL);
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 5, 1)), 0);
	fp_aggregator_kill(peers, SIGTERM);
	strcat(peers->store, "2");
	fp_aggregator_start(peers, NULL);
	watch_init(&watch);
	watch.until = FP_UPLINK_REFUSED;
	options.address = peers->address;
	assert_int_equal(fp_batch_writer_new(&writer), 0);
	assert_int_equal(fp_uplink_open(&watch.loop, &options, &watch_calls, &watch, &uplink, error), 0);
	assert_int_equal(put_next(uplink, writer), 0);
	uv_run(&watch.loop, UV_RUN_DEFAULT);
	assert_false(watch.late);
	assert_string_equal(watch.text, "its store ends with batch 0 of this agent, the spool begins with 6 (another store?)");
	assert_int_equal(fp_uplink_pending(uplink), 1);
	watch_done(&watch, uplink);
	/* and back */
	fp_aggregator_kill(peers, SIGTERM);
	peers->store[strlen(peers->store) - 1] = '\0';
	fp_aggregator_start(peers, NULL);
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 7, 1)), 0);
	assert_int_equal(fp_store_verify(peers), 7);
	fp_batch_writer_free(writer);
}

static void test_wrong_options(void **state)
{
	struct fp_peers *peers = *state;
	struct fp_uplink_options options = {.spool = peers->spool};
	struct fp_uplink *uplink, *second;
	struct watch watch;
	char error[256];

	watch_init(&watch);
	options.address = "nowhere";
	assert_int_equal(fp_uplink_open(&watch.loop, &options, &watch_calls, &watch, &uplink, error), -EINVAL);
	assert_string_equal(error, "nowhere is not HOST:PORT");
	options.address = NULL;
	options.tls_ca = "ca.pem";
	assert_int_equal(fp_uplink_open(&watch.loop, &options, &watch_calls, &watch, &uplink, error), -EINVAL);
	options.tls_ca = NULL;
	assert_int_equal(fp_uplink_open(&watch.loop, &options, &watch_calls, &watch, &uplink, error), 0);
	assert_int_equal(fp_uplink_open(&watch.loop, &options, &watch_calls, &watch, &second, error), -EBUSY);
	assert_non_null(strstr(error, "another agent uses it"));
	watch_done(&watch, uplink);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fp_peers_setup, fp_peers_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delivers),
		TEST(test_aggregator_comes_late),
		TEST(test_aggregator_killed),
		TEST(test_agent_killed),
		TEST(test_both_killed),
		TEST(test_garbage),
		TEST(test_too_many),
		TEST(test_chain),
		TEST(test_spool_full),
		TEST(test_other_store),
		TEST(test_wrong_options),
	};

	return cmocka_run_group_tests_name("uplink", tests, NULL, NULL);
}
