#include "agent/tls_probe.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/cleanup.h"

/* What the host itself would answer for the file; device and inode stand for it. */
struct file_key {
	uint64_t dev, ino;
};

struct file {
	struct file_key key;
	UT_hash_handle hh;
};

struct fp_tls_probe {
	struct fp_capture *capture;
	struct file *files; /* looked at */
	unsigned count;
};

int fp_tls_probe_new(struct fp_capture *capture, struct fp_tls_probe **ret_probe)
{
	struct fp_tls_probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return -ENOMEM;
	probe->capture = capture;
	*ret_probe = probe;
	return 0;
}

struct fp_tls_probe *fp_tls_probe_free(struct fp_tls_probe *probe)
{
	struct file *file, *next;

	if (!probe)
		return NULL;
	HASH_ITER(hh, probe->files, file, next) {
		HASH_DEL(probe->files, file);
		free(file);
	}
	free(probe);
	return NULL;
}

unsigned fp_tls_probe_count(const struct fp_tls_probe *probe)
{
	return probe->count;
}

/* True the first time. */
static bool is_new(struct fp_tls_probe *probe, const char *path)
{
	struct file_key key;
	struct file *file;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	key = (struct file_key){st.st_dev, st.st_ino};
	HASH_FIND(hh, probe->files, &key, sizeof(key), file);
	if (file || HASH_COUNT(probe->files) >= FP_TLS_PROBE_FILES_MAX)
		return false;
	file = calloc(1, sizeof(*file));
	if (!file)
		return false;
	file->key = key;
	HASH_ADD(hh, probe->files, key, sizeof(file->key), file);
	return true;
}

static void look(struct fp_tls_probe *probe, const char *path)
{
	if (is_new(probe, path) && fp_capture_attach_tls(probe->capture, path) == 0)
		probe->count++;
}

static bool is_library(const char *path, size_t len)
{
	static const char name[] = "/libssl";
	const char *slash = memrchr(path, '/', len);

	return slash && len - (size_t)(slash - path) >= sizeof(name) - 1 && memcmp(slash, name, sizeof(name) - 1) == 0;
}

/* Through the root of a process in whose mount namespace the path means the same file. */
static void look_through(struct fp_tls_probe *probe, long pid, const struct fp_event *event)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "/proc/%ld/root%.*s", pid, (int)event->path.len, event->path.data);

	if (len > 0 && (size_t)len < sizeof(path))
		look(probe, path);
}

int fp_tls_probe_note(struct fp_tls_probe *probe, const struct fp_event *event)
{
	char process[64];

	/* a program may have the functions in itself: its symbols tell */
	if (event->path.len == 0 || (event->type == FP_EVENT_TYPE_LOAD && !is_library(event->path.data, event->path.len)))
		return 0;
	snprintf(process, sizeof(process), "/proc/%" PRIu64 "/root", event->tgid);
	if (access(process, F_OK) < 0)
		return -ESRCH;
	look_through(probe, (long)event->tgid, event);
	return 0;
}

void fp_tls_probe_note_through(struct fp_tls_probe *probe, const struct fp_event *event, const char *cgroup_path)
{
	char name[PATH_MAX];
	fp_cleanup(fp_fclosep) FILE *procs = NULL;
	long pid;

	snprintf(name, sizeof(name), "%.*s/cgroup.procs", PATH_MAX - 16, cgroup_path);
	procs = fopen(name, "re");
	if (procs && fscanf(procs, "%ld", &pid) == 1)
		look_through(probe, pid, event);
}

/* --- what runs already ------------------------------------------------------------- */

static void look_at_process(struct fp_tls_probe *probe, long pid)
{
	char path[PATH_MAX], line[PATH_MAX + 128];
	fp_cleanup(fp_fclosep) FILE *maps = NULL;

	snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
	look(probe, path);
	snprintf(path, sizeof(path), "/proc/%ld/maps", pid);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		char *file = strchr(line, '/');

		if (!file || !strstr(line, " r-xp "))
			continue;
		file[strcspn(file, "\n")] = '\0';
		if (!is_library(file, strlen(file)))
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/root%.*s", pid, PATH_MAX - 64, file);
		look(probe, path);
	}
}

/* nftw() has no argument for its callback. */
static struct fp_tls_probe *scanning;

static int look_at_cgroup(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char name[PATH_MAX];
	fp_cleanup(fp_fclosep) FILE *procs = NULL;
	long pid;

	if (type != FTW_D)
		return 0;
	snprintf(name, sizeof(name), "%.*s/cgroup.procs", PATH_MAX - 16, path);
	procs = fopen(name, "re");
	while (procs && fscanf(procs, "%ld", &pid) == 1)
		look_at_process(scanning, pid);
	return 0;
}

void fp_tls_probe_scan(struct fp_tls_probe *probe, const char *cgroup_path)
{
	scanning = probe;
	nftw(cgroup_path, look_at_cgroup, 16, FTW_PHYS);
	scanning = NULL;
}
