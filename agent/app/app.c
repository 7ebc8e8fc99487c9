#include "agent/app/app.h"

#include <errno.h>
#include <string.h>

#include "agent/app/emit.h"
#include "agent/app/http.h"
#include "agent/app/mysql.h"
#include "agent/app/pgsql.h"
#include "agent/app/redis.h"
#include "agent/app/smtp.h"
#include "agent/app/tls.h"

enum protocol { UNKNOWN, HTTP, MYSQL, PGSQL, REDIS, SMTP, ENCRYPTED, HTTP2 };
enum spoken { NOBODY, OUTGOING, INCOMING };

void fp_app_connection_init(struct fp_app_connection *connection)
{
	memset(connection, 0, sizeof(*connection));
}

static void forget(struct fp_app_connection *connection)
{
	switch (connection->protocol) {
	case HTTP:
		fp_http_free(connection->http);
		break;
	case MYSQL:
		fp_mysql_free(connection->mysql);
		break;
	case PGSQL:
		fp_pgsql_free(connection->pgsql);
		break;
	case REDIS:
		fp_redis_free(connection->redis);
		break;
	case SMTP:
		fp_smtp_free(connection->smtp);
		break;
	default:
		break;
	}
	connection->protocol = UNKNOWN;
	connection->http = NULL;
}

void fp_app_connection_done(struct fp_app_connection *connection)
{
	forget(connection);
	connection->spoken = NOBODY;
}

enum fp_app_secrecy fp_app_connection_secrecy(const struct fp_app_connection *connection)
{
	return connection->protocol == ENCRYPTED ? FP_APP_ENCRYPTED :
	       connection->protocol == UNKNOWN	 ? FP_APP_UNRECOGNISED :
						   FP_APP_READABLE;
}

/* How each connection of HTTP/2 begins; its frames are not read, and must not be taken for anything else. */
static bool begins_http2(const struct fp_app_input *input)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	return input->have >= sizeof(preface) - 1 && memcmp(input->data, preface, sizeof(preface) - 1) == 0;
}

static void emit_http2(struct fp_app_input *input)
{
	const struct fp_app_message message = {.app = FP_APP_HTTP2, .outgoing = input->outgoing, .method = {"h2c", 3}};

	fp_app_emit(input, &message);
}

/* In an order such that what is certain comes before what is only possible. */
static int recognise(struct fp_app_connection *connection, struct fp_app_input *input)
{
	enum protocol protocol = UNKNOWN;

	if (fp_tls_feed(input) == FP_APP_MINE) {
		connection->protocol = ENCRYPTED;
		return 0;
	}
	if (begins_http2(input)) {
		connection->protocol = HTTP2;
		emit_http2(input);
		return 0;
	}
	if (fp_pgsql_begins(input)) {
		connection->pgsql = fp_pgsql_new();
		protocol = PGSQL;
	} else if (fp_mysql_begins(input)) {
		connection->mysql = fp_mysql_new();
		protocol = MYSQL;
	} else if (fp_redis_begins(input)) {
		connection->redis = fp_redis_new();
		protocol = REDIS;
	} else if (fp_smtp_begins(input)) {
		connection->smtp = fp_smtp_new();
		protocol = SMTP;
	} else if (fp_http_begins(input)) {
		connection->http = fp_http_new();
		protocol = HTTP;
	}
	if (protocol != UNKNOWN && !connection->parser)
		return -ENOMEM;
	connection->protocol = (uint8_t)protocol;
	return 0;
}

static enum fp_app_verdict feed(struct fp_app_connection *connection, struct fp_app_input *input)
{
	switch (connection->protocol) {
	case HTTP:
		return fp_http_feed(connection->http, input);
	case MYSQL:
		return fp_mysql_feed(connection->mysql, input);
	case PGSQL:
		return fp_pgsql_feed(connection->pgsql, input);
	case REDIS:
		return fp_redis_feed(connection->redis, input);
	case SMTP:
		return fp_smtp_feed(connection->smtp, input);
	default:
		return FP_APP_MINE;
	}
}

int fp_app_take_answered(struct fp_app_connection *connection)
{
	return connection->protocol == HTTP ? fp_http_take_answered(connection->http) : 0;
}

int fp_app_feed(struct fp_app_connection *connection, bool outgoing, const void *data, size_t have, size_t total,
		fp_app_message_fn fn, void *arg)
{
	enum spoken speaker = outgoing ? OUTGOING : INCOMING;
	struct fp_app_input input = {
		.data = data,
		.have = have,
		.total = total,
		.outgoing = outgoing,
		.turn = connection->spoken != speaker,
		.fn = fn,
		.arg = arg,
	};
	enum fp_app_verdict verdict;
	int r;

	if (have > total)
		return -EINVAL;
	if (total == 0)
		return 0;
	connection->spoken = (uint8_t)speaker;
	if (connection->protocol == UNKNOWN && input.turn) {
		r = recognise(connection, &input);
		if (r < 0)
			return r;
	}
	verdict = feed(connection, &input);
	if (verdict != FP_APP_MINE)
		forget(connection);
	if (verdict == FP_APP_OVER)
		connection->spoken = NOBODY;
	return input.error ? input.error : input.count;
}
