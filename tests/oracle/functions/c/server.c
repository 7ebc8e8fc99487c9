/*
 * As ../python, the way a Java server works: one thread reads all connections and puts requests into a queue,
 * the threads of a pool take them from there, work, and answer.  A second pool does what a handler hands on.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 16
#define TOKEN_MAX 63
#define HEAD_MAX 8192

extern char **environ;

struct job {
	struct job *next;
	int fd; /* where the answer goes; -1: nobody waits but `done` */
	bool child, behind;
	bool *done;
	char token[TOKEN_MAX + 1];
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct job *first, **last;
};

struct connection {
	int fd;
	size_t n;
	char head[HEAD_MAX + 1];
};

static struct queue requests = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &requests.first};
static struct queue handed_on = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &handed_on.first};
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_changed = PTHREAD_COND_INITIALIZER;

static void put(struct queue *queue, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&queue->lock);
	*queue->last = job;
	queue->last = &job->next;
	pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
}

static struct job *take(struct queue *queue)
{
	struct job *job;

	pthread_mutex_lock(&queue->lock);
	while (!queue->first)
		pthread_cond_wait(&queue->filled, &queue->lock);
	job = queue->first;
	queue->first = job->next;
	if (!queue->first)
		queue->last = &queue->first;
	pthread_mutex_unlock(&queue->lock);
	return job;
}

static void touch(const char *token, const char *way)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/tmp/oracle.%s.%s", token, way);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, token, strlen(token)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* The token to an address that is made of it. */
static void socket_token(const char *token)
{
	unsigned long n = strtoul(token + strlen(token) - 6, NULL, 16);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4998),
				 .sin_addr = {htonl(0x7f800000u | (unsigned)n)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || sendto(fd, token, strlen(token), 0, (void *)&to, sizeof(to)) < 0)
		err(1, "socket");
	close(fd);
}

static void child(const char *token)
{
	char path[256];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/tmp/oracle.%s.c-child", token);
	pid = vfork();
	if (pid == 0) {
		execle("/bin/sh", "sh", "-c", "echo \"$1\" > \"$2\"", "child", token, path, (char *)NULL, environ);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		err(1, "child");
}

static void hand_on(const char *token)
{
	bool done = false;
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		err(1, NULL);
	job->fd = -1;
	job->done = &done;
	strcpy(job->token, token);
	put(&handed_on, job);
	pthread_mutex_lock(&done_lock);
	while (!done)
		pthread_cond_wait(&done_changed, &done_lock);
	pthread_mutex_unlock(&done_lock);
}

static void *later(void *argument)
{
	char *token = argument;

	usleep(5000);
	touch(token, "c-behind");
	free(token);
	return NULL;
}

static void leave_behind(const char *token)
{
	pthread_t thread;
	char *copy = strdup(token);

	if (!copy || pthread_create(&thread, NULL, later, copy) != 0)
		errx(1, "no thread");
	pthread_detach(thread);
}

static void *work(void *unused)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

	(void)unused;
	for (;;) {
		struct job *job = take(&requests);

		touch(job->token, "c-sync");
		usleep(2000);
		touch(job->token, "c-timer");
		hand_on(job->token);
		touch(job->token, "c-after-pool");
		socket_token(job->token);
		if (job->child) {
			child(job->token);
			touch(job->token, "c-after-child");
		}
		if (job->behind)
			leave_behind(job->token);
		if (write(job->fd, answer, sizeof(answer) - 1) < 0)
			close(job->fd);
		free(job);
	}
	return NULL;
}

static void *work_handed_on(void *unused)
{
	(void)unused;
	for (;;) {
		struct job *job = take(&handed_on);

		touch(job->token, "c-pool");
		pthread_mutex_lock(&done_lock);
		*job->done = true;
		pthread_cond_broadcast(&done_changed);
		pthread_mutex_unlock(&done_lock);
		free(job);
	}
	return NULL;
}

/* Requests of the oracle have no body: the watchdog sends one only when it got one. */
static void take_in(int loop, struct connection *connection)
{
	ssize_t n = read(connection->fd, connection->head + connection->n, HEAD_MAX - connection->n);
	struct job *job;
	char *token;

	if (n <= 0) {
		/* a child that has not reached its exec holds it as well, and the loop would go on to tell of it */
		epoll_ctl(loop, EPOLL_CTL_DEL, connection->fd, NULL);
		close(connection->fd);
		free(connection);
		return;
	}
	connection->n += (size_t)n;
	connection->head[connection->n] = '\0';
	if (!strstr(connection->head, "\r\n\r\n"))
		return;
	token = strcasestr(connection->head, "\r\nx-call-id:");
	job = calloc(1, sizeof(*job));
	if (!token || !job || sscanf(token + strlen("\r\nx-call-id:"), " %63[0-9a-f-]", job->token) != 1)
		errx(1, "a request without X-Call-Id");
	*strchr(connection->head, '\r') = '\0';
	job->fd = connection->fd;
	job->child = strstr(connection->head, "child=1");
	job->behind = strstr(connection->head, "behind=1");
	connection->n = 0;
	put(&requests, job);
}

static void serve(int listener, int loop)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event) < 0)
		err(1, "epoll_ctl");
	while (epoll_wait(loop, &event, 1, -1) >= 0) {
		struct connection *connection = event.data.ptr;

		if (connection) {
			take_in(loop, connection);
			continue;
		}
		connection = calloc(1, sizeof(*connection));
		if (!connection || (connection->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
			err(1, "accept");
		event.data.ptr = connection;
		if (epoll_ctl(loop, EPOLL_CTL_ADD, connection->fd, &event) < 0)
			err(1, "epoll_ctl");
	}
	err(1, "epoll_wait");
}

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5000), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), loop = epoll_create1(EPOLL_CLOEXEC);
	pthread_t thread;

	for (int i = 0; i < WORKERS; i++)
		if (pthread_create(&thread, NULL, i < WORKERS / 2 ? work : work_handed_on, NULL) != 0)
			errx(1, "no threads");
	if (listener < 0 || loop < 0 || bind(listener, (void *)&address, sizeof(address)) < 0 || listen(listener, 128) < 0)
		err(1, "listen");
	serve(listener, loop);
}
