#include "agent/messages.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/app/app.h"
#include "agent/app/dns.h"
#include "agent/redact/redact.h"
#include "base/buffer.h"

struct connection {
	uint64_t ino;
	bool is_dns;
	union {
		struct fp_app_connection app;
		struct fp_dns_stream *dns; /* over TCP: received, sent; over UDP NULL */
	};
	UT_hash_handle hh;
};

struct address {
	uint64_t cgroup, hi, lo;
};

struct name {
	struct address address;
	size_t len;
	UT_hash_handle hh;
	char text[];
};

struct fp_messages {
	fp_event_fn fn;
	void *arg;
	struct connection *connections;
	struct name *names;
	struct fp_buffer text; /* redacted strings of the event at hand */
	uint64_t count;
};

/* What the parsers' callbacks get. */
struct occasion {
	struct fp_messages *messages;
	const struct fp_event *event;
};

int fp_messages_new(fp_event_fn fn, void *arg, struct fp_messages **ret_messages)
{
	struct fp_messages *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->fn = fn;
	m->arg = arg;
	*ret_messages = m;
	return 0;
}

static void forget_connection(struct fp_messages *m, struct connection *connection)
{
	HASH_DEL(m->connections, connection);
	if (connection->is_dns)
		free(connection->dns);
	else
		fp_app_connection_done(&connection->app);
	free(connection);
}

static void forget_name(struct fp_messages *m, struct name *name)
{
	HASH_DEL(m->names, name);
	free(name);
}

struct fp_messages *fp_messages_free(struct fp_messages *m)
{
	if (!m)
		return NULL;
	while (m->connections)
		forget_connection(m, m->connections);
	while (m->names)
		forget_name(m, m->names);
	fp_buffer_done(&m->text);
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

static int hand_on_lookup(const struct occasion *occasion, struct fp_str text, uint64_t hi, uint64_t lo)
{
	struct fp_event event = *occasion->event;

	event.type = FP_EVENT_TYPE_LOOKUP;
	event.host_name = text;
	event.remote_hi = hi;
	event.remote_lo = lo;
	return occasion->messages->fn(occasion->messages->arg, &event);
}

static int learn_name(void *arg, struct fp_str text, uint64_t hi, uint64_t lo)
{
	struct occasion *occasion = arg;
	struct fp_messages *m = occasion->messages;
	struct address address = {occasion->event->cgroup, hi, lo};
	struct name *known = find_name(m, &address), *name;

	if (known && known->len == text.len && memcmp(known->text, text.data, text.len) == 0)
		return 0;
	name = calloc(1, sizeof(*name) + text.len);
	if (!name)
		return -ENOMEM;
	if (known)
		forget_name(m, known);
	if (HASH_COUNT(m->names) >= FP_MESSAGES_NAMES_MAX)
		forget_name(m, m->names);
	name->address = address;
	name->len = text.len;
	memcpy(name->text, text.data, text.len);
	HASH_ADD(hh, m->names, address, sizeof(name->address), name);
	return hand_on_lookup(occasion, text, hi, lo);
}

/* --- messages ----------------------------------------------------------------------- */

static struct fp_str redacted(struct fp_messages *m, struct fp_str text)
{
	size_t begin = m->text.len;

	if (text.len == 0 || fp_redact(&m->text, text.data, text.len, FP_REDACT_URL) < 0)
		return (struct fp_str){"", 0};
	return (struct fp_str){m->text.data + begin, m->text.len - begin};
}

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

static int hand_on(void *arg, const struct fp_app_message *message)
{
	struct occasion *occasion = arg;
	struct fp_messages *m = occasion->messages;
	struct fp_event event = *occasion->event;

	if (!is_news(message))
		return 0;
	fp_buffer_clear(&m->text);
	/* room for all at once, so that no string moves while the next is made */
	if (!fp_buffer_reserve(&m->text, 4 * (message->url.len + message->name.len) + 256))
		return -ENOMEM;
	event.type = FP_EVENT_TYPE_MESSAGE;
	event.app = message->app;
	event.direction = message->direction;
	event.method = message->method;
	event.host_name = message->host_name;
	event.url = redacted(m, message->url);
	event.name = redacted(m, message->name);
	event.status = (uint64_t)message->status;
	event.call_id = message->call_id;
	m->count++;
	return m->fn(m->arg, &event);
}

static bool is_dns(const struct fp_event *event)
{
	return event->remote_port == FP_DNS_PORT && (event->protocol == IPPROTO_UDP || event->protocol == IPPROTO_TCP);
}

static struct connection *connection_of(struct fp_messages *m, const struct fp_event *event)
{
	struct connection *connection;

	HASH_FIND(hh, m->connections, &event->ino, sizeof(event->ino), connection);
	if (connection)
		return connection;
	if (HASH_COUNT(m->connections) >= FP_MESSAGES_SOCKETS_MAX)
		forget_connection(m, m->connections);
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
	struct fp_dns_handlers handlers = {hand_on, learn_name, occasion};
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
	struct occasion occasion = {m, event};
	struct connection *connection;
	int r;

	if (event->payload.len == 0 || event->bytes == 0)
		return 0;
	if (event->protocol == IPPROTO_UDP)
		return is_dns(event) ? read_dns(NULL, event, &occasion) : 0;
	connection = connection_of(m, event);
	if (!connection)
		return -ENOMEM;
	if (connection->is_dns)
		r = read_dns(connection, event, &occasion);
	else
		r = fp_app_feed(&connection->app, event->type == FP_EVENT_TYPE_SEND, event->payload.data, event->payload.len,
				event->bytes, hand_on, &occasion);
	return r == -EINVAL || r > 0 ? 0 : r;
}

static void new_connection(struct fp_messages *m, uint64_t ino)
{
	struct connection *connection;

	HASH_FIND(hh, m->connections, &ino, sizeof(ino), connection);
	if (connection)
		forget_connection(m, connection);
}

int fp_messages_note(struct fp_messages *m, const struct fp_event *event)
{
	switch (event->type) {
	case FP_EVENT_TYPE_SOCKET:
	case FP_EVENT_TYPE_ACCEPT:
		new_connection(m, event->ino);
		return 0;
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RECEIVE:
		return read_payload(m, event);
	default:
		return 0;
	}
}
