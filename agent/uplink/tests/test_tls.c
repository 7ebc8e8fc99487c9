/* Mutual TLS: only peers with a certificate of the same authority, for the right purpose and name, get to speak. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "wire/tests/certificates.h"
#include "agent/uplink/tests/peers.h"
#include "wire/tls.h"

static char good[160], other[160];

static int setup(void **state)
{
	struct fp_authority *authority;
	struct fp_peers *peers;

	if (fp_peers_setup(state) < 0)
		return -1;
	peers = *state;
	snprintf(good, sizeof(good), "%s/good", peers->folder);
	snprintf(other, sizeof(other), "%s/other", peers->folder);
	authority = fp_authority_new(good);
	fp_authority_sign(authority, "aggregator", "IP:127.0.0.1", 1);
	fp_authority_sign(authority, "elsewhere", "IP:127.0.0.2,DNS:localhost", 1);
	fp_authority_sign(authority, "agent", NULL, 1);
	fp_authority_sign(authority, "expired", NULL, -1);
	fp_authority_free(authority);
	authority = fp_authority_new(other);
	fp_authority_sign(authority, "aggregator", "IP:127.0.0.1", 1);
	fp_authority_sign(authority, "agent", NULL, 1);
	fp_authority_free(authority);
	peers->tls[0] = good;
	peers->tls[1] = "aggregator";
	peers->tls[2] = "agent";
	return 0;
}

static void test_delivers(void **state)
{
	struct fp_peers *peers = *state;

	fp_aggregator_start(peers, NULL);
	assert_int_equal(fp_feeder_wait(fp_feeder_start(peers, 300, 1)), 0);
	assert_int_equal(fp_store_verify(peers), 300);
	/* who it was is in the log */
	assert_true(fp_aggregator_said(peers, "(agent)\" agent="));
	assert_true(fp_aggregator_said(peers, "tls=mutual"));
	fp_aggregator_kill(peers, SIGTERM);
}

static void test_aggregator_killed(void **state)
{
	struct fp_peers *peers = *state;
	unsigned kills = 0;
	pid_t feeder;
	int status;

	fp_aggregator_start(peers, NULL);
	feeder = fp_feeder_start(peers, 500, 2);
	/* on a slow machine the aggregator is at last left alone, so that the end comes */
	while (waitpid(feeder, &status, kills < 20 ? WNOHANG : 0) == 0) {
		fp_pause_ms(40 + kills * 37 % 150);
		fp_aggregator_kill(peers, SIGKILL);
		fp_aggregator_start(peers, NULL);
		kills++;
	}
	assert_int_equal(status, 0);
	assert_int_equal(fp_store_verify(peers), 500);
}

static void on_notice(void *arg, enum fp_uplink_notice what, const char *text)
{
	char *said = arg;

	snprintf(said, 256, "%s%s", what == FP_UPLINK_CONNECTED ? "connected: " : "", text);
}

static void on_limit(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void on_poll(uv_timer_t *timer)
{
	if (((char *)timer->data)[0])
		uv_stop(timer->loop);
}

/* What an uplink with these certificates hears first. */
static const char *hear(const struct fp_peers *peers, const char *ca, const char *own, const char *name)
{
	static const struct fp_uplink_calls calls = {.notice = on_notice};
	struct fp_uplink_options options = {.spool = peers->spool, .address = peers->address, .retry_ms = 100};
	static char said[256];
	char files[3][256], error[256];
	struct fp_uplink *uplink;
	uv_timer_t limit, poll;
	uv_loop_t loop;

	said[0] = '\0';
	snprintf(files[0], sizeof(files[0]), "%s/ca.pem", ca);
	snprintf(files[1], sizeof(files[1]), "%s/%s.pem", own, name);
	snprintf(files[2], sizeof(files[2]), "%s/%s.key", own, name);
	if (ca[0]) {
		options.tls_ca = files[0];
		options.tls_cert = files[1];
		options.tls_key = files[2];
	}
	uv_loop_init(&loop);
	assert_int_equal(fp_uplink_open(&loop, &options, &calls, said, &uplink, error), 0);
	uv_timer_init(&loop, &limit);
	uv_timer_start(&limit, on_limit, 20000, 0);
	uv_timer_init(&loop, &poll);
	poll.data = said;
	uv_timer_start(&poll, on_poll, 5, 5);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_close((uv_handle_t *)&poll, NULL);
	fp_uplink_close(uplink);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return said;
}

#define assert_hears(expected, call)                                        \
	do {                                                                \
		const char *said = call;                                    \
		if (!strstr(said, expected))                                \
			fail_msg("\"%s\" instead of \"%s\"", said, expected); \
	} while (0)

static void test_strangers(void **state)
{
	struct fp_peers *peers = *state;
	static const char *const options[] = {"--timeout", "2", NULL};

	fp_aggregator_start(peers, options);
	assert_hears("connected: ", hear(peers, good, good, "agent"));
	/* the agent does not believe this aggregator */
	assert_hears("the peer's certificate is refused", hear(peers, other, other, "agent"));
	assert_hears("the peer's certificate is refused", hear(peers, other, good, "agent"));
	/* the aggregator does not believe this agent; it tells by an alert, which comes after the handshake */
	assert_hears("alert", hear(peers, good, other, "agent"));
	assert_hears("alert", hear(peers, good, good, "expired"));
	/* an aggregator's certificate does not make an agent */
	assert_hears("alert", hear(peers, good, good, "elsewhere"));
	/* no TLS at all: closed, because what comes is no handshake */
	assert_hears("the peer closed", hear(peers, "", "", ""));
	assert_true(fp_aggregator_said(peers, "the peer's certificate is refused: certificate signature failure"));
	assert_true(fp_aggregator_said(peers, "the peer's certificate is refused: certificate has expired"));
	fp_aggregator_kill(peers, SIGTERM);
	assert_true(fp_aggregator_said(peers, "batches=0"));

	/* an agent's certificate, or one for another address, does not make this aggregator */
	peers->tls[1] = "agent";
	fp_aggregator_start(peers, options);
	assert_hears("the peer's certificate is refused", hear(peers, good, good, "agent"));
	fp_aggregator_kill(peers, SIGTERM);
	peers->tls[1] = "elsewhere";
	fp_aggregator_start(peers, options);
	assert_hears("the peer's certificate is refused: IP address mismatch", hear(peers, good, good, "agent"));
	fp_aggregator_kill(peers, SIGTERM);
}

static void test_wrong_files(void **state)
{
	struct fp_peers *peers = *state;
	char ca[256], certificate[256], key[256], error[256];
	struct fp_tls *tls;

	snprintf(ca, sizeof(ca), "%s/ca.pem", good);
	snprintf(certificate, sizeof(certificate), "%s/agent.pem", good);
	snprintf(key, sizeof(key), "%s/aggregator.key", good);
	assert_int_equal(fp_tls_new(false, "/none", certificate, key, &tls, error), -22);
	assert_non_null(strstr(error, "cannot use the authority's certificate /none"));
	assert_int_equal(fp_tls_new(false, ca, key, key, &tls, error), -22);
	assert_non_null(strstr(error, "cannot use the certificate"));
	assert_int_equal(fp_tls_new(false, ca, certificate, key, &tls, error), -22);
	assert_non_null(strstr(error, "key"));
	assert_null(strchr(error, '\n'));
	assert_int_equal(peers->aggregator, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fp_peers_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delivers),
		TEST(test_aggregator_killed),
		TEST(test_strangers),
		TEST(test_wrong_files),
	};

	return cmocka_run_group_tests_name("uplink_tls", tests, NULL, NULL);
}
