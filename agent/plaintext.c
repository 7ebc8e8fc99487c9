#include "agent/plaintext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/hash.h"

#define PAYLOAD_MAX 512

/* A SEND or RECEIVE that is over, kept with what attribution said of it. */
struct moved {
	struct fp_event event;
	char *names; /* what event.request and event.candidates point to */
};

struct session_key {
	uint64_t tgid, process_start, session;
};

struct session {
	struct session_key key;
	struct session_key socket; /* the same process, and the inode in the session's place; 0: not known */
	struct thread *thread; /* that has written and not sent yet; NULL: none */
	size_t have, total;
	char data[PAYLOAD_MAX];
	struct moved last; /* on its socket */
	struct session *prev, *next; /* of those that wait for the same thread */
	UT_hash_handle hh, by_socket;
};

struct thread_key {
	uint64_t tid, process_start;
};

struct thread {
	struct thread_key key;
	struct moved moved[2]; /* last received, last sent; by bytes that go [outgoing] */
	uint64_t turn; /* when it received */
	struct session *waiting; /* hardly ever more than one */
	UT_hash_handle hh;
};

struct fp_plaintext {
	fp_plaintext_fn fn;
	void *arg;
	struct session *sessions, *bound; /* by session, by socket */
	struct thread *threads;
	struct fp_plaintext_stats stats;
	uint64_t forgotten[2]; /* sessions, threads */
};

int fp_plaintext_new(fp_plaintext_fn fn, void *arg, struct fp_plaintext **ret_plaintext)
{
	struct fp_plaintext *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->fn = fn;
	p->arg = arg;
	*ret_plaintext = p;
	return 0;
}

static void unbind(struct fp_plaintext *p, struct session *session)
{
	if (!session->socket.session)
		return;
	HASH_DELETE(by_socket, p->bound, session);
	session->socket.session = 0;
}

static void stop_waiting(struct session *session)
{
	if (!session->thread)
		return;
	DL_DELETE(session->thread->waiting, session);
	session->thread = NULL;
}

static void forget_session(struct fp_plaintext *p, struct session *session)
{
	stop_waiting(session);
	unbind(p, session);
	HASH_DEL(p->sessions, session);
	free(session->last.names);
	free(session);
}

static void forget_thread(struct fp_plaintext *p, struct thread *thread)
{
	while (thread->waiting) {
		stop_waiting(thread->waiting);
		p->stats.dropped++;
	}
	HASH_DEL(p->threads, thread);
	free(thread->moved[0].names);
	free(thread->moved[1].names);
	free(thread);
}

unsigned fp_plaintext_look(const void *owner, struct fp_bound *ret)
{
	const struct fp_plaintext *p = owner;

	ret[0] = fp_bound_of("tls_sessions", HASH_COUNT(p->sessions), sizeof(*p->sessions), p->forgotten[0]);
	ret[1] = fp_bound_of("tls_threads", HASH_COUNT(p->threads), sizeof(*p->threads), p->forgotten[1]);
	return 2;
}

void fp_plaintext_forget(void *owner, unsigned table)
{
	struct fp_plaintext *p = owner;

	p->forgotten[table]++;
	if (table == 0)
		forget_session(p, p->sessions);
	else
		forget_thread(p, p->threads);
}

struct fp_plaintext *fp_plaintext_free(struct fp_plaintext *p)
{
	if (!p)
		return NULL;
	while (p->sessions)
		forget_session(p, p->sessions);
	while (p->threads)
		forget_thread(p, p->threads);
	free(p);
	return NULL;
}

const struct fp_plaintext_stats *fp_plaintext_stats(const struct fp_plaintext *p)
{
	return &p->stats;
}

bool fp_plaintext_is_used(const struct fp_plaintext *p)
{
	return p->sessions != NULL;
}

/* --- what is kept ------------------------------------------------------------------- */

static int keep(struct moved *moved, const struct fp_event *event)
{
	size_t len = event->request.len + event->candidates.len;
	char *names = len ? malloc(len) : NULL;
	struct fp_str none = {NULL, 0};

	if (len && !names)
		return -ENOMEM;
	if (event->request.len)
		memcpy(names, event->request.data, event->request.len);
	if (event->candidates.len)
		memcpy(names + event->request.len, event->candidates.data, event->candidates.len);
	free(moved->names);
	moved->event = *event;
	moved->names = names;
	moved->event.payload = none;
	moved->event.request.data = names;
	moved->event.candidates.data = names ? names + event->request.len : NULL;
	return 0;
}

static struct thread *thread_of(struct fp_plaintext *p, const struct fp_event *event, bool make)
{
	struct thread_key key = {event->tid, event->process_start};
	struct thread *thread;

	HASH_FIND(hh, p->threads, &key, sizeof(key), thread);
	if (thread || !make)
		return thread;
	if (HASH_COUNT(p->threads) >= FP_PLAINTEXT_ENTRIES_MAX)
		fp_plaintext_forget(p, 1);
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->key = key;
	HASH_ADD(hh, p->threads, key, sizeof(thread->key), thread);
	return thread;
}

static struct session *session_of(struct fp_plaintext *p, const struct fp_event *event, bool make)
{
	struct session_key key = {event->tgid, event->process_start, event->session};
	struct session *session;

	HASH_FIND(hh, p->sessions, &key, sizeof(key), session);
	if (session || !make)
		return session;
	if (HASH_COUNT(p->sessions) >= FP_PLAINTEXT_ENTRIES_MAX)
		fp_plaintext_forget(p, 0);
	session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->key = key;
	HASH_ADD(hh, p->sessions, key, sizeof(session->key), session);
	return session;
}

/* --- binding ------------------------------------------------------------------------ */

static bool same_process(const struct session *session, const struct fp_event *event)
{
	return session->key.tgid == event->tgid && session->key.process_start == event->process_start;
}

static struct session *session_on(const struct fp_plaintext *p, const struct fp_event *socket)
{
	struct session_key key = {socket->tgid, socket->process_start, socket->ino};
	struct session *session;

	HASH_FIND(by_socket, p->bound, &key, sizeof(key), session);
	return session;
}

static int bind_to(struct fp_plaintext *p, struct session *session, const struct moved *moved)
{
	struct session *former = session_on(p, &moved->event);

	if (former != session) {
		if (former)
			unbind(p, former); /* the inode has become another socket's */
		unbind(p, session);
		session->socket = (struct session_key){moved->event.tgid, moved->event.process_start, moved->event.ino};
		HASH_ADD(by_socket, p->bound, socket, sizeof(session->socket), session);
	}
	return keep(&session->last, &moved->event);
}

static int deliver(struct fp_plaintext *p, const struct fp_event *socket, bool outgoing, const void *data, size_t have,
		   size_t total)
{
	p->stats.delivered++;
	return p->fn(p->arg, socket, outgoing, data, have, total);
}

/* The session whose plaintext the thread is about to send; NULL when there is none, or several could be it. */
static struct session *waiting(struct fp_plaintext *p, const struct thread *thread, const struct fp_event *socket)
{
	struct session *found = NULL;

	for (struct session *session = thread->waiting; session; session = session->next) {
		if (!same_process(session, socket))
			continue;
		if (session->socket.session == socket->ino)
			return session;
		if (session->socket.session)
			continue;
		if (found)
			return NULL;
		found = session;
	}
	return found && !session_on(p, socket) ? found : NULL;
}

int fp_plaintext_moved(struct fp_plaintext *p, const struct fp_event *event)
{
	bool outgoing = event->type == FP_EVENT_TYPE_SEND;
	struct thread *thread = thread_of(p, event, true);
	struct session *session;
	int r;

	if (!thread)
		return -ENOMEM;
	r = keep(&thread->moved[outgoing], event);
	if (r < 0)
		return r;
	if (!outgoing) {
		thread->turn = event->turn;
		return 0;
	}
	session = waiting(p, thread, event);
	if (!session)
		return 0;
	stop_waiting(session);
	r = bind_to(p, session, &thread->moved[outgoing]);
	return r < 0 ? r : deliver(p, &session->last.event, true, session->data, session->have, session->total);
}

/* Sent later, by the thread's next send; what is written until then is sent with it. */
static void wait_for_send(struct fp_plaintext *p, struct session *session, struct thread *thread, const struct fp_event *event)
{
	size_t have = event->payload.len, room;

	if (session->thread && session->thread != thread) {
		stop_waiting(session);
		p->stats.dropped++;
	}
	if (!session->thread) {
		session->thread = thread;
		DL_PREPEND(thread->waiting, session);
		session->have = session->total = 0;
	}
	room = session->have == session->total ? PAYLOAD_MAX - session->have : 0;
	have = have < room ? have : room;
	if (have)
		memcpy(session->data + session->have, event->payload.data, have);
	session->have += have;
	session->total += event->bytes;
}

int fp_plaintext_note(struct fp_plaintext *p, const struct fp_event *event)
{
	bool outgoing = event->direction != 0;
	struct session *session = session_of(p, event, event->bytes > 0);
	struct thread *thread = thread_of(p, event, outgoing && event->bytes > 0);
	const struct moved *moved = thread ? &thread->moved[outgoing] : NULL;
	int r = 0;

	if (event->bytes == 0) {
		if (session)
			forget_session(p, session);
		return 0;
	}
	if (!session || (outgoing && !thread))
		return -ENOMEM;
	if (moved && (!moved->event.ino || moved->event.time > event->time))
		moved = NULL;
	if (moved && moved->event.time >= event->entered) {
		r = bind_to(p, session, moved); /* inside */
	} else if (outgoing) {
		wait_for_send(p, session, thread, event);
		return 0;
	} else if (moved && thread->turn == event->turn && (session->socket.session == moved->event.ino ||
							    (!session->socket.session && !session_on(p, &moved->event)))) {
		r = bind_to(p, session, moved);
	} else if (!session->socket.session) {
		p->stats.dropped++;
		return 0;
	}
	return r < 0 ? r : deliver(p, &session->last.event, outgoing, event->payload.data, event->payload.len, event->bytes);
}
