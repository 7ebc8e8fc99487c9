/*
 * For the tests of agent/app: feeds a connection and writes each message as one
 * line of text, so that a case says what it expects as text.
 *   > http-request put POST http://h/x url=/x host=h call=1 from=1.2.3.4:5 cut
 */
#ifndef FP_AGENT_APP_TESTS_COLLECT_H
#define FP_AGENT_APP_TESTS_COLLECT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/app/app.h"
#include "base/buffer.h"
#include "base/text.h"

/* One send or receive; `have` 0: all of it was captured; without data: nothing. */
struct step {
	bool outgoing;
	const void *data;
	size_t total, have;
};

#define OUT(text) {true, text, sizeof(text) - 1, 0}
#define IN(text) {false, text, sizeof(text) - 1, 0}

/* Of statements, also which rows. */
static __attribute__((unused)) bool collect_rows;

static inline void collect_str(struct fp_buffer *out, const char *key, struct fp_str value)
{
	if (value.len)
		fp_buffer_add_format(out, " %s%.*s", key, (int)value.len, value.data);
}

static inline int collect(void *arg, const struct fp_app_message *message)
{
	struct fp_buffer *out = arg;

	fp_buffer_add_format(out, "%c %s", message->outgoing ? '>' : '<', fp_app_name(message->app));
	if (message->app == FP_APP_HTTP_RESPONSE)
		fp_buffer_add_format(out, " %d", message->status);
	else
		fp_buffer_add_text(out, message->direction ? " put" : " get");
	collect_str(out, "", message->method);
	collect_str(out, "", message->name);
	if (collect_rows)
		collect_str(out, "rows=", message->rows);
	collect_str(out, "url=", message->url);
	collect_str(out, "host=", message->host_name);
	collect_str(out, "call=", message->call_id);
	collect_str(out, "from=", message->forwarded);
	fp_buffer_add_text(out, message->truncated ? " cut\n" : "\n");
	return 0;
}

/* Feeds an exact copy, so that a read behind the capture is found. */
static inline void feed_step(struct fp_app_connection *connection, const struct step *step, struct fp_buffer *out)
{
	size_t have = !step->data ? 0 : step->have ? step->have : step->total;
	char *copy = malloc(have ? have : 1);
	int r;

	assert_non_null(copy);
	if (have)
		memcpy(copy, step->data, have);
	r = fp_app_feed(connection, step->outgoing, copy, have, step->total, collect, out);
	assert_true(r >= 0);
	free(copy);
}

static inline void check_steps(const struct step *steps, size_t n, const char *expected)
{
	struct fp_app_connection connection;
	struct fp_buffer out = FP_BUFFER_INIT;

	fp_app_connection_init(&connection);
	for (size_t i = 0; i < n; i++)
		feed_step(&connection, &steps[i], &out);
	assert_string_equal(out.data ? out.data : "", expected);
	fp_buffer_done(&out);
	fp_app_connection_done(&connection);
}

/* Each step from `first` on comes in two pieces, cut at every place: that changes nothing. */
static inline void check_splits(const struct step *steps, size_t n, size_t first, const char *expected)
{
	for (size_t split = first; split < n; split++) {
		for (size_t at = 1; at < steps[split].total; at++) {
			struct step pieces[64];
			size_t m = 0;

			assert_true(n + 1 <= sizeof(pieces) / sizeof(pieces[0]));
			for (size_t i = 0; i < n; i++) {
				const struct step *step = &steps[i];

				if (i == split) {
					pieces[m++] = (struct step){step->outgoing, step->data, at, 0};
					pieces[m++] = (struct step){step->outgoing, (const char *)step->data + at,
								    step->total - at, 0};
				} else {
					pieces[m++] = *step;
				}
			}
			check_steps(pieces, m, expected);
		}
	}
}

#define CAPTURE_STEPS_MAX 128
#define CAPTURE_BYTES_MAX 512

struct capture {
	struct step steps[CAPTURE_STEPS_MAX];
	size_t n;
	uint8_t bytes[CAPTURE_STEPS_MAX][CAPTURE_BYTES_MAX];
};

/* Reads what tests/capture wrote. */
static inline void load_capture(const char *path, struct capture *ret_capture)
{
	FILE *file = fopen(path, "r");
	char direction, hex[2 * CAPTURE_BYTES_MAX + 1];
	size_t total;

	assert_non_null(file);
	ret_capture->n = 0;
	while (fscanf(file, " %c %zu %1024s", &direction, &total, hex) == 3) {
		uint8_t *bytes = ret_capture->bytes[ret_capture->n];
		size_t have = strlen(hex) / 2;

		assert_true(ret_capture->n < CAPTURE_STEPS_MAX);
		assert_int_equal(fp_unhex(hex, bytes, have), 0);
		ret_capture->steps[ret_capture->n++] = (struct step){direction == '>', bytes, total, have};
	}
	assert_true(feof(file));
	assert_true(ret_capture->n > 0);
	fclose(file);
}

static inline void check_capture(const char *path, const char *expected)
{
	struct capture capture;

	load_capture(path, &capture);
	check_steps(capture.steps, capture.n, expected);
}

#define CHECK(expected, ...)                                                            \
	do {                                                                            \
		static const struct step steps[] = {__VA_ARGS__};                       \
		check_steps(steps, sizeof(steps) / sizeof(steps[0]), expected);         \
	} while (0)

/* As CHECK, and in pieces. */
#define CHECK_SPLITS(first, expected, ...)                                              \
	do {                                                                            \
		static const struct step steps[] = {__VA_ARGS__};                       \
		check_steps(steps, sizeof(steps) / sizeof(steps[0]), expected);         \
		check_splits(steps, sizeof(steps) / sizeof(steps[0]), first, expected); \
	} while (0)

#endif
