#include "agent/stats_socket.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
	struct fp_stats_socket *socket; /* NULL: free */
	uv_pipe_t pipe;
	uv_timer_t patience;
	uv_write_t write;
	char *document;
	int handles; /* not closed yet */
};

struct fp_stats_socket {
	uv_pipe_t listener;
	fp_stats_document_fn fn;
	void *arg;
	struct client clients[FP_STATS_CLIENTS];
	unsigned busy; /* clients */
	bool closing, listener_closed;
};

void fp_stats_path(uint64_t cgroup, char ret_path[FP_STATS_PATH_MAX])
{
	snprintf(ret_path, FP_STATS_PATH_MAX, FP_STATS_FOLDER "/%" PRIu64 ".sock", cgroup);
}

static void free_when_done(struct fp_stats_socket *server)
{
	if (server->listener_closed && server->busy == 0)
		free(server);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct fp_stats_socket *server = client->socket;

	if (--client->handles > 0)
		return;
	free(client->document);
	memset(client, 0, sizeof(*client));
	server->busy--;
	free_when_done(server);
}

static void close_client(struct client *client)
{
	if (uv_is_closing((uv_handle_t *)&client->pipe))
		return;
	uv_close((uv_handle_t *)&client->pipe, on_client_closed);
	uv_close((uv_handle_t *)&client->patience, on_client_closed);
}

static void on_written(uv_write_t *write, int status)
{
	close_client(write->data);
}

static void on_patience_over(uv_timer_t *timer)
{
	close_client(timer->data);
}

/* The folder lets in nobody else; this is for the day that somebody moves it. */
static bool is_root(uv_pipe_t *pipe)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	uv_os_fd_t fd;

	return uv_fileno((uv_handle_t *)pipe, &fd) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static void answer(struct client *client)
{
	struct fp_stats_socket *server = client->socket;
	uv_buf_t buffer;

	if (is_root(&client->pipe))
		client->document = server->fn(server->arg);
	if (!client->document) {
		close_client(client);
		return;
	}
	buffer = uv_buf_init(client->document, (unsigned)strlen(client->document));
	client->write.data = client;
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &buffer, 1, on_written) < 0)
		close_client(client);
}

static void on_refused_closed(uv_handle_t *handle)
{
	free(handle);
}

static void turn_away(uv_stream_t *listener)
{
	uv_pipe_t *pipe = malloc(sizeof(*pipe));

	if (!pipe)
		return;
	uv_pipe_init(listener->loop, pipe, 0);
	uv_accept(listener, (uv_stream_t *)pipe);
	uv_close((uv_handle_t *)pipe, on_refused_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct fp_stats_socket *server = listener->data;
	struct client *client = server->clients;

	if (status < 0)
		return;
	if (server->busy >= FP_STATS_CLIENTS) {
		turn_away(listener);
		return;
	}
	while (client->socket)
		client++;
	server->busy++;
	client->socket = server;
	client->handles = 2;
	uv_pipe_init(listener->loop, &client->pipe, 0);
	uv_timer_init(listener->loop, &client->patience);
	client->pipe.data = client->patience.data = client;
	if (uv_accept(listener, (uv_stream_t *)&client->pipe) < 0) {
		close_client(client);
		return;
	}
	uv_timer_start(&client->patience, on_patience_over, FP_STATS_PATIENCE_MS, 0);
	answer(client);
}

/* Bound, and nobody listens: who had it is dead. */
static bool is_left_over(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool left;

	if (fd < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), FP_STATS_FOLDER "/%.60s", name);
	left = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED;
	close(fd);
	return left;
}

void fp_stats_clean(uint64_t cgroup)
{
	DIR *directory = opendir(FP_STATS_FOLDER);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' && (!cgroup || strtoull(entry->d_name, NULL, 10) == cgroup) &&
		    is_left_over(entry->d_name))
			unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(FP_STATS_FOLDER); /* when it was the last */
}

/* Made here, or found: in any case nobody but root may have put something there. */
static int make_folder(void)
{
	struct stat about;

	if (mkdir(FP_STATS_FOLDER, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(FP_STATS_FOLDER, &about) < 0)
		return -errno;
	return S_ISDIR(about.st_mode) && about.st_uid == geteuid() && !(about.st_mode & 077) ? 0 : -EPERM;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct fp_stats_socket *server = handle->data;

	server->listener_closed = true;
	free_when_done(server);
}

int fp_stats_socket_open(uv_loop_t *loop, uint64_t cgroup, fp_stats_document_fn fn, void *arg,
			 struct fp_stats_socket **ret_socket)
{
	struct fp_stats_socket *server;
	char path[FP_STATS_PATH_MAX];
	int r = make_folder();

	if (r < 0)
		return r;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->fn = fn;
	server->arg = arg;
	fp_stats_path(cgroup, path);
	unlink(path);
	uv_pipe_init(loop, &server->listener, 0);
	server->listener.data = server;
	r = uv_pipe_bind(&server->listener, path);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&server->listener, FP_STATS_CLIENTS, on_connection);
	if (r < 0) {
		fp_stats_socket_close(server);
		return r;
	}
	*ret_socket = server;
	return 0;
}

void fp_stats_socket_close(struct fp_stats_socket *server)
{
	if (!server || server->closing)
		return;
	server->closing = true;
	for (size_t i = 0; i < FP_STATS_CLIENTS; i++)
		if (server->clients[i].socket)
			close_client(&server->clients[i]);
	uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}
