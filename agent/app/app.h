/*
 * What is said on a TCP connection: recognises HTTP/1.x, MySQL/MariaDB,
 * PostgreSQL, Redis, SMTP, TLS and (without reading it) HTTP/2 from the first bytes of each send and receive,
 * and hands on one message for each request, response, table of a statement, key
 * of a command, recipient of a mail, or beginning of encryption (DNS: dns.h).
 * The agent feeds it; it does no I/O, keeps no bodies, and never hands on a
 * literal or parameter of a statement (but twelve bits of a digest: sql_rows.h).
 *
 * What it is fed is not whole: of `total` bytes moved only the first `have` are
 * there, and the recording may have begun in the middle of the connection.
 * So the rules are: follow lengths (Content-Length, chunks, packet lengths) as
 * long as they can be followed; where they cannot, believe a message to begin
 * only at the first bytes after the peer has spoken, and only when they are
 * well formed; recognise nothing otherwise.  A body that looks like a request
 * is therefore not taken for one.
 *
 * Life cycle: init, feed in the order of the bytes, done.  A connection costs
 * 24 bytes until a protocol is recognised.
 */
#ifndef FP_AGENT_APP_APP_H
#define FP_AGENT_APP_APP_H

#include "schema/schema.h"

/* What stands in `name` when a statement was cut before its table, or could not be read. */
#define FP_APP_NAME_UNKNOWN "?"

struct fp_app_message {
	enum fp_app app;
	bool outgoing; /* as it was fed */
	/*
	 * 0: the object flows to who asks (GET, SELECT), 1: from it (POST, INSERT).
	 * Who asks is the sender of an HTTP request, of a statement or command.
	 */
	unsigned direction;
	bool truncated; /* the capture ended inside: fields may be missing or cut */
	int status; /* HTTP response; 0 otherwise */
	struct fp_str method; /* HTTP method of the request; verb of the statement; Redis command; type of a DNS question */
	struct fp_str host_name; /* HTTP Host; TLS server name */
	struct fp_str url; /* request target as sent; for an absolute target its path.  Mail: the sender */
	/*
	 * HTTP request: http://<host>/<path> without the query, empty when no host is named.
	 * SQL: <schema>.<table>, or <table> while the schema is not known; empty for a
	 * statement without one; FP_APP_NAME_UNKNOWN.  TLS: the server name.
	 * Redis: <database>/<key>, <database>/ and a star for all of it, channel/<name>,
	 * config/<setting>; bytes that are no plain text as \xNN.  Mail: the recipient.
	 * DNS: what is asked for.
	 */
	struct fp_str name;
	struct fp_str rows; /* SQL: which rows of the table, as sql_rows.h tells; empty: not known */
	struct fp_str call_id; /* X-Call-Id */
	struct fp_str forwarded; /* X-Forwarded-For */
	struct fp_str traceparent; /* W3C traceparent */
};

/* The message and its strings live during the call.  Non-zero stops and is given back by feed. */
typedef int (*fp_app_message_fn)(void *arg, const struct fp_app_message *message);

struct fp_http;
struct fp_mysql;
struct fp_pgsql;
struct fp_redis;
struct fp_smtp;

struct fp_app_connection {
	uint8_t protocol; /* private: enum protocol of app.c */
	uint8_t spoken; /* private: who spoke last */
	union {
		struct fp_http *http;
		struct fp_mysql *mysql;
		struct fp_pgsql *pgsql;
		struct fp_redis *redis;
		struct fp_smtp *smtp;
		const void *parser; /* any of them */
	};
};

/* Has an answer that was sent here come to its end since this was last asked?  Then its status, else 0. */
int fp_app_take_answered(struct fp_app_connection *connection);

void fp_app_connection_init(struct fp_app_connection *connection);
void fp_app_connection_done(struct fp_app_connection *connection);

enum fp_app_secrecy { FP_APP_READABLE, FP_APP_UNRECOGNISED, FP_APP_ENCRYPTED };
enum fp_app_secrecy fp_app_connection_secrecy(const struct fp_app_connection *connection);

/*
 * `data` holds the first `have` of `total` bytes that one call moved; have may
 * be 0.  The number of messages handed on, -EINVAL when have > total, -ENOMEM,
 * or what fn returned.  The connection stays usable after any of them.
 */
int fp_app_feed(struct fp_app_connection *connection, bool outgoing, const void *data, size_t have, size_t total,
		fp_app_message_fn fn, void *arg);

#endif
