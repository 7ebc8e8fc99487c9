#include "query/session.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "graph/slice.h"

extern char **environ;

#define STITCHER "faasprov-stitcher"

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

/* Runs it to its end; its standard output goes to our standard error, which is for people. */
static int run_stitcher(const char *path, const char *url)
{
	char *argv[] = {(char *)path, "--store", (char *)url, NULL};
	posix_spawn_file_actions_t actions;
	int status, r = posix_spawn_file_actions_init(&actions);
	pid_t pid;

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
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
	else if (run_stitcher(path, question->store) < 0)
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
	return r;
}

enum fp_exit fp_session_open(struct fp_session *session, const struct fp_question *question, bool with_graph)
{
	char error[256] = "";
	int r = fp_store_open(question->store, FP_STORE_READ, &session->store, error);

	if (r < 0)
		return fp_fail(fp_exit_of(r), "%s", error);
	if (!with_graph)
		return FP_EXIT_DONE;
	r = count_behind(session);
	if (r == 0 && session->behind > 0 && !question->no_stitch) {
		stitch(question, session->behind);
		r = count_behind(session);
	}
	return r < 0 ? fp_session_fail(session, question, r) : FP_EXIT_DONE;
}
