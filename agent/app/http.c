#include "agent/app/http.h"

#include <ctype.h>
#include <errno.h>
#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

enum slot { URL, HOST, CALL_ID, FORWARDED, TRACEPARENT, N_SLOTS, NO_SLOT = N_SLOTS };

/* The longest of each that is kept: a URL as long as the schema takes, names and ids as long as they can be. */
static const uint16_t slot_max[N_SLOTS] = {[URL] = 2048, [HOST] = 262, [CALL_ID] = 256, [FORWARDED] = 512,
					    [TRACEPARENT] = 64};

static const struct {
	const char *header;
	enum slot slot;
} wanted[] = {{"host", HOST}, {"x-call-id", CALL_ID}, {"x-forwarded-for", FORWARDED}, {"traceparent", TRACEPARENT}};

/* Answers that go out at once, to a client that asked ahead; of more, the last is told once. */
#define ANSWERED_MAX 32
#define HEADER_NAME_MAX 16 /* longer than any wanted one */

struct stream {
	struct http_parser parser;
	struct fp_buffer text; /* what the slots point into */
	struct {
		uint32_t start, len;
	} slots[N_SLOTS];
	char header[HEADER_NAME_MAX]; /* name of the header at hand, lower case */
	uint8_t header_len;
	uint8_t slot; /* where its value goes */
	bool in_value;
	bool in_head; /* a message has begun and its head has not ended */
	bool cut; /* a slot was too long */
	bool lost; /* where the next message begins is not known */
};

struct fp_http {
	struct stream streams[2]; /* [outgoing] */
	struct fp_app_input *input; /* during a feed */
	struct stream *stream; /* the one being fed */
	unsigned unanswered; /* requests that had no final response yet */
	uint8_t method; /* of the last request */
	uint8_t role[2]; /* [outgoing]: enum http_parser_type; HTTP_BOTH while not known */
	uint16_t answered[ANSWERED_MAX]; /* statuses of answers sent that are complete, and not told yet */
	unsigned n_answered;
	bool recognised; /* at least one message was whole enough */
};

struct fp_http *fp_http_new(void)
{
	struct fp_http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	for (int i = 0; i < 2; i++) {
		http->streams[i].lost = true;
		http->role[i] = HTTP_BOTH;
	}
	return http;
}

struct fp_http *fp_http_free(struct fp_http *http)
{
	if (http)
		for (int i = 0; i < 2; i++)
			fp_buffer_done(&http->streams[i].text);
	free(http);
	return NULL;
}

int fp_http_take_answered(struct fp_http *http)
{
	int status = http->answered[0];

	if (http->n_answered == 0)
		return 0;
	http->n_answered--;
	memmove(&http->answered[0], &http->answered[1], http->n_answered * sizeof(http->answered[0]));
	return status;
}

/* Does the input begin with a first line, or (whole == false) with what may become one? */
static bool begins_with_first_line(const struct fp_app_input *input, bool whole)
{
	static const struct http_parser_settings silent;
	const char *text = (const char *)input->data;
	const char *end = input->have ? memchr(text, '\n', input->have) : NULL;
	size_t len = end ? (size_t)(end - text) + 1 : input->have;
	struct http_parser parser;

	if (input->have == 0 || !isupper((unsigned char)text[0]) || (whole && !end))
		return false;
	http_parser_init(&parser, HTTP_BOTH);
	if (http_parser_execute(&parser, &silent, text, len) != len || parser.http_errno)
		return false;
	return !end || parser.http_major == 1;
}

bool fp_http_begins(const struct fp_app_input *input)
{
	return begins_with_first_line(input, false);
}

/* --- names ----------------------------------------------------------------- */

/* What has control characters in it (http_parser lets them pass) is nobody's host or id: as if it were not there. */
static struct fp_str slot_text(const struct stream *stream, enum slot slot)
{
	struct fp_str none = {NULL, 0};
	size_t len = stream->slots[slot].len;
	const char *data = len ? stream->text.data + stream->slots[slot].start : NULL;

	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)data[i]))
			return none;
	return (struct fp_str){data, len};
}

static bool is_host(struct fp_str host)
{
	for (size_t i = 0; i < host.len; i++)
		if (!isalnum((unsigned char)host.data[i]) && !strchr(".-_:[]", host.data[i]))
			return false;
	return host.len > 0;
}

static size_t path_length(struct fp_str url)
{
	size_t len = 0;

	while (len < url.len && url.data[len] != '?' && url.data[len] != '#')
		len++;
	return len;
}

/* Appends http://<host>/<path> to the text; 0 bytes when no host is known. */
static size_t add_name(struct fp_buffer *text, struct fp_str host, struct fp_str url)
{
	size_t before = text->len, path = path_length(url);

	if (host.len > 3 && memcmp(host.data + host.len - 3, ":80", 3) == 0)
		host.len -= 3;
	if (!is_host(host))
		return 0;
	/* host and url point into the text: make the room first */
	fp_buffer_add_text(text, "http://");
	for (size_t i = 0; i < host.len; i++) {
		char c = (char)tolower((unsigned char)host.data[i]);

		fp_buffer_add(text, &c, 1);
	}
	if (path == 0 || url.data[0] != '/')
		fp_buffer_add(text, "/", 1);
	if (path && url.data[0] == '/')
		fp_buffer_add(text, url.data, path);
	return text->len - before;
}

/* A target with scheme and host (as proxies get it) is cut into host and path. */
static void split_target(struct fp_str *url, struct fp_str *host)
{
	struct http_parser_url parts;
	struct fp_str target = *url;
	size_t end;

	http_parser_url_init(&parts);
	if (target.len == 0 || target.data[0] == '/' || http_parser_parse_url(target.data, target.len, 0, &parts))
		return;
	if (!(parts.field_set & 1 << UF_HOST))
		return;
	host->data = target.data + parts.field_data[UF_HOST].off;
	host->len = parts.field_data[UF_HOST].len;
	end = parts.field_data[UF_HOST].off + host->len;
	if (parts.field_set & 1 << UF_PORT) {
		end = (size_t)parts.field_data[UF_PORT].off + parts.field_data[UF_PORT].len;
		host->len = end - parts.field_data[UF_HOST].off;
	}
	url->data = target.data + end;
	url->len = target.len - end;
}

/* --- messages -------------------------------------------------------------- */

static void emit_request(struct fp_http *http, struct stream *stream, bool truncated)
{
	enum http_method method = stream->parser.method;
	const char *verb = http_method_str(method);
	struct fp_app_message message = {
		.app = FP_APP_HTTP_REQUEST,
		.outgoing = http->input->outgoing,
		.direction = method != HTTP_GET && method != HTTP_HEAD && method != HTTP_OPTIONS && method != HTTP_TRACE,
		.truncated = truncated || stream->cut,
		.method = {verb, strlen(verb)},
	};
	struct fp_buffer *text = &stream->text;
	size_t name_at, name_len = 0;

	/* room first: what the strings point into must not move any more */
	if (!fp_buffer_reserve(text, slot_max[URL] + slot_max[HOST] + 16) || text->failed) {
		http->input->error = -ENOMEM;
		return;
	}
	message.url = slot_text(stream, URL);
	message.host_name = slot_text(stream, HOST);
	message.call_id = slot_text(stream, CALL_ID);
	message.forwarded = slot_text(stream, FORWARDED);
	message.traceparent = slot_text(stream, TRACEPARENT);
	name_at = text->len;
	if (method == HTTP_CONNECT) {
		message.host_name = message.name = message.url;
	} else {
		split_target(&message.url, &message.host_name);
		name_len = add_name(text, message.host_name, message.url);
		message.name = (struct fp_str){text->data + name_at, name_len};
	}
	http->unanswered++;
	http->method = (uint8_t)method;
	fp_app_emit(http->input, &message);
}

static void emit_response(struct fp_http *http, struct stream *stream, bool truncated)
{
	struct fp_app_message message = {
		.app = FP_APP_HTTP_RESPONSE,
		.outgoing = http->input->outgoing,
		.direction = http->input->outgoing,
		.truncated = truncated || stream->cut,
		.status = (int)stream->parser.status_code,
	};

	/* 1xx are not answers, but for the one that ends HTTP here */
	if (message.status < 200 && message.status != HTTP_STATUS_SWITCHING_PROTOCOLS)
		return;
	if (stream->text.failed) {
		http->input->error = -ENOMEM;
		return;
	}
	message.call_id = slot_text(stream, CALL_ID);
	if (http->unanswered)
		http->unanswered--;
	fp_app_emit(http->input, &message);
}

static void emit(struct fp_http *http, struct stream *stream, bool truncated)
{
	bool outgoing = http->input->outgoing;

	http->recognised = true;
	http->role[outgoing] = (uint8_t)stream->parser.type;
	http->role[!outgoing] = stream->parser.type == HTTP_REQUEST ? HTTP_RESPONSE : HTTP_REQUEST;
	if (stream->parser.type == HTTP_REQUEST)
		emit_request(http, stream, truncated);
	else
		emit_response(http, stream, truncated);
}

/* --- what http_parser calls ------------------------------------------------ */

static int on_message_begin(struct http_parser *parser)
{
	struct stream *stream = ((struct fp_http *)parser->data)->stream;

	fp_buffer_clear(&stream->text);
	memset(stream->slots, 0, sizeof(stream->slots));
	stream->header_len = 0;
	stream->in_value = false;
	stream->in_head = true;
	stream->cut = false;
	return 0;
}

static void add_to_slot(struct stream *stream, enum slot slot, const char *data, size_t len)
{
	uint32_t *have = &stream->slots[slot].len;

	if (*have + len > slot_max[slot]) {
		stream->cut = true;
		len = slot_max[slot] - *have;
	}
	if (*have == 0)
		stream->slots[slot].start = (uint32_t)stream->text.len;
	fp_buffer_add(&stream->text, data, len);
	*have += (uint32_t)len;
}

static int on_url(struct http_parser *parser, const char *data, size_t len)
{
	add_to_slot(((struct fp_http *)parser->data)->stream, URL, data, len);
	return 0;
}

static int on_header_field(struct http_parser *parser, const char *data, size_t len)
{
	struct stream *stream = ((struct fp_http *)parser->data)->stream;

	if (stream->in_value)
		stream->header_len = 0;
	stream->in_value = false;
	for (size_t i = 0; i < len && stream->header_len < HEADER_NAME_MAX; i++)
		stream->header[stream->header_len++] = (char)tolower((unsigned char)data[i]);
	return 0;
}

/* The first header of a name counts. */
static enum slot slot_for_header(const struct stream *stream)
{
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strlen(wanted[i].header) == stream->header_len &&
		    memcmp(wanted[i].header, stream->header, stream->header_len) == 0)
			return stream->slots[wanted[i].slot].len ? NO_SLOT : wanted[i].slot;
	return NO_SLOT;
}

static int on_header_value(struct http_parser *parser, const char *data, size_t len)
{
	struct stream *stream = ((struct fp_http *)parser->data)->stream;

	if (!stream->in_value)
		stream->slot = (uint8_t)slot_for_header(stream);
	stream->in_value = true;
	if (stream->slot != NO_SLOT)
		add_to_slot(stream, stream->slot, data, len);
	return 0;
}

static int on_headers_complete(struct http_parser *parser)
{
	struct fp_http *http = parser->data;
	struct stream *stream = http->stream;

	stream->in_head = false;
	if (parser->http_major != 1)
		return -1;
	emit(http, stream, false);
	if (parser->type == HTTP_RESPONSE && parser->status_code >= 200) {
		if (http->method == HTTP_HEAD)
			return 1; /* has no body, whatever it announces */
		if (http->method == HTTP_CONNECT && parser->status_code < 300)
			return 2; /* from here on a tunnel */
	}
	return 0;
}

static int on_message_complete(struct http_parser *parser)
{
	struct fp_http *http = parser->data;

	if (parser->type != HTTP_RESPONSE || parser->status_code < 200 || !http->input->outgoing)
		return 0;
	if (http->n_answered < ANSWERED_MAX)
		http->n_answered++;
	http->answered[http->n_answered - 1] = (uint16_t)parser->status_code;
	return 0;
}

static const struct http_parser_settings settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

/* --- feeding --------------------------------------------------------------- */

static void start(struct fp_http *http, struct stream *stream)
{
	http_parser_init(&stream->parser, http->role[http->input->outgoing]);
	stream->lost = stream->in_head = false;
}

/*
 * A stream whose place is known is still begun anew when the other side's turn
 * is over and a whole first line stands here: lengths in a head are only what
 * the peer claims.
 */
static bool begins_anew(const struct fp_http *http, const struct stream *stream)
{
	const struct fp_app_input *input = http->input;
	bool due;

	if (!input->turn || stream->in_head)
		return false;
	due = http->role[input->outgoing] == HTTP_RESPONSE ? http->unanswered > 0 : http->unanswered == 0;
	return due && begins_with_first_line(input, true);
}

/* False when the stream's place is lost. */
static bool execute(struct fp_http *http, struct stream *stream, const char *data, size_t len)
{
	stream->parser.data = http;
	return http_parser_execute(&stream->parser, &settings, data, len) == len && !stream->parser.http_errno;
}

static bool bridge_hole(struct fp_http *http, struct stream *stream, size_t missing)
{
	static const char zeros[65536];

	for (size_t n; missing > 0; missing -= n) {
		n = missing < sizeof(zeros) ? missing : sizeof(zeros);
		if (!execute(http, stream, zeros, n))
			return false;
	}
	return true;
}

/* The capture ended within a head: is what there is of it worth a message? */
static void emit_cut_head(struct fp_http *http, struct stream *stream)
{
	if (stream->parser.type == HTTP_REQUEST ? stream->slots[URL].len > 0 : stream->parser.status_code >= 100)
		emit(http, stream, true);
	stream->in_head = false;
}

enum fp_app_verdict fp_http_feed(struct fp_http *http, struct fp_app_input *input)
{
	struct stream *stream = &http->streams[input->outgoing];
	bool followed;

	http->input = input;
	http->stream = stream;
	if (stream->lost ? input->turn && begins_with_first_line(input, false) : begins_anew(http, stream))
		start(http, stream);
	if (stream->lost)
		return FP_APP_MINE;
	followed = input->have == 0 || execute(http, stream, (const char *)input->data, input->have);
	if (stream->parser.upgrade && !stream->in_head) {
		/* said by the client it is a wish, said by the server a fact */
		if (stream->parser.type == HTTP_RESPONSE)
			return FP_APP_OVER;
		followed = false;
	} else if (followed && input->have < input->total) {
		if (stream->in_head) {
			emit_cut_head(http, stream);
			followed = false;
		} else {
			followed = bridge_hole(http, stream, input->total - input->have);
		}
	}
	stream->lost = !followed;
	return followed || http->recognised ? FP_APP_MINE : FP_APP_NOT_MINE;
}
