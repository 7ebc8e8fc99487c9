#include "agent/runtime/elsewhere.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/runtime/file.h"
#include "base/buffer.h"
#include "base/cleanup.h"

/* Log files of one node: a kubelet runs some hundreds of containers and keeps those of the last that ended. */
#define ENTRIES_MAX 20000

static int parse_state(const char *text, size_t len, struct fp_state *state)
{
	struct fp_state said;
	int r = fp_state_parse(text, len, &said);

	if (r < 0)
		return r;
	r = fp_state_keep(&state->function, said.function, said.function ? strlen(said.function) : 0);
	if (r == 0)
		r = fp_state_keep(&state->replica, said.replica, said.replica ? strlen(said.replica) : 0);
	if (r == 0)
		r = fp_state_keep(&state->image, said.image, said.image ? strlen(said.image) : 0);
	if (r == 0)
		r = fp_state_keep(&state->bundle, said.bundle, said.bundle ? strlen(said.bundle) : 0);
	fp_state_done(&said);
	return r;
}

/* In this order: what says most comes first.  %s is the container's number. */
static const struct {
	const char *path;
	int (*parse)(const char *text, size_t len, struct fp_state *state);
} places[] = {
	{"/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json", fp_state_parse_bundle},
	{"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json", fp_state_parse_bundle},
	{"/var/lib/docker/containers/%s/config.v2.json", fp_state_parse_docker},
	{"/run/containers/storage/overlay-containers/%s/userdata/config.json", fp_state_parse_bundle},
	{"/var/lib/containers/storage/overlay-containers/%s/userdata/config.json", fp_state_parse_bundle},
	{"/run/containerd/io.containerd.runtime.v2.task/default/%s/config.json", fp_state_parse_bundle},
	{"/run/containerd/runc/k8s.io/%s/state.json", parse_state},
	{"/run/docker/runtime-runc/moby/%s/state.json", parse_state},
	{"/run/runc/%s/state.json", parse_state},
};

static bool is_enough(const struct fp_state *state)
{
	return state->function && state->replica && state->image;
}

static int read_places(const char *root, const char *id, struct fp_state *state)
{
	char name[256], path[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r != -ENOMEM && i < sizeof(places) / sizeof(places[0]) && !is_enough(state); i++) {
		fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(name, sizeof(name), places[i].path, id);
#pragma GCC diagnostic pop
		if ((size_t)snprintf(path, sizeof(path), "%s%s", root, name) >= sizeof(path))
			continue;
		r = fp_runtime_read_file(AT_FDCWD, path, &text, NULL);
		if (r == 0)
			r = places[i].parse(text.data, text.len, state);
	}
	return r == -ENOMEM ? r : 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static DIR *open_in(const char *root, const char *name)
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s%s", root, name) < sizeof(path) ? opendir(path) : NULL;
}

/* The part of the text up to the n-th underscore from its begin, behind the one before. */
static struct fp_str part_of(const char *text, size_t len, unsigned n)
{
	size_t from = 0, to;

	for (;; n--, from = to + 1) {
		for (to = from; to < len && text[to] != '_'; to++)
			continue;
		if (n == 0)
			return (struct fp_str){text + from, to - from};
		if (to == len)
			return (struct fp_str){NULL, 0};
	}
}

/* /var/log/containers/<pod>_<namespace>_<container>-<number>.log */
static int read_log_names(const char *root, const char *id, struct fp_state *state)
{
	fp_cleanup(closedirp) DIR *dir = open_in(root, "/var/log/containers");
	struct dirent *entry;
	char tail[FP_CONTAINER_ID_DIGITS + 8];
	size_t tail_len = (size_t)snprintf(tail, sizeof(tail), "-%s.log", id);

	for (unsigned n = 0; dir && n < ENTRIES_MAX && (entry = readdir(dir)); n++) {
		size_t len = strlen(entry->d_name);
		struct fp_str pod, container;
		int r;

		if (len <= tail_len || memcmp(entry->d_name + len - tail_len, tail, tail_len) != 0)
			continue;
		pod = part_of(entry->d_name, len - tail_len, 0);
		container = part_of(entry->d_name, len - tail_len, 2);
		r = fp_state_keep(&state->function, container.data, container.len);
		return r < 0 ? r : fp_state_keep(&state->replica, pod.data, pod.len);
	}
	return 0;
}

/* /var/log/pods/<namespace>_<pod>_<uid> */
static int read_pod_names(const char *root, const char *uid, struct fp_state *state)
{
	fp_cleanup(closedirp) DIR *dir = open_in(root, "/var/log/pods");
	struct dirent *entry;
	size_t uid_len = strlen(uid);

	for (unsigned n = 0; dir && n < ENTRIES_MAX && (entry = readdir(dir)); n++) {
		struct fp_str pod = part_of(entry->d_name, strlen(entry->d_name), 1);
		struct fp_str own = part_of(entry->d_name, strlen(entry->d_name), 2);

		if (own.len == uid_len && memcmp(own.data, uid, uid_len) == 0)
			return fp_state_keep(&state->replica, pod.data, pod.len);
	}
	return 0;
}

int fp_elsewhere_find(const char *root, const struct fp_cgroup_name *name, struct fp_state *state)
{
	char id[FP_CONTAINER_ID_DIGITS + 1];
	int r = 0;

	if (name->is_whole) {
		memcpy(id, name->id.data, FP_CONTAINER_ID_DIGITS);
		id[FP_CONTAINER_ID_DIGITS] = '\0';
		r = read_places(root, id, state);
		if (r == 0 && !(state->function && state->replica))
			r = read_log_names(root, id, state);
	}
	if (r == 0 && name->pod[0] && !state->replica)
		r = read_pod_names(root, name->pod, state);
	return r < 0 ? r : is_enough(state);
}
