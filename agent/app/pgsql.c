#include "agent/app/pgsql.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/app/sql_access.h"
#include "base/buffer.h"

enum {
	HEADER = 5, /* type 1, length 4 (its own four bytes with it); the first message has no type */
	PACKET_MAX = 4096, /* as of MySQL's: more than the capture of one send */
	MESSAGE_MAX = 1 << 30, /* the server takes no longer ones */
	STARTUP_MAX = 10000, /* the server takes no longer one */
	KEY_MAX = 64, /* names are cut to 63 characters by the server */
};

enum code {
	STARTUP_3 = 3 << 16,
	CANCEL = 80877102,
	ASK_TLS = 80877103,
	ASK_GSS = 80877104,
};

struct fp_pgsql {
	bool client_known, client_outgoing;
	bool startup; /* the next message of the client has no type */
	bool asks; /* for encryption: the server answers with one byte */
	bool lost; /* where the client's next message begins is not known */
	uint8_t header[HEADER];
	unsigned header_len;
	uint32_t remaining; /* bytes of the message at hand still to come */
	struct fp_buffer packet; /* its first PACKET_MAX bytes */
	char pending[KEY_MAX + 1]; /* parsed or bound in this send and not executed yet; empty: nothing */
	size_t pending_len;
	struct fp_sql_access access;
};

struct fp_pgsql *fp_pgsql_new(void)
{
	struct fp_pgsql *pgsql = calloc(1, sizeof(*pgsql));

	if (pgsql)
		pgsql->access.dialect = FP_SQL_POSTGRES;
	return pgsql;
}

struct fp_pgsql *fp_pgsql_free(struct fp_pgsql *pgsql)
{
	if (pgsql) {
		fp_buffer_done(&pgsql->packet);
		fp_sql_access_done(&pgsql->access);
	}
	free(pgsql);
	return NULL;
}

static uint32_t read_be32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* --- recognising ----------------------------------------------------------- */

static bool is_startup(const uint8_t *data, size_t have, size_t total)
{
	uint32_t len, code;

	if (have < 8)
		return false;
	len = read_be32(data);
	code = read_be32(data + 4);
	if (code == ASK_TLS || code == ASK_GSS)
		return len == 8 && total == 8;
	return code == STARTUP_3 && len >= 9 && len <= STARTUP_MAX && len >= total;
}

/* Are these messages of a client, one behind the other? */
static bool are_messages(const uint8_t *data, size_t have)
{
	for (size_t pos = 0; pos < have;) {
		uint32_t len;

		if (!data[pos] || !strchr("BCDEFHPQSXcdfp", data[pos]))
			return false;
		if (have - pos < HEADER)
			return pos > 0;
		len = read_be32(data + pos + 1);
		if (len < 4 || len > MESSAGE_MAX)
			return false;
		pos += 1 + len;
	}
	return have > 0;
}

/* A text up to its NUL, or to the end of what there is. */
static struct fp_str read_text(const uint8_t *data, size_t len, size_t *pos)
{
	const uint8_t *start = data + *pos, *end = *pos < len ? memchr(start, 0, len - *pos) : NULL;
	struct fp_str text = {(const char *)start, end ? (size_t)(end - start) : *pos < len ? len - *pos : 0};

	*pos += text.len + 1;
	return text;
}

/* A Query, or a Parse, that begins with a verb of SQL. */
static bool is_statement(const uint8_t *data, size_t have)
{
	size_t pos = HEADER;
	struct fp_str text;

	if (have <= HEADER || (data[0] != 'Q' && data[0] != 'P') || !are_messages(data, have))
		return false;
	if (data[0] == 'P')
		read_text(data, have, &pos);
	text = read_text(data, have, &pos);
	return text.len && fp_sql_begins(FP_SQL_POSTGRES, text.data, text.len);
}

bool fp_pgsql_begins(const struct fp_app_input *input)
{
	return is_startup(input->data, input->have, input->total) || is_statement(input->data, input->have);
}

/* --- what the client says -------------------------------------------------- */

/* Statements and portals share one table: a letter says which. */
static struct fp_str make_key(char kind, struct fp_str name, char ret_key[KEY_MAX + 1])
{
	size_t len = name.len < KEY_MAX ? name.len : KEY_MAX;

	ret_key[0] = kind;
	if (len)
		memcpy(ret_key + 1, name.data, len);
	return (struct fp_str){ret_key, len + 1};
}

static void set_pending(struct fp_pgsql *pgsql, struct fp_str key)
{
	memcpy(pgsql->pending, key.data, key.len);
	pgsql->pending_len = key.len;
}

/* name NUL value NUL … NUL; without a database it is named like the user */
static void read_startup(struct fp_pgsql *pgsql, const uint8_t *data, size_t len)
{
	uint32_t code = len >= 4 ? read_be32(data) : 0;
	struct fp_str user = {NULL, 0}, database = {NULL, 0};

	pgsql->asks = code == ASK_TLS || code == ASK_GSS;
	pgsql->startup = pgsql->asks;
	if (code != STARTUP_3)
		return;
	for (size_t pos = 4; pos < len && data[pos];) {
		struct fp_str name = read_text(data, len, &pos), value = read_text(data, len, &pos);

		if (name.len == 4 && memcmp(name.data, "user", 4) == 0)
			user = value;
		else if (name.len == 8 && memcmp(name.data, "database", 8) == 0)
			database = value;
	}
	if (!database.len)
		database = user;
	if (database.len)
		fp_sql_access_set_schema(&pgsql->access, database.data, database.len);
}

/* statement NUL text NUL types */
static void read_parse(struct fp_pgsql *pgsql, const uint8_t *data, size_t len, bool truncated)
{
	size_t pos = 0;
	struct fp_str name = read_text(data, len, &pos), text = {NULL, 0};
	char key[KEY_MAX + 1];

	if (pos < len)
		text = read_text(data, len, &pos);
	/* behind the text come types, which may be missing */
	fp_sql_access_read(&pgsql->access, text, truncated && pos > len);
	fp_sql_access_keep(&pgsql->access, make_key('s', name, key));
	set_pending(pgsql, make_key('s', name, key));
}

/* portal NUL statement NUL parameters */
static void read_bind(struct fp_pgsql *pgsql, const uint8_t *data, size_t len)
{
	size_t pos = 0;
	struct fp_str portal = read_text(data, len, &pos), statement = {NULL, 0};
	char from[KEY_MAX + 1], to[KEY_MAX + 1];

	if (pos >= len)
		return; /* cut before the statement's name */
	statement = read_text(data, len, &pos);
	fp_sql_access_bind(&pgsql->access, make_key('s', statement, from), make_key('p', portal, to));
	set_pending(pgsql, make_key('p', portal, to));
}

static void read_message(struct fp_pgsql *pgsql, struct fp_app_input *input, bool truncated)
{
	const uint8_t *data = (const uint8_t *)pgsql->packet.data;
	size_t len = pgsql->packet.len, pos = 0;
	char key[KEY_MAX + 1];
	struct fp_str text;

	if (pgsql->packet.failed) {
		input->error = -ENOMEM;
		return;
	}
	if (pgsql->startup) {
		read_startup(pgsql, data, len);
		return;
	}
	if (len == 0)
		return;
	switch (pgsql->header[0]) {
	case 'Q':
		text = read_text(data, len, &pos);
		fp_sql_access_read(&pgsql->access, text, truncated && pos > len);
		fp_sql_access_emit(&pgsql->access, input);
		break;
	case 'P':
		read_parse(pgsql, data, len, truncated);
		break;
	case 'B':
		read_bind(pgsql, data, len);
		break;
	case 'E':
		fp_sql_access_execute(&pgsql->access, make_key('p', read_text(data, len, &pos), key), input);
		pgsql->pending_len = 0;
		break;
	case 'C':
		pos = 1;
		if (len > 1 && (data[0] == 'S' || data[0] == 'P'))
			fp_sql_access_close(&pgsql->access,
					    make_key(data[0] == 'S' ? 's' : 'p', read_text(data, len, &pos), key));
		break;
	default:
		break;
	}
}

static void begin_message(struct fp_pgsql *pgsql)
{
	uint32_t len = read_be32(pgsql->header + 1);

	/* what cannot be a length is the end of what can be followed */
	pgsql->lost = len < 4 || len > MESSAGE_MAX;
	pgsql->remaining = pgsql->lost ? 0 : len - 4;
	fp_buffer_clear(&pgsql->packet);
}

/* Takes bytes of the message at hand, or of its header; the number taken. */
static size_t take(struct fp_pgsql *pgsql, const uint8_t *data, size_t len)
{
	size_t n, keep;

	if (pgsql->header_len < HEADER) {
		if (pgsql->header_len == 0 && pgsql->startup) {
			pgsql->header[pgsql->header_len++] = 0;
			return 0;
		}
		pgsql->header[pgsql->header_len++] = data[0];
		if (pgsql->header_len == HEADER)
			begin_message(pgsql);
		return 1;
	}
	n = len < pgsql->remaining ? len : pgsql->remaining;
	keep = PACKET_MAX - pgsql->packet.len;
	fp_buffer_add(&pgsql->packet, data, n < keep ? n : keep);
	pgsql->remaining -= (uint32_t)n;
	return n;
}

static void reset_framing(struct fp_pgsql *pgsql)
{
	pgsql->header_len = 0;
	pgsql->remaining = 0;
	pgsql->lost = false;
}

/* The capture ended; `missing` more bytes were sent. */
static void step_over_hole(struct fp_pgsql *pgsql, struct fp_app_input *input, size_t missing)
{
	if (pgsql->remaining > 0) {
		read_message(pgsql, input, true);
		/* it has been read: the rest only counts */
		pgsql->header[0] = 'd';
	}
	if (missing <= pgsql->remaining && pgsql->remaining > 0) {
		pgsql->remaining -= (uint32_t)missing;
		if (pgsql->remaining == 0)
			pgsql->header_len = 0;
		return;
	}
	pgsql->lost = true;
	if (pgsql->pending_len)
		fp_sql_access_execute(&pgsql->access, (struct fp_str){pgsql->pending, pgsql->pending_len}, input);
}

static void feed_client(struct fp_pgsql *pgsql, struct fp_app_input *input)
{
	pgsql->pending_len = 0;
	/* once the server has answered a whole statement begins a message, whatever lengths were claimed before */
	if (input->turn && !pgsql->startup &&
	    (pgsql->lost ? are_messages(input->data, input->have) : is_statement(input->data, input->have)))
		reset_framing(pgsql);
	for (size_t pos = 0; pos < input->have && !pgsql->lost;) {
		pos += take(pgsql, input->data + pos, input->have - pos);
		if (pgsql->header_len == HEADER && pgsql->remaining == 0 && !pgsql->lost) {
			read_message(pgsql, input, pgsql->packet.len == PACKET_MAX);
			pgsql->header_len = 0;
		}
	}
	if (input->have < input->total && !pgsql->lost)
		step_over_hole(pgsql, input, input->total - input->have);
}

/* --- what the server says -------------------------------------------------- */

static enum fp_app_verdict feed_server(struct fp_pgsql *pgsql, const struct fp_app_input *input)
{
	if (!pgsql->asks || input->have == 0)
		return FP_APP_MINE;
	pgsql->asks = false;
	/* refused: the client goes on in the clear, or goes */
	return input->data[0] == 'S' || input->data[0] == 'G' ? FP_APP_OVER : FP_APP_MINE;
}

enum fp_app_verdict fp_pgsql_feed(struct fp_pgsql *pgsql, struct fp_app_input *input)
{
	if (!pgsql->client_known) {
		pgsql->client_known = true;
		pgsql->client_outgoing = input->outgoing;
		pgsql->startup = is_startup(input->data, input->have, input->total);
	}
	if (input->outgoing != pgsql->client_outgoing)
		return feed_server(pgsql, input);
	feed_client(pgsql, input);
	return FP_APP_MINE;
}
