/*
 * Names of containers in time: one can be over in some milliseconds, and then its runtime has removed what it
 * wrote of it.  So the agent is told when something is made below the runc root, reads it then and a few times more, as the state is written
 * a moment after its directory; and the kernel side remembers where each cgroup was made.
 */
#include <errno.h>
#include <string.h>

#include "agent/serve.h"
#include "base/log.h"

/* After a directory was made its state is looked for every 2 ms, and after the first 32 looks every 25 ms, a few times more. */
#define LOOKS 40
#define CLOSE_LOOKS 32

static int find_made(void *arg, uint64_t cgroup, char *ret_path, size_t size)
{
	struct serve *serve = arg;
	char path[PATH_MAX];
	const char *below = path;
	int r = fp_capture_made(serve->capture, cgroup, path, sizeof(path));

	if (r < 0)
		return r;
	for (int level = serve->cgroup.level; level > 0; level--) {
		if (*below != '/')
			return -ENOENT;
		below += 1 + strcspn(below + 1, "/");
	}
	if (*below != '/' || strlen(below) >= size)
		return -ENOENT;
	memmove(ret_path, below, strlen(below) + 1);
	return 0;
}

static void look(struct serve *serve)
{
	if (fp_runtime_scan(serve->runtime) < 0)
		fp_log(FP_LOG_WARNING, "cannot read what the runtime wrote", "error=\"%s\"", strerror(ENOMEM));
}

static void on_time(uv_timer_t *timer)
{
	struct serve *serve = timer->data;

	look(serve);
	if (++serve->runc_looks < LOOKS)
		uv_timer_start(timer, on_time, serve->runc_looks < CLOSE_LOOKS ? 2 : 25, 0);
}

static void on_root(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct serve *serve = handle->data;

	look(serve);
	serve->runc_looks = 0;
	uv_timer_start(&serve->runc_timer, on_time, 2, 0);
}

/* To be called now and then until it is there: a runtime makes its folder with its first container. */
void fp_serve_names_watch(struct serve *serve)
{
	if (serve->runc_watched)
		return;
	serve->runc_watched = uv_fs_event_start(&serve->runc, on_root, serve->options.runc_root, 0) == 0;
	if (serve->runc_watched)
		look(serve);
}

void fp_serve_names_begin(struct serve *serve)
{
	fp_runtime_set_made_fn(serve->runtime, find_made, serve);
	uv_timer_init(&serve->loop, &serve->runc_timer);
	uv_fs_event_init(&serve->loop, &serve->runc);
	serve->runc_timer.data = serve->runc.data = serve;
	fp_serve_names_watch(serve);
}
