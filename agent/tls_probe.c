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

/* What the host itself would answer for the file, or what the kernel side says of it. */
struct file_key {
	uint64_t dev, ino, gen; /* gen: as the kernel side says it, else 0 */
};

struct file {
	struct file_key key;
	UT_hash_handle hh;
};

struct fp_tls_probe {
	struct fp_capture *capture;
	struct file *files; /* looked at, as the host answers */
	struct file *told; /* the same as the kernel side says: what is here need not be found again */
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

static void forget_all(struct file **files)
{
	struct file *file, *next;

	HASH_ITER(hh, *files, file, next) {
		HASH_DEL(*files, file);
		free(file);
	}
}

struct fp_tls_probe *fp_tls_probe_free(struct fp_tls_probe *probe)
{
	if (!probe)
		return NULL;
	forget_all(&probe->files);
	forget_all(&probe->told);
	free(probe);
	return NULL;
}

unsigned fp_tls_probe_count(const struct fp_tls_probe *probe)
{
	return probe->count;
}

static bool is_known(const struct file *files, const struct file_key *key)
{
	struct file *file;

	HASH_FIND(hh, files, key, sizeof(*key), file);
	return file;
}

/* False when there is no room for it. */
static bool remember(struct file **files, const struct file_key *key)
{
	struct file *file = HASH_COUNT(*files) < FP_TLS_PROBE_FILES_MAX ? calloc(1, sizeof(*file)) : NULL;

	if (!file)
		return false;
	file->key = *key;
	HASH_ADD(hh, *files, key, sizeof(file->key), file);
	return true;
}

/* The inode's number as the host says it, of a file new or not; 0 when there is none. */
static uint64_t look(struct fp_tls_probe *probe, const char *path)
{
	struct file_key key;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	key = (struct file_key){st.st_dev, st.st_ino, 0};
	if (!is_known(probe->files, &key) && remember(&probe->files, &key) &&
	    fp_capture_attach_tls(probe->capture, path) == 0)
		probe->count++;
	return st.st_ino;
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

	struct file_key key = {event->dev, event->ino, event->gen};

	if (len <= 0 || (size_t)len >= sizeof(path))
		return;
	/* another process's path could lead elsewhere, and a file system could number its inodes otherwise: then it is looked for again */
	if (look(probe, path) == event->ino && event->ino)
		remember(&probe->told, &key);
}

int fp_tls_probe_note(struct fp_tls_probe *probe, const struct fp_event *event)
{
	struct file_key key = {event->dev, event->ino, event->gen};
	char process[64];

	/* a program may have the functions in itself: its symbols tell */
	if (event->path.len == 0 || (event->type != FP_EVENT_TYPE_EXEC && event->type != FP_EVENT_TYPE_PRESENT && !is_library(event->path.data, event->path.len)))
		return 0;
	if (is_known(probe->told, &key))
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
