/*
 * fp_flood MODE N [DIR]: what makes a recorder's memory grow, as a process of its own for tests/test_memory.py.
 *   paths        N files of different long names: open, write, fchmod, close each
 *   connections  N connections to itself over loopback, each with a request by HTTP and its answer;
 *                the newest 256 stay open
 *   processes    N children that end at once
 *   requests     as the first process of a container: N invocations, each with a connection, all begun and none ended
 * Says `r` when it is ready, begins when it reads a byte, says `d` when it is done, and ends when it reads another
 * one or the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/schema.h"

#define OPEN_CONNECTIONS 256

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void hear(void)
{
	char byte;

	if (read(0, &byte, 1) < 0)
		fail("read");
}

static void say(char byte)
{
	if (write(1, &byte, 1) != 1)
		fail("write");
}

static void make_paths(unsigned n, const char *dir)
{
	char path[600], filler[161];

	memset(filler, 'n', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	for (unsigned i = 0; i < n; i++) {
		int fd;

		snprintf(path, sizeof(path), "%.300s/%s%u", dir, filler, i);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		if (fd < 0 || write(fd, "x", 1) != 1 || fchmod(fd, 0640) < 0 || close(fd) < 0)
			fail(path);
	}
}

/* A listening socket on loopback and where it listens. */
static int listen_somewhere(struct sockaddr_in *ret_where)
{
	socklen_t len = sizeof(*ret_where);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*ret_where = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)ret_where, sizeof(*ret_where)) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret_where, &len) < 0)
		fail("listen");
	return fd;
}

static void connect_pair(int listener, const struct sockaddr_in *where, int pair[2])
{
	struct linger at_once = {1, 0}; /* else the ports run out */

	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (pair[0] < 0 || connect(pair[0], (const struct sockaddr *)where, sizeof(*where)) < 0)
		fail("connect");
	pair[1] = accept(listener, NULL, NULL);
	if (pair[1] < 0 || setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) < 0)
		fail("accept");
}

static void pass(int from, int to, const char *text)
{
	char buffer[256];
	ssize_t len = (ssize_t)strlen(text);

	if (send(from, text, (size_t)len, 0) != len || recv(to, buffer, sizeof(buffer), MSG_WAITALL | MSG_DONTWAIT) <= 0)
		fail("send");
}

static void make_connections(unsigned n)
{
	static int open_ones[OPEN_CONNECTIONS][2];
	struct sockaddr_in where;
	int listener = listen_somewhere(&where);

	for (unsigned i = 0; i < n; i++) {
		int *pair = open_ones[i % OPEN_CONNECTIONS];
		char text[200];

		if (i >= OPEN_CONNECTIONS) {
			close(pair[0]);
			close(pair[1]);
		}
		connect_pair(listener, &where, pair);
		snprintf(text, sizeof(text), "GET /item/%u HTTP/1.1\r\nHost: shop.example\r\n\r\n", i);
		pass(pair[0], pair[1], text);
		pass(pair[1], pair[0], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	}
}

static void make_processes(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("fork");
	}
}

static void mark(unsigned what, int fd, unsigned long number)
{
	unsigned long arg = what | FP_MARK_VERSION << 8 | (unsigned long)(uint32_t)fd << 32;

	if (prctl(FP_MARK_OPTION, arg, number ? (unsigned long)getppid() << 32 | 7 : 0, number, 0) != -1 || errno != EINVAL)
		fail("prctl");
}

static void make_requests(unsigned n)
{
	struct sockaddr_in where;
	int listener = listen_somewhere(&where);

	for (unsigned long i = 1; i <= n; i++) {
		int pair[2];

		connect_pair(listener, &where, pair);
		mark(FP_MARK_BEGIN, -1, i);
		mark(FP_MARK_CONNECTION, pair[0], i);
		pass(pair[0], pair[1], "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
	}
}

static int work(const char *mode, unsigned n, const char *dir)
{
	say('r');
	hear();
	if (strcmp(mode, "paths") == 0 && dir)
		make_paths(n, dir);
	else if (strcmp(mode, "connections") == 0)
		make_connections(n);
	else if (strcmp(mode, "processes") == 0)
		make_processes(n);
	else if (strcmp(mode, "requests") == 0)
		make_requests(n);
	else
		return 2;
	say('d');
	hear();
	return 0;
}

int main(int argc, char **argv)
{
	int status;
	pid_t child;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "requests") != 0)
		return work(argv[1], (unsigned)atoi(argv[2]), argc > 3 ? argv[3] : NULL);
	if (unshare(CLONE_NEWPID) < 0)
		fail("unshare");
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		mark(FP_MARK_HELLO, -1, 0);
		_exit(work(argv[1], (unsigned)atoi(argv[2]), NULL));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		fail("fork");
	return status != 0;
}
