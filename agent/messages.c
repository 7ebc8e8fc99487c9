#include "agent/messages.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/app/app.h"
#include "agent/app/dns.h"
#include "agent/bpf/shared.h"
#include "agent/hash.h"
#include "agent/plaintext.h"
#include "agent/redact/redact.h"
#include "base/buffer.h"

/* A parser of agent/app with its buffers, as most of them are. */
#define PARSER_SIZE 2048

struct connection {
	uint64_t ino;
	bool used; /* since it was last looked at for room */
	unsigned parsers; /* counted for it */
	bool is_dns;
	bool is_served; /* by the function to its watchdog: no news */
	union {
		struct fp_app_connection app;
		struct fp_dns_stream *dns; /* over TCP: received, sent; over UDP NULL */
	};
	struct fp_app_connection *plain; /* what is said within TLS; NULL: nothing was */
	UT_hash_handle hh;
};

struct address {
	uint64_t cgroup, hi, lo;
};

struct name {
	struct address address;
	bool used;
	size_t len;
	UT_hash_handle hh;
	char text[];
};

/* What was read of the event at hand: its own fields of a MESSAGE or LOOKUP. */
struct held {
	enum fp_event_type type;
	uint64_t app, direction, status, hi, lo;
	uint32_t at[6], len[6]; /* method, host_name, url, name, call_id, rows in `text` */
};

struct fp_messages {
	fp_own_event_fn fn;
	fp_messages_asked_fn asked;
	void *arg;
	struct held *held;
	size_t n_held, held_room;
	struct connection *connections;
	struct name *names;
	struct fp_plaintext *plaintext;
	struct fp_buffer text; /* redacted strings of the event at hand */
	struct fp_buffer url; /* its name, where that is written anew */
	uint64_t count;
	size_t n_parsers; /* of all connections */
	uint64_t forgotten[2]; /* connections, names */
};

/* What the parsers' callbacks get. */
struct occasion {
	struct fp_messages *messages;
	const struct fp_event *event;
	bool in_tls;
};

static int read_plaintext(void *arg, const struct fp_event *socket, bool outgoing, const void *data, size_t have,
			  size_t total);

int fp_messages_new(fp_own_event_fn fn, void *arg, struct fp_messages **ret_messages)
{
	struct fp_messages *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->fn = fn;
	m->arg = arg;
	if (fp_plaintext_new(read_plaintext, m, &m->plaintext) < 0) {
		free(m);
		return -ENOMEM;
	}
	*ret_messages = m;
	return 0;
}

static void forget_connection(struct fp_messages *m, struct connection *connection)
{
	HASH_DEL(m->connections, connection);
	m->n_parsers -= connection->parsers;
	if (connection->is_dns)
		free(connection->dns);
	else
		fp_app_connection_done(&connection->app);
	if (connection->plain)
		fp_app_connection_done(connection->plain);
	free(connection->plain);
	free(connection);
}

static void forget_name(struct fp_messages *m, struct name *name)
{
	HASH_DEL(m->names, name);
	free(name);
}

enum { CONNECTIONS, NAMES };

unsigned fp_messages_look(const void *owner, struct fp_bound *ret)
{
	const struct fp_messages *m = owner;

	ret[CONNECTIONS] = fp_bound_of("connections", HASH_COUNT(m->connections), sizeof(*m->connections),
				       m->forgotten[CONNECTIONS]);
	ret[CONNECTIONS].bytes += m->n_parsers * PARSER_SIZE;
	ret[NAMES] = fp_bound_of("addresses", HASH_COUNT(m->names), sizeof(*m->names) + 32, m->forgotten[NAMES]);
	return 2 + fp_plaintext_look(m->plaintext, ret + 2);
}

void fp_messages_forget(void *owner, unsigned table)
{
	struct connection *connection;
	struct fp_messages *m = owner;
	struct name *name;

	if (table == CONNECTIONS) {
		FP_BOUND_OLDEST(m->connections, connection, &connection->ino, sizeof(connection->ino))
		forget_connection(m, connection);
	} else if (table == NAMES) {
		FP_BOUND_OLDEST(m->names, name, &name->address, sizeof(name->address))
		forget_name(m, name);
	} else {
		fp_plaintext_forget(m->plaintext, table - 2);
		return;
	}
	m->forgotten[table]++;
}

/* To be called when the connection's parsers may have been made or freed. */
static void count_parsers(struct fp_messages *m, struct connection *connection)
{
	unsigned n = connection->is_dns || connection->app.parser ? 1 : 0;

	n += connection->plain && connection->plain->parser ? 1 : 0;
	m->n_parsers += n - connection->parsers;
	connection->parsers = n;
}

struct fp_messages *fp_messages_free(struct fp_messages *m)
{
	if (!m)
		return NULL;
	while (m->connections)
		forget_connection(m, m->connections);
	while (m->names)
		forget_name(m, m->names);
	fp_plaintext_free(m->plaintext);
	fp_buffer_done(&m->text);
	fp_buffer_done(&m->url);
	free(m->held);
	free(m);
	return NULL;
}

uint64_t fp_messages_count(const struct fp_messages *m)
{
	return m->count;
}

/* --- names of addresses ------------------------------------------------------------- */

static struct name *find_name(const struct fp_messages *m, const struct address *address)
{
	struct name *name;

	HASH_FIND(hh, m->names, address, sizeof(*address), name);
	return name;
}

static struct held *hold(struct fp_messages *m, enum fp_event_type type)
{
	if (m->n_held == m->held_room) {
		size_t room = m->held_room ? 2 * m->held_room : 8;
		struct held *grown = realloc(m->held, room * sizeof(*grown));

		if (!grown)
			return NULL;
		m->held = grown;
		m->held_room = room;
	}
	m->held[m->n_held] = (struct held){.type = type};
	return &m->held[m->n_held++];
}

enum { METHOD, HOST_NAME, URL, NAME, CALL_ID, ROWS };

static void hold_text(struct fp_messages *m, struct held *held, int which, struct fp_str text)
{
	held->at[which] = (uint32_t)m->text.len;
	fp_buffer_add(&m->text, text.len ? text.data : "", text.len);
	held->len[which] = (uint32_t)m->text.len - held->at[which];
}

static void hold_redacted(struct fp_messages *m, struct held *held, int which, struct fp_str text)
{
	held->at[which] = (uint32_t)m->text.len;
	if (text.len && fp_redact(&m->text, text.data, text.len, FP_REDACT_URL) >= 0)
		held->len[which] = (uint32_t)m->text.len - held->at[which];
}

static int hold_lookup(struct fp_messages *m, struct fp_str text, uint64_t hi, uint64_t lo)
{
	struct held *held = hold(m, FP_EVENT_TYPE_LOOKUP);

	if (!held)
		return -ENOMEM;
	held->hi = hi;
	held->lo = lo;
	hold_redacted(m, held, HOST_NAME, text);
	return fp_buffer_error(&m->text);
}

static int learn_name(void *arg, struct fp_str text, uint64_t hi, uint64_t lo)
{
	struct occasion *occasion = arg;
	struct fp_messages *m = occasion->messages;
	struct address address = {occasion->event->cgroup, hi, lo};
	struct name *known = find_name(m, &address), *name;

	if (known && known->len == text.len && memcmp(known->text, text.data, text.len) == 0) {
		known->used = true;
		return 0;
	}
	name = calloc(1, sizeof(*name) + text.len);
	if (!name)
		return -ENOMEM;
	if (known)
		forget_name(m, known);
	if (HASH_COUNT(m->names) >= FP_MESSAGES_NAMES_MAX)
		fp_messages_forget(m, NAMES);
	name->address = address;
	name->len = text.len;
	memcpy(name->text, text.data, text.len);
	HASH_ADD(hh, m->names, address, sizeof(name->address), name);
	return hold_lookup(m, text, hi, lo);
}

/* --- messages ----------------------------------------------------------------------- */

/*
 * What a function is asked is known from its invocation; what it asks others is
 * news, and of what they answer the id that the gateway gave the call.
 */
static bool is_news(const struct fp_app_message *message)
{
	if (message->app == FP_APP_HTTP_RESPONSE)
		return !message->outgoing && message->call_id.len > 0;
	return message->outgoing && (message->app != FP_APP_SQL || message->name.len > 0);
}

static int tell_asked(struct occasion *occasion, const struct fp_app_message *message)
{
	struct fp_messages *m = occasion->messages;
	const struct fp_asked asked = {message->call_id, message->traceparent, message->method, message->url,
				       message->forwarded};

	return m->asked && message->app == FP_APP_HTTP_REQUEST ? m->asked(m->arg, occasion->event, &asked) : 0;
}

/* http://host:443/x that was said within TLS is https://host/x. */
static struct fp_str as_https(struct fp_messages *m, struct fp_str name)
{
	static const char plain[] = "http://", port[] = ":443";
	size_t skip = sizeof(plain) - 1, host = skip, port_len = sizeof(port) - 1;

	if (name.len < skip || memcmp(name.data, plain, skip) != 0)
		return name;
	while (host < name.len && name.data[host] != '/')
		host++;
	fp_buffer_clear(&m->url);
	fp_buffer_add_text(&m->url, "https://");
	if (host - skip > port_len && memcmp(name.data + host - port_len, port, port_len) == 0)
		fp_buffer_add(&m->url, name.data + skip, host - port_len - skip);
	else
		fp_buffer_add(&m->url, name.data + skip, host - skip);
	fp_buffer_add(&m->url, name.data + host, name.len - host);
	return m->url.failed ? name : (struct fp_str){m->url.data, m->url.len};
}

static int hold_message(void *arg, const struct fp_app_message *message)
{
	struct occasion *occasion = arg;
	struct fp_messages *m = occasion->messages;
	struct held *held;
	bool as_url = occasion->in_tls && message->app == FP_APP_HTTP_REQUEST;
	int r = occasion->in_tls ? 0 : tell_asked(occasion, message);

	if (r < 0 || !is_news(message))
		return r;
	held = hold(m, FP_EVENT_TYPE_MESSAGE);
	if (!held)
		return -ENOMEM;
	held->app = message->app;
	held->direction = message->direction;
	held->status = (uint64_t)message->status;
	hold_text(m, held, METHOD, message->method);
	hold_redacted(m, held, HOST_NAME, message->host_name);
	hold_redacted(m, held, URL, message->url);
	hold_redacted(m, held, NAME, as_url ? as_https(m, message->name) : message->name);
	hold_text(m, held, CALL_ID, message->call_id);
	hold_text(m, held, ROWS, message->rows);
	return fp_buffer_error(&m->text);
}

static bool is_dns(const struct fp_event *event)
{
	return event->remote_port == FP_DNS_PORT && (event->protocol == IPPROTO_UDP || event->protocol == IPPROTO_TCP);
}

static struct connection *connection_of(struct fp_messages *m, const struct fp_event *event)
{
	struct connection *connection;

	HASH_FIND(hh, m->connections, &event->ino, sizeof(event->ino), connection);
	if (connection) {
		connection->used = true;
		return connection;
	}
	if (HASH_COUNT(m->connections) >= FP_MESSAGES_SOCKETS_MAX)
		fp_messages_forget(m, CONNECTIONS);
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return NULL;
	connection->ino = event->ino;
	connection->is_dns = is_dns(event);
	if (connection->is_dns) {
		connection->dns = calloc(2, sizeof(*connection->dns));
		if (!connection->dns) {
			free(connection);
			return NULL;
		}
	} else {
		fp_app_connection_init(&connection->app);
	}
	HASH_ADD(hh, m->connections, ino, sizeof(connection->ino), connection);
	return connection;
}

static int read_dns(struct connection *connection, const struct fp_event *event, struct occasion *occasion)
{
	struct fp_dns_handlers handlers = {hold_message, learn_name, occasion};
	bool outgoing = event->type == FP_EVENT_TYPE_SEND;
	int r;

	if (connection)
		r = fp_dns_feed(&connection->dns[outgoing], outgoing, event->payload.data, event->payload.len, event->bytes,
				&handlers);
	else
		r = fp_dns_read(outgoing, event->payload.data, event->payload.len, event->bytes, &handlers);
	return r == -EBADMSG ? 0 : r;
}

static int read_payload(struct fp_messages *m, const struct fp_event *event)
{
	struct occasion occasion = {m, event, false};
	struct connection *connection;
	int r;

	if (event->payload.len == 0 || event->bytes == 0)
		return 0;
	if (event->protocol == IPPROTO_UDP)
		return is_dns(event) ? read_dns(NULL, event, &occasion) : 0;
	connection = connection_of(m, event);
	if (!connection)
		return -ENOMEM;
	if (connection->is_served)
		return 0;
	if (connection->is_dns)
		r = read_dns(connection, event, &occasion);
	else
		r = fp_app_feed(&connection->app, event->type == FP_EVENT_TYPE_SEND, event->payload.data, event->payload.len,
				event->bytes, hold_message, &occasion);
	count_parsers(m, connection);
	if (r < 0 && r != -EINVAL)
		return r;
	return connection->is_dns ? 0 : fp_app_take_answered(&connection->app);
}

static void new_connection(struct fp_messages *m, uint64_t ino)
{
	struct connection *connection;

	HASH_FIND(hh, m->connections, &ino, sizeof(ino), connection);
	if (connection)
		forget_connection(m, connection);
}

void fp_messages_served(struct fp_messages *m, const struct fp_event *event)
{
	struct connection *connection;

	HASH_FIND(hh, m->connections, &event->ino, sizeof(event->ino), connection);
	if (connection)
		connection->is_served = true;
}

void fp_messages_set_asked(struct fp_messages *m, fp_messages_asked_fn fn)
{
	m->asked = fn;
}

int fp_messages_read(struct fp_messages *m, const struct fp_event *event)
{
	m->n_held = 0;
	switch (event->type) {
	case FP_EVENT_TYPE_SOCKET:
	case FP_EVENT_TYPE_ACCEPT:
		new_connection(m, event->ino);
		return 0;
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RECEIVE:
		if (event->type == FP_EVENT_TYPE_RECEIVE && event->flags & FP_RECEIVE_PEEKED)
			return 0; /* comes once more */
		fp_buffer_clear(&m->text);
		return read_payload(m, event);
	default:
		return 0;
	}
}

int fp_messages_next_answer(struct fp_messages *m, const struct fp_event *event)
{
	struct connection *connection;

	HASH_FIND(hh, m->connections, &event->ino, sizeof(event->ino), connection);
	return connection && !connection->is_dns ? fp_app_take_answered(&connection->app) : 0;
}

static struct fp_str text_of(const struct fp_messages *m, const struct held *held, int which)
{
	return (struct fp_str){held->len[which] ? m->text.data + held->at[which] : "", held->len[which]};
}

static int hand_on_held(struct fp_messages *m, const struct fp_event *of)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < m->n_held; i++) {
		const struct held *held = &m->held[i];
		struct fp_event event = *of;

		event.type = held->type;
		event.host_name = text_of(m, held, HOST_NAME);
		if (held->type == FP_EVENT_TYPE_LOOKUP) {
			event.remote_hi = held->hi;
			event.remote_lo = held->lo;
		} else {
			event.app = held->app;
			event.direction = held->direction;
			event.status = held->status;
			event.method = text_of(m, held, METHOD);
			event.url = text_of(m, held, URL);
			event.name = text_of(m, held, NAME);
			event.call_id = text_of(m, held, CALL_ID);
			event.rows = text_of(m, held, ROWS);
			m->count++;
		}
		r = m->fn(m->arg, &event);
	}
	m->n_held = 0;
	return r;
}

/* --- within TLS --------------------------------------------------------------------- */

static int read_plaintext(void *arg, const struct fp_event *socket, bool outgoing, const void *data, size_t have,
			  size_t total)
{
	struct fp_messages *m = arg;
	struct occasion occasion = {m, socket, true};
	struct connection *connection;
	int r;

	HASH_FIND(hh, m->connections, &socket->ino, sizeof(socket->ino), connection);
	if (!connection || connection->is_dns)
		return 0;
	if (!connection->plain) {
		connection->plain = malloc(sizeof(*connection->plain));
		if (!connection->plain)
			return -ENOMEM;
		fp_app_connection_init(connection->plain);
	}
	fp_buffer_clear(&m->text);
	r = fp_app_feed(connection->plain, outgoing, data, have, total, hold_message, &occasion);
	count_parsers(m, connection);
	return r < 0 && r != -EINVAL ? r : hand_on_held(m, socket);
}

/* Could the bytes be what a TLS library made? */
static bool may_be_encrypted(const struct fp_messages *m, const struct fp_event *event)
{
	struct connection *connection;
	enum fp_app_secrecy secrecy;

	if (event->protocol != IPPROTO_TCP || event->bytes == 0)
		return false;
	HASH_FIND(hh, m->connections, &event->ino, sizeof(event->ino), connection);
	if (!connection || connection->is_dns)
		return false;
	secrecy = fp_app_connection_secrecy(&connection->app);
	return secrecy == FP_APP_ENCRYPTED || (secrecy == FP_APP_UNRECOGNISED && fp_plaintext_is_used(m->plaintext));
}

int fp_messages_hand_on(struct fp_messages *m, const struct fp_event *event)
{
	int r = hand_on_held(m, event);

	if (r < 0)
		return r;
	switch (event->type) {
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RECEIVE:
		return may_be_encrypted(m, event) ? fp_plaintext_moved(m->plaintext, event) : 0;
	case FP_EVENT_TYPE_PLAIN:
		return fp_plaintext_note(m->plaintext, event);
	default:
		return 0;
	}
}

int fp_messages_note(struct fp_messages *m, const struct fp_event *event)
{
	int r = fp_messages_read(m, event);

	return r < 0 ? r : fp_messages_hand_on(m, event);
}
