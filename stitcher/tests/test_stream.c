/* Connections: whose bytes are whose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

#define P_TO_Q "10.1.0.1:4000 → 10.1.0.2:80"
#define Q_TO_P "10.1.0.2:80 → 10.1.0.1:4000"

#define WITH_TWO                                                        \
	fp_cleanup(lab_done) struct lab lab;                            \
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5};         \
	struct proc q = {.cgroup = 8, .tgid = 200, .start = 6};         \
	struct link here = lab_link("10.1.0.1:4000", "10.1.0.2:80");    \
	LAB_MAYBE struct link there = lab_other_end(&here);             \
	lab_init(&lab);                                                 \
	lab_container(&lab, 7, "c1", "pay");                            \
	lab_container(&lab, 8, "c2", "ship");                           \
	lab_exec(&lab, &p, "/bin/p", 1, "p");                           \
	lab_exec(&lab, &q, "/bin/q", 2, "q")
#define SETUP_EDGES 2

static void bytes(struct lab *lab, const char *unit, const struct proc *proc, enum fp_event_type type, struct link *link,
		  uint64_t n)
{
	lab->unit = unit;
	lab_socket(lab, proc, type, link, n);
}

static void test_both_ends_recorded(void **state)
{
	WITH_TWO;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "B", &q, FP_EVENT_TYPE_RECEIVE, &there, 100);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_SEND, "socket:" P_TO_Q "@A");
	lab_edge(&lab, "socket:" P_TO_Q "@A", FP_EDGE_RECEIVE, "process:q@B");
	/* no host is to be seen where both ends are */
	lab_expect_edges(&lab, SETUP_EDGES + 2);
	assert_string_equal(lab_node(&lab, "socket:" P_TO_Q "@A")->function, "pay");
}

/* The connection is used by request after request, and joins none of them. */
static void test_connection_in_turn(void **state)
{
	WITH_TWO;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "C", &q, FP_EVENT_TYPE_RECEIVE, &there, 100);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_SEND, &here, 50);
	bytes(&lab, "D", &q, FP_EVENT_TYPE_RECEIVE, &there, 50);
	bytes(&lab, "D", &q, FP_EVENT_TYPE_SEND, &there, 10);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_RECEIVE, &here, 10);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@C"));
	assert_true(lab_reaches(&lab, "process:p@B", "process:q@D"));
	assert_true(lab_reaches(&lab, "process:q@D", "process:p@B"));
	assert_false(lab_reaches(&lab, "process:p@A", "process:q@D"));
	assert_false(lab_reaches(&lab, "process:p@B", "process:q@C"));
	lab_expect_edges(&lab, SETUP_EDGES + 6);
}

static void test_one_receive_takes_bytes_of_two(void **state)
{
	WITH_TWO;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_SEND, &here, 60);
	bytes(&lab, "C", &p, FP_EVENT_TYPE_SEND, &here, 60);
	bytes(&lab, "X", &q, FP_EVENT_TYPE_RECEIVE, &there, 130);
	bytes(&lab, "Y", &q, FP_EVENT_TYPE_RECEIVE, &there, 90);
	lab_make(&lab);
	assert_int_equal(lab_edge(&lab, "socket:" P_TO_Q "@A", FP_EDGE_RECEIVE, "process:q@X")->row.bytes, 100);
	assert_int_equal(lab_edge(&lab, "socket:" P_TO_Q "@B", FP_EDGE_RECEIVE, "process:q@X")->row.bytes, 30);
	assert_int_equal(lab_edge(&lab, "socket:" P_TO_Q "@B", FP_EDGE_RECEIVE, "process:q@Y")->row.bytes, 30);
	assert_int_equal(lab_edge(&lab, "socket:" P_TO_Q "@C", FP_EDGE_RECEIVE, "process:q@Y")->row.bytes, 60);
	assert_int_equal(lab_count(&lab, "socket:" P_TO_Q "@C", FP_EDGE_RECEIVE, "process:q@X"), 0);
	lab_expect_edges(&lab, SETUP_EDGES + 7);
}

static void test_numbers_wrap(void **state)
{
	WITH_TWO;

	here.tx_base = 0xffffff00;
	there.rx_base = 0xffffff01;
	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 200);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_SEND, &here, 200);
	bytes(&lab, "X", &q, FP_EVENT_TYPE_RECEIVE, &there, 200);
	bytes(&lab, "Y", &q, FP_EVENT_TYPE_RECEIVE, &there, 200);
	lab_make(&lab);
	lab_edge(&lab, "socket:" P_TO_Q "@A", FP_EDGE_RECEIVE, "process:q@X");
	lab_edge(&lab, "socket:" P_TO_Q "@B", FP_EDGE_RECEIVE, "process:q@Y");
	lab_expect_edges(&lab, SETUP_EDGES + 4);
}

/* The same four numbers, another connection: its base tells. */
static void test_ports_used_again(void **state)
{
	WITH_TWO;
	struct link here2 = here, there2 = there;

	here2.tx_base = 900000;
	there2.rx_base = 900001;
	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_SEND, &here2, 100);
	bytes(&lab, "Y", &q, FP_EVENT_TYPE_RECEIVE, &there2, 100);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@B", "process:q@Y"));
	assert_false(lab_reaches(&lab, "process:p@A", "process:q@Y"));
	/* nobody received the first: it went to a host */
	lab_edge(&lab, "socket:" P_TO_Q "@A", FP_EDGE_SEND, "host:10.1.0.2:80");
}

static void test_peer_not_recorded(void **state)
{
	WITH_TWO;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "A", &p, FP_EVENT_TYPE_RECEIVE, &here, 500);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_RECEIVE, &here, 500);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_SEND, "socket:" P_TO_Q "@A");
	lab_edge(&lab, "socket:" P_TO_Q "@A", FP_EDGE_SEND, "host:10.1.0.2:80");
	lab_edge(&lab, "host:10.1.0.2:80", FP_EDGE_SEND, "socket:" Q_TO_P "@A received");
	lab_edge(&lab, "socket:" Q_TO_P "@A received", FP_EDGE_RECEIVE, "process:p@A");
	lab_expect_edges(&lab, SETUP_EDGES + 8);
	assert_false(lab_reaches(&lab, "process:p@A", "process:p@B"));
	assert_false(lab_reaches(&lab, "socket:" Q_TO_P "@A received", "process:p@B"));
}

static void test_loopback_means_its_own_namespace(void **state)
{
	WITH_TWO;
	struct link other;

	here = lab_link("127.0.0.1:4000", "127.0.0.1:80");
	there = lab_other_end(&here);
	other = there;
	other.netns++;
	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "B", &q, FP_EVENT_TYPE_RECEIVE, &other, 100);
	lab_make(&lab);
	assert_false(lab_reaches(&lab, "process:p@A", "process:q@B"));
	bytes(&lab, "C", &q, FP_EVENT_TYPE_RECEIVE, &there, 100);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@C"));
	assert_false(lab_reaches(&lab, "process:p@A", "process:q@B"));
}

static void test_across_machines(void **state)
{
	WITH_TWO;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	lab_agent(&lab, "host-2", 2, 2, 1);
	bytes(&lab, "B", &q, FP_EVENT_TYPE_RECEIVE, &there, 100);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:process 200@B"));
}

static void test_the_requests_own_connection(void **state)
{
	WITH_TWO;

	lab_begin(&lab, &q, "A", "", "10.1.0.9:1", "/");
	lab.rule = FP_RULE_CONNECTION;
	lab.unit = "background";
	lab_socket(&lab, &p, FP_EVENT_TYPE_ACCEPT, &here, 0);
	bytes(&lab, "A", &p, FP_EVENT_TYPE_RECEIVE, &here, 100);
	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	lab_make(&lab);
	lab_edge(&lab, "request:A", FP_EDGE_CALLS, "process:p@A");
	lab_edge(&lab, "process:p@A", FP_EDGE_RETURNS, "request:A");
	lab_edge(&lab, "client:10.1.0.9@A", FP_EDGE_CALLS, "request:A");
	/* no socket, no accept: the request says it all */
	lab_expect_edges(&lab, SETUP_EDGES + 3);
}

/* A watchdog's pool opens connections to its function that no request may ever use: nobody's cause. */
static void test_a_connection_for_requests_to_come(void **state)
{
	WITH_TWO;
	struct proc node = {.cgroup = 8, .tgid = 201, .start = 7};
	struct link spare = lab_link("10.1.0.2:5000", "10.1.0.2:3000"), inside = lab_other_end(&spare);
	struct link elsewhere = lab_link("10.1.0.2:5001", "10.1.0.1:9000"), there_too = lab_other_end(&elsewhere);

	lab_exec(&lab, &node, "/bin/node", 3, "node");
	lab_begin(&lab, &q, "A", "", "10.1.0.9:1", "/");
	bytes(&lab, "background", &q, FP_EVENT_TYPE_CONNECT, &spare, 0);
	bytes(&lab, "B", &node, FP_EVENT_TYPE_ACCEPT, &inside, 0);
	/* what it opens to others is shown */
	bytes(&lab, "background", &q, FP_EVENT_TYPE_CONNECT, &elsewhere, 0);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_ACCEPT, &there_too, 0);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_CONNECT, "process:node@B"), 0);
	lab_edge(&lab, "process:q@background", FP_EDGE_CONNECT, "process:p@B");
}

static void test_connect_and_accept(void **state)
{
	WITH_TWO;
	struct link out = lab_link("10.1.0.1:4001", "10.9.9.9:443"), in = lab_link("10.1.0.1:80", "10.8.8.8:555");
	struct fp_event failed;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_CONNECT, &here, 0);
	bytes(&lab, "B", &q, FP_EVENT_TYPE_ACCEPT, &there, 0);
	bytes(&lab, "A", &p, FP_EVENT_TYPE_CONNECT, &out, 0);
	bytes(&lab, "A", &p, FP_EVENT_TYPE_ACCEPT, &in, 0);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_CONNECT, "process:q@B");
	lab_edge(&lab, "process:p@A", FP_EDGE_CONNECT, "host:10.9.9.9:443");
	lab_edge(&lab, "host:10.8.8.8:555", FP_EDGE_ACCEPT, "process:p@A");
	lab_expect_edges(&lab, SETUP_EDGES + 3);
	/* a connect that failed was tried all the same */
	failed = lab_event(&lab, FP_EVENT_TYPE_CONNECT, &p);
	failed.family = 2;
	failed.protocol = LAB_TCP;
	failed.remote_lo = 0xffff0a070707ull;
	failed.remote_port = 22;
	failed.result = -111;
	lab_add(&lab, &failed);
	lab_make(&lab);
	assert_non_null(strstr(lab_edge(&lab, "process:p@A", FP_EDGE_CONNECT, "host:10.7.7.7:22")->attributes,
			       "ECONNREFUSED"));
}

static void test_datagrams_depend_on_what_was_sent_before(void **state)
{
	WITH_TWO;

	here.protocol = there.protocol = LAB_UDP;
	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 10);
	bytes(&lab, "X", &q, FP_EVENT_TYPE_RECEIVE, &there, 10);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_SEND, &here, 10);
	bytes(&lab, "Y", &q, FP_EVENT_TYPE_RECEIVE, &there, 10);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@X"));
	assert_false(lab_reaches(&lab, "process:p@B", "process:q@X"));
	/* a datagram has no number: it may be either */
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@Y"));
	assert_true(lab_reaches(&lab, "process:p@B", "process:q@Y"));
}

static void test_ends_of_streams_carry_nothing(void **state)
{
	WITH_TWO;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 0);
	bytes(&lab, "B", &q, FP_EVENT_TYPE_RECEIVE, &there, 0);
	lab_make(&lab);
	lab_expect_edges(&lab, SETUP_EDGES);
}

/* Merged by the agent: one event stands for several operations. */
static void test_merged_transfers(void **state)
{
	WITH_TWO;
	struct fp_event event;

	bytes(&lab, "A", &p, FP_EVENT_TYPE_SEND, &here, 100);
	bytes(&lab, "B", &p, FP_EVENT_TYPE_SEND, &here, 100);
	there.rx = 200;
	lab.unit = "X";
	event = lab_event(&lab, FP_EVENT_TYPE_RECEIVE, &q);
	event.family = 2;
	event.protocol = LAB_TCP;
	event.local_lo = 0xffff0a010002ull;
	event.local_port = 80;
	event.remote_lo = 0xffff0a010001ull;
	event.remote_port = 4000;
	event.tx_base = there.tx_base;
	event.rx_base = there.rx_base;
	event.rx_end = there.rx_base + 200;
	event.bytes = 200;
	event.count = 7;
	event.last = event.time + 5000;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_int_equal(lab_edge(&lab, "socket:" P_TO_Q "@A", FP_EDGE_RECEIVE, "process:q@X")->row.bytes, 100);
	assert_int_equal(lab_edge(&lab, "socket:" P_TO_Q "@B", FP_EDGE_RECEIVE, "process:q@X")->row.last,
			 LAB_EPOCH + event.last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ends_recorded),
		cmocka_unit_test(test_connection_in_turn),
		cmocka_unit_test(test_one_receive_takes_bytes_of_two),
		cmocka_unit_test(test_numbers_wrap),
		cmocka_unit_test(test_ports_used_again),
		cmocka_unit_test(test_peer_not_recorded),
		cmocka_unit_test(test_loopback_means_its_own_namespace),
		cmocka_unit_test(test_across_machines),
		cmocka_unit_test(test_the_requests_own_connection),
		cmocka_unit_test(test_a_connection_for_requests_to_come),
		cmocka_unit_test(test_connect_and_accept),
		cmocka_unit_test(test_datagrams_depend_on_what_was_sent_before),
		cmocka_unit_test(test_ends_of_streams_carry_nothing),
		cmocka_unit_test(test_merged_transfers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
