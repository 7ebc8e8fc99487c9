/*
 * What the agent and the other programs of this project do for it is not recorded, even where they run in a cgroup that is:
 * else each batch would make the next one.  Only who has told so by a way that only root has (base/ours.h) is left out, and only
 * while it runs; the CLI is not among them: what somebody asks from within a container is that container's deed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/bpf/shared.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/log.h"

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

static void on_folder(uv_fs_event_t *handle, const char *name, int events, int status)
{
	fp_serve_ours_look(handle->data);
}

void fp_serve_ours_watch(struct serve *serve)
{
	int r = uv_fs_event_init(&serve->loop, &serve->ours);

	serve->ours.data = serve;
	if (r == 0)
		r = uv_fs_event_start(&serve->ours, on_folder, FP_OURS_FOLDER, 0);
	if (r < 0) /* then it looks with each batch alone */
		fp_log(FP_LOG_INFO, "is not told of its own programs at once", "why=\"%s\"", uv_strerror(r));
}
