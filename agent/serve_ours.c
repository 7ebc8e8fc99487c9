/*
 * What the agent and the other programs of this project do for it is not recorded, even where they run in a cgroup that is:
 * else each batch would make the next one.  Only who has told so by a way that only root has (base/ours.h) is left out, and only
 * while it runs; the CLI is not among them: what somebody asks from within a container is that container's deed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/bpf/shared.h"
#include "agent/host.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

/* From its exec until it tells, even on a busy machine; ns. */
#define WAIT_FOR_WORD (5 * FP_NS_PER_SEC)

/* As long as the first `level` parts of the path; NULL: it has not so many. */
static const char *end_of(const char *path, int level)
{
	for (; level > 0; level--) {
		if (*path != '/' || !path[1])
			return NULL;
		path += 1 + strcspn(path + 1, "/");
	}
	return path;
}

/* Does the process run below what is recorded?  Where the kernel's answer cannot be compared with our path, it may. */
static bool is_inside(const struct fp_cgroup *root, uint64_t pid)
{
	fp_cleanup(fp_fclosep) FILE *file = NULL;
	char line[PATH_MAX + 8], path[64];
	size_t len, root_len = strlen(root->path);

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/cgroup", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		const char *end;

		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line + 3, "/..", 3) == 0)
			return true;
		end = end_of(line + 3, root->level);
		len = end ? (size_t)(end - line - 3) : 0;
		return end && len <= root_len && memcmp(root->path + root_len - len, line + 3, len) == 0;
	}
	return file != NULL;
}

void fp_serve_ours_look(struct serve *serve)
{
	struct fp_ours told[FP_OURS_MAX], inside[FP_OURS_MAX];
	unsigned n_inside = 0;
	int n = fp_ours_list(told, FP_OURS_MAX - 1);

	if (n < 0)
		n = 0;
	if (fp_ours_of((uint64_t)getpid(), &told[n]) == 0)
		n++;
	for (int i = 0; i < n; i++)
		if (is_inside(&serve->cgroup, told[i].pid))
			inside[n_inside++] = told[i];
	fp_capture_set_ours(serve->capture, inside, n_inside);
}

bool fp_serve_is_ours(const struct serve *serve, const void *record, size_t len)
{
	struct fp_record_head head;

	if (len < sizeof(head))
		return false;
	memcpy(&head, record, sizeof(head));
	return fp_capture_is_ours(serve->capture, head.tgid, head.process_start);
}

/* Beside this program. */
static uint64_t inode_of_helper(const char *name)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	struct stat st;
	char *end;

	if (len <= 0)
		return 0;
	path[len] = '\0';
	end = strrchr(path, '/') + 1;
	if ((size_t)(end - path) + strlen(name) >= sizeof(path))
		return 0;
	strcpy(end, name);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/*
 * That it is this program makes nobody trusted: it is a reason to wait a moment for its word, no more, and not
 * when the ring fills meanwhile.
 */
bool fp_serve_ours_awaits(const struct serve *serve, const void *record, size_t len)
{
	struct fp_record_exec exec;
	struct fp_ours living;

	if (serve->in_haste || len < sizeof(exec))
		return false;
	memcpy(&exec.head, record, sizeof(exec.head));
	if (exec.head.type != FP_RECORD_TYPE_EXEC)
		return false;
	memcpy(&exec, record, sizeof(exec));
	if (exec.uid || !exec.ino || exec.ino != serve->helper)
		return false;
	if (fp_host_boottime() > exec.head.time + WAIT_FOR_WORD || fp_capture_waiting(serve->capture) > serve->options.ring_size / 8)
		return false;
	return fp_ours_of(exec.head.tgid, &living) == 0 && living.start == exec.head.process_start / FP_TICK &&
	       !fp_capture_is_ours(serve->capture, exec.head.tgid, exec.head.process_start);
}

static void on_folder(uv_fs_event_t *handle, const char *name, int events, int status)
{
	fp_serve_ours_look(handle->data);
}

void fp_serve_ours_watch(struct serve *serve)
{
	int r = uv_fs_event_init(&serve->loop, &serve->ours);

	serve->helper = inode_of_helper("faasprov-aggregator");
	serve->ours.data = serve;
	if (r == 0)
		r = uv_fs_event_start(&serve->ours, on_folder, FP_OURS_FOLDER, 0);
	if (r < 0) /* then it looks with each batch alone */
		fp_log(FP_LOG_INFO, "is not told of its own programs at once", "why=\"%s\"", uv_strerror(r));
}
