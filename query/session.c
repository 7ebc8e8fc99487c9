#include "query/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "graph/slice.h"

extern char **environ;

#define STITCHER "faasprov-stitcher"

/* A store that others begin to write at this moment is opened anew, so often. */
#define TRIES 5

void fp_session_done(struct fp_session *session)
{
	fp_store_close(session->store);
	session->store = NULL;
}

enum fp_exit fp_session_fail(const struct fp_session *session, const struct fp_question *question, int error)
{
	if (error == -E2BIG)
		return fp_fail(FP_EXIT_INPUT,
			       "the answer has more than %d edges: make it smaller with --depth, --since, --until, "
			       "--backward or --forward",
			       FP_SLICE_EDGES_MAX);
	if (error == -ENOMEM)
		return fp_fail(FP_EXIT_SYSTEM, "out of memory");
	return fp_fail(fp_exit_of(error), "%s: %s", question->store, fp_store_error(session->store));
}

/* The stitcher in the directory of this program. */
static int find_stitcher(char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (len < 0)
		return -errno;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) + sizeof("/" STITCHER) > PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(slash + 1, STITCHER);
	return access(path, X_OK) == 0 ? 0 : -errno;
}

/* Reads what comes until there is no more. */
static int read_all(int fd, struct fp_buffer *output)
{
	ssize_t n;

	do {
		char *room = fp_buffer_reserve(output, PIPE_BUF);

		if (!room)
			return -ENOMEM;
		n = read(fd, room, PIPE_BUF);
		output->len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int start(char **argv, int to, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(ret_pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int fp_session_run_stitcher(const char *url, const char *option, struct fp_buffer *output)
{
	char path[PATH_MAX], *argv[] = {path, "--store", (char *)url, (char *)option, NULL};
	fp_cleanup(fp_closep) int from = -1;
	fp_cleanup(fp_closep) int to = -1;
	int status, ends[2], r = find_stitcher(path);
	pid_t pid;

	if (r < 0)
		return r;
	if (output) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		from = ends[0];
		to = ends[1];
	}
	r = start(argv, output ? to : STDERR_FILENO, &pid);
	if (r < 0)
		return r;
	if (output) {
		close(to);
		to = -1;
		r = read_all(from, output);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return r < 0 ? r : WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

static bool is_writable(const char *url)
{
	struct fp_store *store;
	int r = fp_store_open(url, FP_STORE_WRITE, &store, NULL);

	if (r == 0)
		fp_store_close(store);
	return r != -EROFS && r != -EACCES && r != -EPERM;
}

static void stitch(const struct fp_question *question, uint64_t behind)
{
	char path[PATH_MAX];
	const char *why = NULL;

	if (!is_writable(question->store))
		why = "the store is not writable";
	else if (find_stitcher(path) < 0)
		why = "there is no " STITCHER " beside this program";
	else if (fp_session_run_stitcher(question->store, NULL, NULL) != FP_EXIT_DONE)
		why = STITCHER " failed";
	if (why)
		fp_log(FP_LOG_WARNING, "the graph is older than the evidence", "missing_batches=%" PRIu64 " reason=\"%s\"",
		       behind, why);
}

static int count_behind(struct fp_session *session)
{
	struct fp_store_totals totals;
	int r = fp_store_totals(session->store, &totals);

	session->behind = r == 0 && totals.last_batch > totals.stitched_batch ?
				  totals.last_batch - totals.stitched_batch :
				  0;
	session->foreign = r == 0 && totals.stitched_batch > totals.last_batch;
	return r;
}

/*
 * The graph is derived, and whoever can write its file could have it say anything.  One that is not the one that was
 * made here is used all the same, for it may be all there is, but not in silence.
 */
static int check_seal(struct fp_session *session, const struct fp_question *question)
{
	int r = fp_store_sealed(session->store, false);

	session->foreign |= r == -EBADMSG;
	if (session->foreign)
		fp_log(FP_LOG_WARNING, "the graph is not the one that was made of this evidence; "
		       "make it anew: " STITCHER " --rebuild", "store=\"%s\"", question->store);
	return r == -EBADMSG ? 0 : r;
}

/* What was opened without locks is not to be used once the stitcher has written beside it. */
static int reopen(struct fp_session *session, const struct fp_question *question, char error[256])
{
	session->store = fp_store_close(session->store);
	return fp_store_open(question->store, FP_STORE_READ, &session->store, error);
}

/* Another program's stitcher may come between: then once more from the beginning. */
static int open_once(struct fp_session *session, const struct fp_question *question, bool with_graph, char error[256])
{
	int r = reopen(session, question, error);

	if (r < 0 || !with_graph)
		return r;
	r = count_behind(session);
	if (r == 0 && session->behind > 0 && !question->no_stitch) {
		stitch(question, session->behind);
		r = reopen(session, question, error);
		if (r == 0)
			r = count_behind(session);
	}
	return r < 0 ? r : check_seal(session, question);
}

enum fp_exit fp_session_open(struct fp_session *session, const struct fp_question *question, bool with_graph)
{
	char error[256] = "";
	int r = -EBUSY;

	for (int i = 0; i < TRIES && r == -EBUSY; i++)
		r = open_once(session, question, with_graph, error);
	if (r < 0 && !session->store)
		return fp_fail(fp_exit_of(r), "%s", error);
	return r < 0 ? fp_session_fail(session, question, r) : FP_EXIT_DONE;
}
