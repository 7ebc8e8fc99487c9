/* Which socket plaintext is for: inside the call, beside it, and when nobody can tell. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/plaintext.h"
#include "base/buffer.h"

/* "socket>bytes of plaintext, as far as there" for each delivery; < received */
static int collect(void *arg, const struct fp_event *socket, bool outgoing, const void *data, size_t have, size_t total)
{
	fp_buffer_add_format(arg, "%d%c%.*s", (int)socket->ino, outgoing ? '>' : '<', (int)have, (const char *)data);
	if (have < total)
		fp_buffer_add_format(arg, "+%zu", total - have);
	if (socket->request.len)
		fp_buffer_add_format(arg, "@%.*s", (int)socket->request.len, socket->request.data);
	fp_buffer_add_text(arg, " ");
	return 0;
}

struct world {
	struct fp_plaintext *plaintext;
	struct fp_buffer out;
	uint64_t now;
};

static struct fp_event event_of(struct world *w, enum fp_event_type type, uint64_t tid)
{
	return (struct fp_event){.type = type, .tgid = 10, .tid = tid, .process_start = 1, .time = ++w->now};
}

static void moved(struct world *w, uint64_t tid, bool outgoing, uint64_t ino, const char *request)
{
	struct fp_event event = event_of(w, outgoing ? FP_EVENT_TYPE_SEND : FP_EVENT_TYPE_RECEIVE, tid);

	event.ino = ino;
	event.bytes = 100;
	event.request = (struct fp_str){request, strlen(request)};
	assert_int_equal(fp_plaintext_moved(w->plaintext, &event), 0);
}

/* `entered`: how many events ago the call began. */
static void plain(struct world *w, uint64_t tid, bool outgoing, uint64_t session, const char *text, uint64_t entered)
{
	struct fp_event event = event_of(w, FP_EVENT_TYPE_PLAIN, tid);

	event.session = session;
	event.entered = w->now - entered;
	event.direction = outgoing;
	event.bytes = strlen(text);
	event.payload = (struct fp_str){text, strlen(text)};
	assert_int_equal(fp_plaintext_note(w->plaintext, &event), 0);
}

static int begin(void **state)
{
	static struct world world;

	world = (struct world){.now = 1000};
	assert_int_equal(fp_plaintext_new(collect, &world.out, &world.plaintext), 0);
	*state = &world;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	fp_plaintext_free(w->plaintext);
	fp_buffer_done(&w->out);
	return 0;
}

static void expect(struct world *w, const char *expected)
{
	assert_string_equal(w->out.len ? w->out.data : "", expected);
}

static void inside(void **state)
{
	struct world *w = *state;

	moved(w, 1, true, 7, "A");
	plain(w, 1, true, 0xa, "ask", 1);
	moved(w, 2, true, 8, "B"); /* another thread's */
	moved(w, 1, false, 7, "A");
	plain(w, 1, false, 0xa, "answer", 1);
	/* what was buffered: nothing received in the call, the session is known */
	plain(w, 1, false, 0xa, "more", 0);
	expect(w, "7>ask@A 7<answer@A 7<more@A ");
	/* the same address is soon another session's: what happens inside wins */
	moved(w, 1, true, 9, "C");
	plain(w, 1, true, 0xa, "new", 1);
	expect(w, "7>ask@A 7<answer@A 7<more@A 9>new@C ");
}

static void beside(void **state)
{
	struct world *w = *state;

	plain(w, 1, true, 0xa, "one", 0);
	plain(w, 1, true, 0xa, "two", 0);
	expect(w, "");
	moved(w, 1, true, 7, "A");
	moved(w, 1, false, 7, "A");
	plain(w, 1, false, 0xa, "answer", 0);
	expect(w, "7>onetwo@A 7<answer@A ");
	/* bound: it waits for its own socket, whatever else the thread sends */
	plain(w, 1, true, 0xa, "later", 0);
	moved(w, 1, true, 8, "B");
	moved(w, 1, true, 7, "A");
	expect(w, "7>onetwo@A 7<answer@A 7>later@A ");
}

static void nobody_can_tell(void **state)
{
	struct world *w = *state;

	/* two sessions wait: whose bytes go first is not known, and none is guessed */
	plain(w, 1, true, 0xa, "a", 0);
	plain(w, 1, true, 0xb, "b", 0);
	moved(w, 1, true, 7, "A");
	moved(w, 1, true, 8, "B");
	expect(w, "");
	/* read from a session whose thread received nothing, or on a socket that is another session's */
	plain(w, 2, false, 0xc, "c", 0);
	moved(w, 3, true, 9, "C");
	plain(w, 3, true, 0xd, "d", 1);
	moved(w, 3, false, 9, "C");
	plain(w, 3, false, 0xe, "e", 0);
	expect(w, "9>d@C ");
	assert_true(fp_plaintext_stats(w->plaintext)->dropped >= 2);
}

static void ended(void **state)
{
	struct world *w = *state;

	moved(w, 1, true, 7, "A");
	plain(w, 1, true, 0xa, "ask", 1);
	plain(w, 1, false, 0xa, "", 0); /* SSL_free */
	/* the address again, with another socket */
	plain(w, 1, true, 0xa, "new", 0);
	moved(w, 1, true, 8, "B");
	expect(w, "7>ask@A 8>new@B ");
}

static void bounded(void **state)
{
	struct world *w = *state;
	char text[400];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (uint64_t i = 1; i < FP_PLAINTEXT_ENTRIES_MAX + 100; i++) {
		moved(w, i, true, i, "A");
		plain(w, i, true, i, "", 1);
		plain(w, i, true, i, "x", 1);
	}
	fp_buffer_clear(&w->out);
	plain(w, 1, true, 0xa, text, 0);
	plain(w, 1, true, 0xa, text, 0);
	moved(w, 1, true, 7, "A");
	assert_non_null(strstr(w->out.data, "x+286@A"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inside, begin, end),
		cmocka_unit_test_setup_teardown(beside, begin, end),
		cmocka_unit_test_setup_teardown(nobody_can_tell, begin, end),
		cmocka_unit_test_setup_teardown(ended, begin, end),
		cmocka_unit_test_setup_teardown(bounded, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
