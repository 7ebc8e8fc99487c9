#include "wire/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define READ_SIZE 65536

/* A peer that is gone without a word is noticed by the system after this and some minutes. */
#define KEEPALIVE_SECONDS 60

struct fp_channel {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_shutdown_t shutdown;
	struct fp_channel_options options;
	struct fp_tls_session *tls;
	struct fp_parser parser;
	struct fp_buffer rest; /* arrived while paused, not parsed */
	bool accepted_side; /* connected from the start */
	bool opened, heard, paused, delivering, finishing, closing;
	unsigned handles; /* not yet closed */
	size_t queued;
	uint64_t since; /* when opening, or finishing, began; loop time */
	uint64_t since_message; /* when the partial message began */
	uint64_t since_write; /* when the system last took something */
	int error;
	char reason[200];
	char peer[160];
	uint8_t input[READ_SIZE], plain[READ_SIZE];
};

struct write {
	uv_write_t request;
	struct fp_channel *channel;
	size_t len;
	char data[];
};

static void on_handle_closed(uv_handle_t *handle)
{
	struct fp_channel *channel = handle->data;

	if (--channel->handles > 0)
		return;
	channel->options.calls->closed(channel->options.arg, channel->error, channel->reason);
	fp_tls_session_free(channel->tls);
	fp_parser_done(&channel->parser);
	fp_buffer_done(&channel->rest);
	free(channel);
}

static void fail(struct fp_channel *channel, int error, const char *reason)
{
	if (channel->closing)
		return;
	channel->closing = true;
	channel->error = error;
	snprintf(channel->reason, sizeof(channel->reason), "%s", reason);
	uv_close((uv_handle_t *)&channel->tcp, on_handle_closed);
	uv_close((uv_handle_t *)&channel->timer, on_handle_closed);
}

static void on_written(uv_write_t *request, int status)
{
	struct write *write = (struct write *)request;
	struct fp_channel *channel = write->channel;

	channel->queued -= write->len;
	channel->since_write = uv_now(channel->tcp.loop);
	free(write);
	if (status < 0)
		fail(channel, status, uv_strerror(status));
}

static int queue(struct fp_channel *channel, const char *data, size_t len)
{
	struct write *write;
	uv_buf_t buffer;
	int r;

	if (len == 0)
		return 0;
	write = malloc(sizeof(*write) + len);
	if (!write)
		return -ENOMEM;
	write->channel = channel;
	write->len = len;
	memcpy(write->data, data, len);
	buffer = uv_buf_init(write->data, (unsigned)len);
	r = uv_write(&write->request, (uv_stream_t *)&channel->tcp, &buffer, 1, on_written);
	if (r < 0) {
		free(write);
		return r;
	}
	if (channel->queued == 0)
		channel->since_write = uv_now(channel->tcp.loop);
	channel->queued += len;
	return 0;
}

/* Sends what TLS has made ready. */
static int flush_tls(struct fp_channel *channel)
{
	struct fp_buffer cipher = FP_BUFFER_INIT;
	int r;

	fp_tls_session_output(channel->tls, &cipher);
	r = fp_buffer_error(&cipher);
	if (r == 0)
		r = queue(channel, cipher.data, cipher.len);
	fp_buffer_done(&cipher);
	return r;
}

/* Parses and hands out messages until the bytes end or somebody says stop; how many bytes were taken. */
static size_t deliver(struct fp_channel *channel, const uint8_t *data, size_t len)
{
	size_t taken = 0;

	channel->delivering = true;
	while (taken < len && !channel->paused && !channel->closing && !channel->finishing) {
		bool was_partial = fp_parser_partial(&channel->parser), whole;
		struct fp_message message;
		ssize_t n = fp_parser_feed(&channel->parser, data + taken, len - taken, &message, &whole);
		int r;

		if (n < 0) {
			fail(channel, (int)n,
			     n == -EPROTO ? "it speaks another version of the protocol" : "it does not speak the protocol");
			break;
		}
		taken += (size_t)n;
		if (!whole) {
			if (!was_partial)
				channel->since_message = uv_now(channel->tcp.loop);
			continue;
		}
		channel->heard = true;
		r = channel->options.calls->message(channel->options.arg, &message);
		if (r < 0)
			fail(channel, r, "the message was not acceptable");
	}
	channel->delivering = false;
	return taken;
}

static void take_plain(struct fp_channel *channel, const uint8_t *data, size_t len)
{
	size_t taken = channel->rest.len ? 0 : deliver(channel, data, len);

	if (channel->closing || channel->finishing || taken == len)
		return;
	fp_buffer_add(&channel->rest, data + taken, len - taken);
	if (channel->rest.failed)
		fail(channel, -ENOMEM, "out of memory");
}

static void become_open(struct fp_channel *channel)
{
	channel->opened = true;
	if (channel->tls) {
		size_t len = strlen(channel->peer);

		snprintf(channel->peer + len, sizeof(channel->peer) - len, " (%s)", fp_tls_session_peer(channel->tls));
	}
	channel->options.calls->open(channel->options.arg);
}

/* Takes from TLS what there is. */
static void pump_tls(struct fp_channel *channel)
{
	int r;

	if (!channel->opened) {
		r = fp_tls_session_handshake(channel->tls);
		if (flush_tls(channel) < 0 || r < 0) {
			fail(channel, -EPROTO, fp_tls_session_reason(channel->tls));
			return;
		}
		if (r == 0)
			return;
		become_open(channel);
	}
	while (!channel->closing && !channel->paused) {
		ssize_t n = fp_tls_session_read(channel->tls, channel->plain, sizeof(channel->plain));

		if (n == 0)
			break;
		if (n < 0) {
			flush_tls(channel);
			fail(channel, (int)n,
			     n == -EPIPE ? "the peer closed the connection" : fp_tls_session_reason(channel->tls));
			return;
		}
		take_plain(channel, channel->plain, (size_t)n);
	}
	if (!channel->closing && flush_tls(channel) < 0)
		fail(channel, -ENOMEM, "out of memory");
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct fp_channel *channel = handle->data;

	*ret_buffer = uv_buf_init((char *)channel->input, sizeof(channel->input));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct fp_channel *channel = stream->data;

	if (n == 0 || channel->closing)
		return;
	if (n < 0) {
		if (channel->finishing)
			fail(channel, 0, "closed");
		else
			fail(channel, (int)n, n == UV_EOF ? "the peer closed the connection" : uv_strerror((int)n));
		return;
	}
	if (channel->finishing)
		return;
	if (!channel->tls) {
		take_plain(channel, channel->input, (size_t)n);
		return;
	}
	if (fp_tls_session_input(channel->tls, channel->input, (size_t)n) < 0)
		fail(channel, -ENOMEM, "out of memory");
	else
		pump_tls(channel);
}

static void start(struct fp_channel *channel)
{
	int r = uv_read_start((uv_stream_t *)&channel->tcp, give_room, on_read);

	if (r < 0)
		fail(channel, r, uv_strerror(r));
	else if (channel->tls)
		pump_tls(channel);
	else
		become_open(channel);
}

static void name_peer(struct fp_channel *channel)
{
	struct sockaddr_storage address = {0};
	int len = sizeof(address);

	uv_tcp_getpeername(&channel->tcp, (struct sockaddr *)&address, &len);
	fp_sockaddr_text((struct sockaddr *)&address, channel->peer);
}

static void on_tick(uv_timer_t *timer)
{
	struct fp_channel *channel = timer->data;
	uint64_t now = uv_now(timer->loop), limit = channel->options.timeout_ms;

	if (channel->accepted_side) {
		/* first tick: nothing is called from within accept */
		channel->accepted_side = false;
		start(channel);
		return;
	}
	if (channel->finishing && now - channel->since > limit)
		fail(channel, 0, "closed");
	else if (!channel->heard && now - channel->since > limit)
		fail(channel, -ETIMEDOUT, "the connection did not come about in time");
	else if (!channel->paused && fp_parser_partial(&channel->parser) && now - channel->since_message > limit)
		fail(channel, -ETIMEDOUT, "a message did not arrive in time");
	else if (channel->queued > 0 && now - channel->since_write > limit)
		fail(channel, -ETIMEDOUT, "the peer takes nothing");
}

static void on_connected(uv_connect_t *request, int status)
{
	struct fp_channel *channel = request->data;

	if (channel->closing)
		return;
	if (status < 0) {
		fail(channel, status, uv_strerror(status));
		return;
	}
	name_peer(channel);
	start(channel);
}

/* libuv writes without MSG_NOSIGNAL: a peer that went away would end the program. */
static void survive_broken_pipes(void)
{
	struct sigaction action;

	if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

static int make(uv_loop_t *loop, const struct fp_channel_options *options, struct fp_channel **ret_channel)
{
	struct fp_channel *channel = calloc(1, sizeof(*channel));
	int r = 0;

	if (!channel)
		return -ENOMEM;
	survive_broken_pipes();
	channel->options = *options;
	fp_parser_init(&channel->parser, options->accepted);
	if (options->tls)
		r = fp_tls_session_new(options->tls, options->peer, &channel->tls);
	if (r < 0) {
		free(channel);
		return r;
	}
	channel->since = uv_now(loop);
	uv_tcp_init(loop, &channel->tcp);
	uv_timer_init(loop, &channel->timer);
	channel->handles = 2;
	channel->tcp.data = channel->timer.data = channel->connect.data = channel;
	*ret_channel = channel;
	return 0;
}

static void on_unborn_closed(uv_handle_t *handle)
{
	struct fp_channel *channel = handle->data;

	if (--channel->handles > 0)
		return;
	fp_tls_session_free(channel->tls);
	free(channel);
}

/* For a channel whose making failed half-way: it goes without a word. */
static int drop(struct fp_channel *channel, int error)
{
	channel->closing = true;
	uv_close((uv_handle_t *)&channel->tcp, on_unborn_closed);
	uv_close((uv_handle_t *)&channel->timer, on_unborn_closed);
	return error;
}

static void begin_timer(struct fp_channel *channel, uint64_t first)
{
	uint64_t interval = channel->options.timeout_ms / 4 + 1;

	uv_tcp_nodelay(&channel->tcp, 1);
	uv_timer_start(&channel->timer, on_tick, first ? interval : 0, interval);
}

int fp_channel_accept(uv_stream_t *server, const struct fp_channel_options *options, struct fp_channel **ret_channel)
{
	struct fp_channel *channel;
	int r = make(server->loop, options, &channel);

	if (r < 0)
		return r;
	r = uv_accept(server, (uv_stream_t *)&channel->tcp);
	if (r < 0)
		return drop(channel, r);
	name_peer(channel);
	uv_tcp_keepalive(&channel->tcp, 1, KEEPALIVE_SECONDS);
	channel->accepted_side = true;
	begin_timer(channel, 0);
	*ret_channel = channel;
	return 0;
}

int fp_channel_connect(uv_loop_t *loop, const struct sockaddr *address, const struct fp_channel_options *options,
		       struct fp_channel **ret_channel)
{
	struct fp_channel *channel;
	int r = make(loop, options, &channel);

	if (r < 0)
		return r;
	r = uv_tcp_connect(&channel->connect, &channel->tcp, address, on_connected);
	if (r < 0)
		return drop(channel, r);
	uv_tcp_keepalive(&channel->tcp, 1, KEEPALIVE_SECONDS);
	begin_timer(channel, 1);
	*ret_channel = channel;
	return 0;
}

void fp_channel_expect(struct fp_channel *channel, unsigned accepted)
{
	channel->parser.accepted = accepted;
}

int fp_channel_send(struct fp_channel *channel, const struct fp_buffer *messages)
{
	int r;

	if (channel->closing || channel->finishing || !channel->opened)
		return -EPIPE;
	if (messages->failed)
		return -ENOMEM;
	if (!channel->tls)
		return queue(channel, messages->data, messages->len);
	r = messages->len ? fp_tls_session_write(channel->tls, (const uint8_t *)messages->data, messages->len) : 0;
	return r < 0 ? r : flush_tls(channel);
}

size_t fp_channel_queued(const struct fp_channel *channel)
{
	return channel->queued;
}

void fp_channel_pause(struct fp_channel *channel)
{
	if (channel->paused || channel->closing)
		return;
	channel->paused = true;
	uv_read_stop((uv_stream_t *)&channel->tcp);
}

void fp_channel_resume(struct fp_channel *channel)
{
	struct fp_buffer rest = channel->rest;
	size_t taken;

	if (!channel->paused || channel->closing || channel->finishing)
		return;
	channel->paused = false;
	channel->since_message = uv_now(channel->tcp.loop);
	uv_read_start((uv_stream_t *)&channel->tcp, give_room, on_read);
	if (channel->delivering)
		return;
	channel->rest = (struct fp_buffer)FP_BUFFER_INIT;
	taken = deliver(channel, (uint8_t *)rest.data, rest.len);
	if (!channel->closing && !channel->finishing && taken < rest.len)
		fp_buffer_add(&channel->rest, rest.data + taken, rest.len - taken);
	fp_buffer_done(&rest);
	if (channel->rest.failed)
		fail(channel, -ENOMEM, "out of memory");
	else if (channel->tls && !channel->paused && !channel->closing && !channel->finishing)
		pump_tls(channel);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
}

void fp_channel_finish(struct fp_channel *channel)
{
	if (channel->closing || channel->finishing)
		return;
	channel->finishing = true;
	channel->since = uv_now(channel->tcp.loop);
	if (channel->tls) {
		fp_tls_session_end(channel->tls);
		flush_tls(channel);
	}
	/*
	 * Reading goes on (into nothing) until the peer has closed: a socket closed
	 * with unread bytes is reset, and the last message would be lost with it.
	 */
	uv_read_start((uv_stream_t *)&channel->tcp, give_room, on_read);
	if (uv_shutdown(&channel->shutdown, (uv_stream_t *)&channel->tcp, on_shutdown) < 0)
		fail(channel, 0, "closed");
}

void fp_channel_close(struct fp_channel *channel)
{
	fail(channel, 0, "closed");
}

const char *fp_channel_peer(const struct fp_channel *channel)
{
	return channel->peer;
}
