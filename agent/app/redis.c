#include "agent/app/redis.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/app/redis_command.h"
#include "base/buffer.h"

enum {
	LINE_MAX_KEPT = 512, /* a length, or a command typed by hand */
	ARGUMENT_MAX = 512, /* of an argument: a key that is longer has no known name */
	ARGUMENTS_MAX = 1 << 20, /* the server takes no more in one command */
	BULK_MAX = 512 << 20, /* the server's own limit */
	KEYS_MAX = 64, /* of one command that are named; of more it is known that there are more */
	QUEUED_MAX = 1 << 16, /* bytes of messages between MULTI and EXEC */
};

enum state { LINE, BULK };

struct fp_redis {
	bool client_known, client_outgoing;
	bool recognised; /* one command was known */
	bool lost; /* where the next command begins is not known */
	enum state state;
	char line[LINE_MAX_KEPT];
	size_t line_len;
	uint64_t arguments, at; /* of the command at hand, its name with them; which is next */
	uint64_t bulk; /* bytes of the argument at hand still to come, with its CRLF */
	struct fp_buffer argument; /* its first bytes */
	size_t argument_len; /* how many it has */
	bool argument_cut; /* a hole fell into it */
	char name[FP_REDIS_NAME_MAX + 1]; /* of the command */
	const struct fp_redis_command *command;
	uint64_t keys_from, keys_to; /* known only from the arguments: NUMKEYS, STREAMS */
	bool store; /* the argument before was STORE */
	unsigned n_keys;
	unsigned database;
	bool queues; /* between MULTI and EXEC */
	struct fp_buffer queued; /* per message: method NUL, p or g, t or w, name NUL */
	struct fp_buffer text; /* the name at hand */
};

struct fp_redis *fp_redis_new(void)
{
	return calloc(1, sizeof(struct fp_redis));
}

struct fp_redis *fp_redis_free(struct fp_redis *redis)
{
	if (redis) {
		fp_buffer_done(&redis->argument);
		fp_buffer_done(&redis->queued);
		fp_buffer_done(&redis->text);
	}
	free(redis);
	return NULL;
}

/* --- recognising ----------------------------------------------------------- */

/* Steps over `sign`, digits and CRLF; false when it is something else.  *ret_value -1: it is cut. */
static bool read_length(const uint8_t *data, size_t len, size_t *pos, char sign, long *ret_value)
{
	long value = 0;
	size_t at = *pos, digits;

	*ret_value = -1;
	if (at < len && data[at++] != (uint8_t)sign)
		return false;
	for (digits = at; at < len && isdigit(data[at]); at++) {
		value = value * 10 + (data[at] - '0');
		if (value > BULK_MAX)
			return false;
	}
	if (at < len && (at == digits || data[at] != '\r' || (at + 1 < len && data[at + 1] != '\n')))
		return false;
	if (at + 1 < len) {
		*ret_value = value;
		*pos = at + 2;
	}
	return true;
}

/* `whole`: up to the name of the command at least. */
static bool begins_with_command(const struct fp_app_input *input, bool whole)
{
	const uint8_t *data = input->data;
	struct fp_str name;
	long arguments, len;
	size_t pos = 0;

	if (input->have == 0 || !read_length(data, input->have, &pos, '*', &arguments))
		return false;
	if (arguments < 0)
		return !whole;
	if (arguments == 0 || !read_length(data, input->have, &pos, '$', &len))
		return false;
	if (len < 0)
		return !whole;
	if (len == 0 || len > FP_REDIS_NAME_MAX)
		return false;
	name = (struct fp_str){(const char *)data + pos, input->have - pos};
	if (name.len < (size_t)len)
		return !whole;
	name.len = (size_t)len;
	return fp_redis_command_is_name(name);
}

bool fp_redis_begins(const struct fp_app_input *input)
{
	return begins_with_command(input, false);
}

/* --- handing on ------------------------------------------------------------ */

static void emit_one(struct fp_app_input *input, const char *method, bool put, bool truncated, const char *name)
{
	struct fp_app_message message = {
		.app = FP_APP_REDIS,
		.outgoing = input->outgoing,
		.direction = put,
		.truncated = truncated,
		.method = {method, strlen(method)},
		.name = {name, strlen(name)},
	};

	fp_app_emit(input, &message);
}

static void emit_queued(struct fp_redis *redis, struct fp_app_input *input, bool truncated)
{
	const struct fp_buffer *queued = &redis->queued;

	for (size_t pos = 0; pos < queued->len;) {
		const char *method = queued->data + pos, *kind = method + strlen(method) + 1, *name = kind + 2;

		emit_one(input, method, kind[0] == 'p', truncated || kind[1] == 't', name);
		pos = (size_t)(name - queued->data) + strlen(name) + 1;
	}
	fp_buffer_clear(&redis->queued);
}

static void add_message(struct fp_redis *redis, struct fp_app_input *input, bool put, bool truncated, const char *name)
{
	const char *method = redis->command ? redis->command->name : FP_APP_NAME_UNKNOWN;

	if (!redis->queues) {
		emit_one(input, method, put, truncated, name);
		return;
	}
	if (redis->queued.len + strlen(method) + strlen(name) + 4 > QUEUED_MAX)
		emit_queued(redis, input, true); /* whether EXEC comes is not awaited */
	fp_buffer_add(&redis->queued, method, strlen(method) + 1);
	fp_buffer_add(&redis->queued, put ? "p" : "g", 1);
	fp_buffer_add(&redis->queued, truncated ? "t" : "w", 1);
	fp_buffer_add(&redis->queued, name, strlen(name) + 1);
	if (redis->queued.failed)
		input->error = -ENOMEM;
}

static void add_name(struct fp_redis *redis, struct fp_app_input *input, enum fp_redis_access access, bool truncated,
		     const char *name)
{
	if (access & FP_REDIS_GET)
		add_message(redis, input, false, truncated, name);
	if (access & FP_REDIS_PUT)
		add_message(redis, input, true, truncated, name);
}

/* Keys are any bytes: what is not plain text is written as Redis' own client shows it. */
static void add_escaped(struct fp_buffer *text, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c >= ' ' && c < 0x7f && c != '\\')
			fp_buffer_add(text, data + i, 1);
		else
			fp_buffer_add_format(text, "\\x%02x", c);
	}
}

static void add_unknown(struct fp_redis *redis, struct fp_app_input *input)
{
	enum fp_redis_access access = redis->command ? redis->command->access : FP_REDIS_BOTH;

	add_name(redis, input, access, true, FP_APP_NAME_UNKNOWN);
}

/* The argument at hand, or (of commands on the whole database) none. */
static void add_key(struct fp_redis *redis, struct fp_app_input *input, enum fp_redis_access access)
{
	const struct fp_redis_command *command = redis->command;
	struct fp_buffer *text = &redis->text;

	if (redis->n_keys++ >= KEYS_MAX) {
		if (redis->n_keys == KEYS_MAX + 1)
			add_name(redis, input, access, true, FP_APP_NAME_UNKNOWN);
		return;
	}
	if (command->space != FP_REDIS_DATABASE && (redis->argument_cut || redis->argument_len > ARGUMENT_MAX)) {
		add_name(redis, input, access, true, FP_APP_NAME_UNKNOWN);
		return;
	}
	fp_buffer_clear(text);
	if (command->space == FP_REDIS_CHANNEL)
		fp_buffer_add_text(text, "channel/");
	else if (command->space == FP_REDIS_SETTING)
		fp_buffer_add_text(text, "config/");
	else
		fp_buffer_add_format(text, "%u/", redis->database);
	if (command->space == FP_REDIS_DATABASE)
		fp_buffer_add_text(text, "*");
	else
		add_escaped(text, redis->argument.data, redis->argument.len);
	if (fp_buffer_error(text) < 0)
		input->error = -ENOMEM;
	else
		add_name(redis, input, access, false, text->data);
}

/* --- commands -------------------------------------------------------------- */

static bool in_group(const struct fp_redis *redis, int first, int last, int step)
{
	uint64_t from = (uint64_t)first, to;

	if (first <= 0)
		return false;
	to = last > 0 ? (uint64_t)last : redis->arguments - (uint64_t)-last;
	return redis->at >= from && redis->at <= to && (redis->at - from) % (uint64_t)step == 0;
}

static bool argument_is(const struct fp_redis *redis, const char *word)
{
	return redis->argument.len == strlen(word) && redis->argument_len == redis->argument.len &&
	       strncasecmp(redis->argument.data, word, redis->argument.len) == 0;
}

static uint64_t argument_number(const struct fp_redis *redis)
{
	uint64_t value = 0;

	for (size_t i = 0; i < redis->argument.len && value < ARGUMENTS_MAX; i++) {
		if (!isdigit((unsigned char)redis->argument.data[i]))
			return 0;
		value = value * 10 + (uint64_t)(redis->argument.data[i] - '0');
	}
	return value;
}

/* An argument behind the name is whole. */
static void read_argument(struct fp_redis *redis, struct fp_app_input *input)
{
	const struct fp_redis_command *command = redis->command;

	switch (command->form) {
	case FP_REDIS_NUMKEYS:
		if (redis->at == (uint64_t)command->first) {
			redis->keys_from = redis->at + 1;
			redis->keys_to = redis->at + argument_number(redis);
		}
		break;
	case FP_REDIS_STREAMS:
		if (!redis->keys_from && argument_is(redis, "STREAMS")) {
			redis->keys_from = redis->at + 1;
			redis->keys_to = redis->at + (redis->arguments - 1 - redis->at) / 2;
			return;
		}
		break;
	case FP_REDIS_STORE:
		if (redis->store)
			add_key(redis, input, FP_REDIS_PUT);
		redis->store = redis->at > 1 && (argument_is(redis, "STORE") || argument_is(redis, "STOREDIST"));
		break;
	case FP_REDIS_SELECT:
		redis->database = (unsigned)argument_number(redis);
		return;
	default:
		break;
	}
	if (redis->keys_from ? redis->at >= redis->keys_from && redis->at <= redis->keys_to :
	    command->form != FP_REDIS_NUMKEYS && in_group(redis, command->first, command->last, command->step))
		add_key(redis, input, command->access);
	if (in_group(redis, command->first2, command->last2, 1))
		add_key(redis, input, command->access2);
}

static void end_command(struct fp_redis *redis, struct fp_app_input *input)
{
	const struct fp_redis_command *command = redis->command;

	if (!command)
		return;
	if (command->space == FP_REDIS_DATABASE)
		add_key(redis, input, command->access);
	if (command->form == FP_REDIS_MULTI)
		redis->queues = true;
	if (command->form == FP_REDIS_EXEC || command->form == FP_REDIS_DISCARD)
		redis->queues = false;
	if (command->form == FP_REDIS_EXEC)
		emit_queued(redis, input, false);
	if (command->form == FP_REDIS_DISCARD)
		fp_buffer_clear(&redis->queued);
}

static void find_command(struct fp_redis *redis, struct fp_str argument)
{
	redis->command = fp_redis_command_find((struct fp_str){redis->name, strlen(redis->name)}, argument);
	redis->recognised |= redis->command != NULL;
}

static void begin_command(struct fp_redis *redis, uint64_t arguments)
{
	redis->arguments = arguments;
	redis->at = 0;
	redis->command = NULL;
	redis->keys_from = redis->keys_to = 0;
	redis->store = false;
	redis->n_keys = 0;
	redis->name[0] = '\0';
}

static void end_argument(struct fp_redis *redis, struct fp_app_input *input)
{
	if (redis->argument.failed) {
		input->error = -ENOMEM;
		return;
	}
	if (redis->at == 0) {
		if (redis->argument_len <= FP_REDIS_NAME_MAX && !redis->argument_cut) {
			if (redis->argument.len)
				memcpy(redis->name, redis->argument.data, redis->argument.len);
			redis->name[redis->argument.len] = '\0';
		}
		find_command(redis, (struct fp_str){NULL, 0});
	} else {
		if (redis->at == 1)
			find_command(redis, (struct fp_str){redis->argument.data, redis->argument.len});
		if (redis->command)
			read_argument(redis, input);
	}
	if (++redis->at == redis->arguments)
		end_command(redis, input);
}

/* --- framing --------------------------------------------------------------- */

static void begin_argument(struct fp_redis *redis, size_t len)
{
	fp_buffer_clear(&redis->argument);
	redis->argument_len = len;
	redis->argument_cut = false;
}

/* Typed by hand: words between blanks. */
static void read_typed(struct fp_redis *redis, struct fp_app_input *input)
{
	uint64_t words = 0;

	for (size_t i = 0; i < redis->line_len; i++)
		words += redis->line[i] != ' ' && (i == 0 || redis->line[i - 1] == ' ');
	begin_command(redis, words);
	for (size_t i = 0, end; i < redis->line_len; i = end + 1) {
		for (end = i; end < redis->line_len && redis->line[end] != ' '; end++)
			continue;
		if (end == i)
			continue;
		begin_argument(redis, end - i);
		fp_buffer_add(&redis->argument, redis->line + i, end - i);
		end_argument(redis, input);
	}
}

/* A line is whole, without its CRLF. */
static void read_line(struct fp_redis *redis, struct fp_app_input *input)
{
	bool between = redis->at == redis->arguments;
	char sign = redis->line_len ? redis->line[0] : '\0';
	uint64_t value = 0;

	if (sign != '*' && sign != '$') {
		if (between && redis->recognised && redis->line_len < LINE_MAX_KEPT)
			read_typed(redis, input);
		else
			redis->lost = !between || redis->line_len == LINE_MAX_KEPT;
		return;
	}
	for (size_t i = 1; i < redis->line_len; i++) {
		if (!isdigit((unsigned char)redis->line[i]) || value > BULK_MAX) {
			redis->lost = true;
			return;
		}
		value = value * 10 + (uint64_t)(redis->line[i] - '0');
	}
	if (between != (sign == '*') || value > (between ? ARGUMENTS_MAX : BULK_MAX)) {
		redis->lost = true;
	} else if (between) {
		begin_command(redis, value);
	} else {
		begin_argument(redis, value);
		redis->bulk = value + 2;
		redis->state = BULK;
	}
}

static void take_line(struct fp_redis *redis, struct fp_app_input *input, char c)
{
	if (c != '\n') {
		if (redis->line_len < LINE_MAX_KEPT)
			redis->line[redis->line_len++] = c;
		return;
	}
	if (redis->line_len && redis->line[redis->line_len - 1] == '\r')
		redis->line_len--;
	read_line(redis, input);
	redis->line_len = 0;
}

/* `data` NULL: so many bytes were not captured. */
static size_t take_bulk(struct fp_redis *redis, struct fp_app_input *input, const uint8_t *data, size_t len)
{
	size_t n = len < redis->bulk ? len : redis->bulk;
	size_t body = redis->bulk > 2 ? redis->bulk - 2 : 0, keep = ARGUMENT_MAX - redis->argument.len;

	if (body > n)
		body = n;
	if (!data)
		redis->argument_cut |= body > 0;
	else if (!redis->argument_cut)
		fp_buffer_add(&redis->argument, data, body < keep ? body : keep);
	redis->bulk -= n;
	if (redis->bulk == 0) {
		end_argument(redis, input);
		redis->state = LINE;
	}
	return n;
}

static void reset_framing(struct fp_redis *redis)
{
	redis->lost = false;
	redis->state = LINE;
	redis->line_len = 0;
	begin_command(redis, 0);
}

/* What was sent and not captured goes beyond the argument at hand. */
static void lose(struct fp_redis *redis, struct fp_app_input *input)
{
	if (redis->at == redis->arguments)
		redis->command = NULL;
	redis->queues = false;
	emit_queued(redis, input, true);
	add_unknown(redis, input);
	redis->lost = true;
}

static enum fp_app_verdict feed_client(struct fp_redis *redis, struct fp_app_input *input)
{
	size_t pos = 0;

	if (redis->lost && input->turn && begins_with_command(input, true))
		reset_framing(redis);
	while (pos < input->have && !redis->lost && !input->error) {
		if (redis->state == BULK)
			pos += take_bulk(redis, input, input->data + pos, input->have - pos);
		else
			take_line(redis, input, (char)input->data[pos++]);
	}
	if (!redis->recognised && (redis->lost || redis->at > 0))
		return FP_APP_NOT_MINE;
	if (redis->lost || input->have == input->total)
		return FP_APP_MINE;
	if (redis->state == BULK && input->total - input->have <= redis->bulk)
		take_bulk(redis, input, NULL, input->total - input->have);
	else
		lose(redis, input);
	return FP_APP_MINE;
}

enum fp_app_verdict fp_redis_feed(struct fp_redis *redis, struct fp_app_input *input)
{
	if (!redis->client_known) {
		redis->client_known = true;
		redis->client_outgoing = input->outgoing;
	}
	if (input->outgoing != redis->client_outgoing)
		return FP_APP_MINE;
	return feed_client(redis, input);
}
