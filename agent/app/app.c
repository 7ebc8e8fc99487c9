#include "agent/app/app.h"

#include <errno.h>
#include <string.h>

#include "agent/app/emit.h"
#include "agent/app/http.h"
#include "agent/app/mysql.h"
#include "agent/app/tls.h"

enum protocol { UNKNOWN, HTTP, MYSQL, ENCRYPTED };
enum spoken { NOBODY, OUTGOING, INCOMING };

void fp_app_connection_init(struct fp_app_connection *connection)
{
	memset(connection, 0, sizeof(*connection));
}

static void forget(struct fp_app_connection *connection)
{
	if (connection->protocol == HTTP)
		fp_http_free(connection->http);
	else if (connection->protocol == MYSQL)
		fp_mysql_free(connection->mysql);
	connection->protocol = UNKNOWN;
	connection->http = NULL;
}

void fp_app_connection_done(struct fp_app_connection *connection)
{
	forget(connection);
	connection->spoken = NOBODY;
}

static int recognise(struct fp_app_connection *connection, struct fp_app_input *input)
{
	if (fp_tls_feed(input) == FP_APP_MINE) {
		connection->protocol = ENCRYPTED;
	} else if (fp_mysql_begins(input)) {
		connection->mysql = fp_mysql_new();
		if (!connection->mysql)
			return -ENOMEM;
		connection->protocol = MYSQL;
	} else if (fp_http_begins(input)) {
		connection->http = fp_http_new();
		if (!connection->http)
			return -ENOMEM;
		connection->protocol = HTTP;
	}
	return 0;
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
	enum fp_app_verdict verdict = FP_APP_MINE;
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
	if (connection->protocol == HTTP)
		verdict = fp_http_feed(connection->http, &input);
	else if (connection->protocol == MYSQL)
		verdict = fp_mysql_feed(connection->mysql, &input);
	if (verdict != FP_APP_MINE)
		forget(connection);
	if (verdict == FP_APP_OVER)
		connection->spoken = NOBODY;
	return input.error ? input.error : input.count;
}
