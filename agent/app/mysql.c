#include "agent/app/mysql.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/app/sql_access.h"
#include "agent/app/mysql_compressed.h"
#include "base/buffer.h"

enum {
	HEADER = 4, /* length 3, number 1 */
	PACKET_MAX = 4096, /* of a packet that is kept: more than the capture of one send, less than FP_STR_MAX of tables */
	REPLY_MAX = HEADER + 5, /* header, status, statement id */
	LOGIN_FIXED = 32,
	GREETING_VERSION = 10,
};

enum command {
	COM_INIT_DB = 0x02,
	COM_QUERY = 0x03,
	COM_CHANGE_USER = 0x11,
	COM_BINLOG_DUMP = 0x12,
	COM_STMT_PREPARE = 0x16,
	COM_STMT_EXECUTE = 0x17,
	COM_STMT_CLOSE = 0x19,
	COM_BINLOG_DUMP_GTID = 0x1e,
	COM_RESET_CONNECTION = 0x1f,
	COM_LAST = COM_RESET_CONNECTION,
	COM_STMT_BULK_EXECUTE = 0xfa, /* MariaDB */
};

#define LAST_PREPARED 0xffffffffu /* MariaDB: the one prepared just before */

enum capability {
	CLIENT_CONNECT_WITH_DB = 1 << 3,
	CLIENT_COMPRESS = 1 << 5,
	CLIENT_SSL = 1 << 11,
	CLIENT_SECURE_CONNECTION = 1 << 15,
	CLIENT_PLUGIN_AUTH_LENENC = 1 << 21,
};

enum awaited { NOTHING, SCHEMA, STATEMENT };

struct fp_mysql {
	bool client_known, client_outgoing; /* which side the client is on */
	bool login; /* the greeting was seen, the client's answer not yet */
	bool server_compresses, compressed;
	bool lost; /* where the client's next packet begins is not known */
	bool handled; /* the packet at hand needs no more of its bytes */
	uint8_t header[HEADER];
	unsigned header_len;
	uint32_t remaining; /* bytes of the packet at hand still to come */
	struct fp_buffer packet; /* its first PACKET_MAX bytes */
	struct fp_buffer unpacked; /* compressed: what the frame at hand holds */
	enum awaited awaited; /* what the server's answer decides on */
	uint8_t reply[REPLY_MAX];
	unsigned reply_len;
	struct fp_sql_access access;
	uint32_t prepared; /* id that the server gave last */
};

struct fp_mysql *fp_mysql_new(void)
{
	return calloc(1, sizeof(struct fp_mysql));
}

struct fp_mysql *fp_mysql_free(struct fp_mysql *mysql)
{
	if (mysql) {
		fp_buffer_done(&mysql->packet);
		fp_buffer_done(&mysql->unpacked);
		fp_sql_access_done(&mysql->access);
	}
	free(mysql);
	return NULL;
}

/* --- recognising ----------------------------------------------------------- */

/* Length of the version text, 0 when this is no greeting. */
static size_t greeting_version(const uint8_t *data, size_t have, size_t total)
{
	const uint8_t *version = data + HEADER + 1, *end;

	if (have < 32 || fp_app_read_le(data, 3) + HEADER != total || data[3] != 0 || data[HEADER] != GREETING_VERSION)
		return 0;
	end = memchr(version, 0, have - HEADER - 1);
	if (!end || !isdigit(version[0]))
		return 0;
	for (const uint8_t *p = version; p < end; p++)
		if (!isprint(*p))
			return 0;
	return (size_t)(end - version);
}

/* Query attributes (MySQL 8): no parameters, one set of them. */
static struct fp_str statement_text(const uint8_t *payload, size_t len)
{
	if (len >= 2 && payload[0] == 0 && payload[1] == 1) {
		payload += 2;
		len -= 2;
	}
	return (struct fp_str){(const char *)payload, len};
}

static bool is_statement_packet(const uint8_t *data, size_t have)
{
	struct fp_str text;

	if (have < HEADER + 3 || fp_app_read_le(data, 3) < 3 || data[3] != 0)
		return false;
	if (data[HEADER] != COM_QUERY && data[HEADER] != COM_STMT_PREPARE)
		return false;
	text = statement_text(data + HEADER + 1, have - HEADER - 1);
	return fp_sql_begins(FP_SQL_MYSQL, text.data, text.len);
}

bool fp_mysql_begins(const struct fp_app_input *input)
{
	return greeting_version(input->data, input->have, input->total) ||
	       is_statement_packet(input->data, input->have);
}

/* --- what the server says -------------------------------------------------- */

static void read_greeting(struct fp_mysql *mysql, const struct fp_app_input *input)
{
	size_t version = greeting_version(input->data, input->have, input->total);
	/* behind the version: NUL, connection id 4, salt 8, filler 1, capabilities */
	size_t at = HEADER + 1 + version + 1 + 4 + 8 + 1;

	mysql->login = true;
	mysql->server_compresses = input->have >= at + 2 && fp_app_read_le(input->data + at, 2) & CLIENT_COMPRESS;
}

static struct fp_str key_of(const uint32_t *id)
{
	return (struct fp_str){(const char *)id, sizeof(*id)};
}

static void read_reply(struct fp_mysql *mysql)
{
	const uint8_t *reply = mysql->reply + HEADER;
	bool refused = reply[0] == 0xff;

	if (mysql->awaited == SCHEMA && refused)
		fp_sql_access_restore_schema(&mysql->access);
	if (mysql->awaited == STATEMENT && reply[0] == 0 && mysql->reply_len == REPLY_MAX) {
		mysql->prepared = fp_app_read_le(reply + 1, 4);
		fp_sql_access_keep(&mysql->access, key_of(&mysql->prepared));
	}
	mysql->awaited = NOTHING;
}

static void feed_server(struct fp_mysql *mysql, struct fp_app_input *input)
{
	size_t n = REPLY_MAX - mysql->reply_len;

	if (mysql->awaited == NOTHING)
		return;
	if (n > input->have)
		n = input->have;
	memcpy(mysql->reply + mysql->reply_len, input->data, n);
	mysql->reply_len += (unsigned)n;
	if (mysql->reply_len == REPLY_MAX)
		read_reply(mysql);
	else if (input->have < input->total)
		mysql->awaited = NOTHING;
}

/* --- what the client says -------------------------------------------------- */

static void await(struct fp_mysql *mysql, enum awaited what)
{
	mysql->awaited = what;
	mysql->reply_len = 0;
}

/* Steps over a NUL-terminated text; its length, or -1 when it does not end. */
static ssize_t skip_text(const uint8_t *data, size_t len, size_t *pos)
{
	const uint8_t *end = *pos < len ? memchr(data + *pos, 0, len - *pos) : NULL;
	ssize_t n;

	if (!end)
		return -1;
	n = end - (data + *pos);
	*pos += (size_t)n + 1;
	return n;
}

/* Answer to the greeting: user, proof, schema.  FP_APP_OVER: TLS begins. */
static enum fp_app_verdict read_login(struct fp_mysql *mysql, const uint8_t *data, size_t len)
{
	uint32_t capabilities = len >= 4 ? fp_app_read_le(data, 4) : 0;
	size_t pos = LOGIN_FIXED, schema;
	ssize_t n;

	mysql->login = false;
	if (capabilities & CLIENT_SSL && len == LOGIN_FIXED)
		return FP_APP_OVER;
	mysql->compressed = capabilities & CLIENT_COMPRESS && mysql->server_compresses;
	if (!(capabilities & CLIENT_CONNECT_WITH_DB) || skip_text(data, len, &pos) < 0 || pos >= len)
		return FP_APP_MINE;
	if (!(capabilities & (CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH_LENENC))) {
		skip_text(data, len, &pos);
	} else if (data[pos] < 0xfb) {
		pos += 1u + data[pos];
	} else {
		return FP_APP_MINE; /* a proof of more than 250 bytes */
	}
	schema = pos;
	n = skip_text(data, len, &pos);
	if (n > 0)
		fp_sql_access_set_schema(&mysql->access, (const char *)data + schema, (size_t)n);
	return FP_APP_MINE;
}

/* user NUL, proof with its length, schema NUL */
static void read_change_user(struct fp_mysql *mysql, const uint8_t *data, size_t len)
{
	size_t pos = 0, schema;
	ssize_t n;

	fp_sql_access_forget(&mysql->access, true);
	if (skip_text(data, len, &pos) < 0 || pos >= len)
		return;
	schema = pos + 1u + data[pos];
	pos = schema;
	n = skip_text(data, len, &pos);
	if (n > 0)
		fp_sql_access_set_schema(&mysql->access, (const char *)data + schema, (size_t)n);
}

/* The statement that a command names by its first four bytes. */
static uint32_t statement_id(const struct fp_mysql *mysql, const uint8_t *data)
{
	uint32_t id = fp_app_read_le(data, 4);

	return id == LAST_PREPARED ? mysql->prepared : id;
}

static void read_command(struct fp_mysql *mysql, struct fp_app_input *input, bool truncated)
{
	const uint8_t *data = (const uint8_t *)mysql->packet.data + 1;
	size_t len = mysql->packet.len - 1;
	struct fp_str text = statement_text(data, len);
	uint32_t id = len >= 4 ? statement_id(mysql, data) : 0;

	mysql->awaited = NOTHING;
	switch ((uint8_t)mysql->packet.data[0]) {
	case COM_INIT_DB:
		fp_sql_access_set_schema(&mysql->access, text.data, text.len);
		await(mysql, SCHEMA);
		break;
	case COM_QUERY:
		if (fp_sql_access_read(&mysql->access, text, truncated))
			await(mysql, SCHEMA);
		fp_sql_access_emit(&mysql->access, input);
		break;
	case COM_STMT_PREPARE:
		fp_sql_access_read(&mysql->access, text, truncated);
		await(mysql, STATEMENT);
		break;
	case COM_STMT_EXECUTE:
	case COM_STMT_BULK_EXECUTE:
		if (len >= 4)
			fp_sql_access_execute(&mysql->access, key_of(&id), input);
		break;
	case COM_STMT_CLOSE:
		if (len >= 4)
			fp_sql_access_close(&mysql->access, key_of(&id));
		break;
	case COM_BINLOG_DUMP:
	case COM_BINLOG_DUMP_GTID:
		fp_sql_access_unknown(&mysql->access, "BINLOG_DUMP");
		fp_sql_access_emit(&mysql->access, input);
		break;
	case COM_CHANGE_USER:
		read_change_user(mysql, data, len);
		break;
	case COM_RESET_CONNECTION:
		fp_sql_access_forget(&mysql->access, false);
		break;
	default:
		break;
	}
}

static enum fp_app_verdict read_packet(struct fp_mysql *mysql, struct fp_app_input *input, bool truncated)
{
	uint8_t number = mysql->header[3];

	if (mysql->handled || mysql->packet.len == 0)
		return FP_APP_MINE;
	mysql->handled = true;
	if (mysql->packet.failed) {
		input->error = -ENOMEM;
		return FP_APP_MINE;
	}
	if (number == 1 && mysql->login)
		return read_login(mysql, (const uint8_t *)mysql->packet.data, mysql->packet.len);
	/* further numbers: proofs, contents of LOAD DATA LOCAL, the rest of a packet of 16 MiB */
	if (number == 0)
		read_command(mysql, input, truncated);
	return FP_APP_MINE;
}

static void begin_packet(struct fp_mysql *mysql)
{
	mysql->remaining = fp_app_read_le(mysql->header, 3);
	mysql->handled = false;
	fp_buffer_clear(&mysql->packet);
	if (mysql->remaining == 0)
		mysql->header_len = 0;
}

/* Takes bytes of the packet at hand, or of its header; the number taken. */
static size_t take(struct fp_mysql *mysql, const uint8_t *data, size_t len)
{
	size_t n, keep;

	if (mysql->header_len < HEADER) {
		mysql->header[mysql->header_len++] = data[0];
		if (mysql->header_len == HEADER)
			begin_packet(mysql);
		return 1;
	}
	n = len < mysql->remaining ? len : mysql->remaining;
	keep = PACKET_MAX - mysql->packet.len;
	fp_buffer_add(&mysql->packet, data, n < keep ? n : keep);
	mysql->remaining -= (uint32_t)n;
	return n;
}

static void reset_framing(struct fp_mysql *mysql)
{
	mysql->header_len = 0;
	mysql->remaining = 0;
	mysql->lost = false;
}

/* The capture ended; `missing` more bytes were sent. */
static enum fp_app_verdict step_over_hole(struct fp_mysql *mysql, struct fp_app_input *input, size_t missing)
{
	enum fp_app_verdict verdict = FP_APP_MINE;

	if (mysql->remaining > 0)
		verdict = read_packet(mysql, input, true);
	if (missing > mysql->remaining) {
		mysql->lost = true;
		return verdict;
	}
	mysql->remaining -= (uint32_t)missing;
	if (mysql->remaining == 0)
		mysql->header_len = 0;
	return verdict;
}

static enum fp_app_verdict feed_client(struct fp_mysql *mysql, struct fp_app_input *input)
{
	enum fp_app_verdict verdict = FP_APP_MINE;

	/* once the server has answered a whole statement begins a packet, whatever lengths were claimed before */
	if (input->turn && is_statement_packet(input->data, input->have))
		reset_framing(mysql);
	if (mysql->lost)
		return FP_APP_MINE;
	for (size_t pos = 0; pos < input->have && verdict == FP_APP_MINE;) {
		pos += take(mysql, input->data + pos, input->have - pos);
		if (mysql->header_len == HEADER && mysql->remaining == 0) {
			verdict = read_packet(mysql, input, mysql->packet.len == PACKET_MAX);
			mysql->header_len = 0;
		}
	}
	if (input->have < input->total && verdict == FP_APP_MINE)
		verdict = step_over_hole(mysql, input, input->total - input->have);
	return verdict;
}

static enum fp_app_verdict feed_either(struct fp_mysql *mysql, struct fp_app_input *input)
{
	if (input->outgoing == mysql->client_outgoing)
		return feed_client(mysql, input);
	feed_server(mysql, input);
	return FP_APP_MINE;
}

/*
 * Frames are read at the beginning of a turn, where a command or its answer
 * begins.  Of what cannot be unpacked is known that a command was sent.
 */
static enum fp_app_verdict feed_compressed(struct fp_mysql *mysql, struct fp_app_input *input)
{
	bool client = input->outgoing == mysql->client_outgoing;
	struct fp_app_input inner = *input;
	enum fp_app_verdict verdict;
	int r;

	/* frames with another number than 0 are still the login's, and plain */
	if (!input->turn || (client && input->have > 3 && input->data[3] != 0))
		return FP_APP_MINE;
	r = fp_mysql_unpack(input, &mysql->unpacked, &inner.total);
	if (r == -ENOMEM) {
		input->error = r;
		return FP_APP_MINE;
	}
	if (r < 0 && client) {
		fp_sql_access_unknown(&mysql->access, FP_APP_NAME_UNKNOWN);
		fp_sql_access_emit(&mysql->access, input);
	}
	if (r < 0)
		return FP_APP_MINE;
	inner.data = (const uint8_t *)mysql->unpacked.data;
	inner.have = mysql->unpacked.len;
	reset_framing(mysql);
	verdict = feed_either(mysql, &inner);
	input->count = inner.count;
	input->error = inner.error;
	return verdict;
}

enum fp_app_verdict fp_mysql_feed(struct fp_mysql *mysql, struct fp_app_input *input)
{
	bool greets = greeting_version(input->data, input->have, input->total) > 0;

	if (!mysql->client_known) {
		mysql->client_known = true;
		mysql->client_outgoing = input->outgoing != greets;
		if (greets) {
			read_greeting(mysql, input);
			return FP_APP_MINE;
		}
	}
	return mysql->compressed ? feed_compressed(mysql, input) : feed_either(mysql, input);
}
