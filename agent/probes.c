#include "agent/probes.h"

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

struct fp_probes {
	struct fp_capture *capture;
	struct file *files; /* looked at, as the host answers */
	struct file *told; /* the same as the kernel side says: what is here need not be found again */
	unsigned count;
	bool tls;
};

int fp_probes_new(struct fp_capture *capture, bool tls, struct fp_probes **ret_probes)
{
	struct fp_probes *probes = calloc(1, sizeof(*probes));

	if (!probes)
		return -ENOMEM;
	probes->capture = capture;
	probes->tls = tls;
	*ret_probes = probes;
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

struct fp_probes *fp_probes_free(struct fp_probes *probes)
{
	if (!probes)
		return NULL;
	forget_all(&probes->files);
	forget_all(&probes->told);
	free(probes);
	return NULL;
}

unsigned fp_probes_count(const struct fp_probes *probes)
{
	return probes->count;
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
	struct file *file = HASH_COUNT(*files) < FP_PROBES_FILES_MAX ? calloc(1, sizeof(*file)) : NULL;

	if (!file)
		return false;
	file->key = *key;
	HASH_ADD(hh, *files, key, sizeof(file->key), file);
	return true;
}

static bool attach(struct fp_probes *probes, const char *path)
{
	bool has_tls = probes->tls && fp_capture_attach(probes->capture, FP_FUNCTIONS_TLS, path) == 0;
	bool has_lookups = fp_capture_attach(probes->capture, FP_FUNCTIONS_LOOKUPS, path) == 0;

	return has_tls || has_lookups;
}

/* The inode's number as the host says it, of a file new or not; 0 when there is none. */
static uint64_t look(struct fp_probes *probes, const char *path)
{
	struct file_key key;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	key = (struct file_key){st.st_dev, st.st_ino, 0};
	if (!is_known(probes->files, &key) && remember(&probes->files, &key) && attach(probes, path))
		probes->count++;
	return st.st_ino;
}

static bool is_library(const char *path, size_t len)
{
	static const char *const names[] = {"/libssl", "/libuv"};
	const char *slash = memrchr(path, '/', len);

	for (size_t i = 0; slash && i < sizeof(names) / sizeof(names[0]); i++)
		if (len - (size_t)(slash - path) >= strlen(names[i]) && memcmp(slash, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Through the root of a process in whose mount namespace the path means the same file. */
static void look_through(struct fp_probes *probes, long pid, const struct fp_event *event)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "/proc/%ld/root%.*s", pid, (int)event->path.len, event->path.data);

	struct file_key key = {event->dev, event->ino, event->gen};

	if (len <= 0 || (size_t)len >= sizeof(path))
		return;
	/* another process's path could lead elsewhere, and a file system could number its inodes otherwise: then it is looked for again */
	if (look(probes, path) == event->ino && event->ino)
		remember(&probes->told, &key);
}

int fp_probes_note(struct fp_probes *probes, const struct fp_event *event)
{
	struct file_key key = {event->dev, event->ino, event->gen};
	char process[64];

	/* a program may have the functions in itself: its symbols tell */
	if (event->path.len == 0 || (event->type != FP_EVENT_TYPE_EXEC && event->type != FP_EVENT_TYPE_PRESENT && !is_library(event->path.data, event->path.len)))
		return 0;
	if (is_known(probes->told, &key))
		return 0;
	snprintf(process, sizeof(process), "/proc/%" PRIu64 "/root", event->tgid);
	if (access(process, F_OK) < 0)
		return -ESRCH;
	look_through(probes, (long)event->tgid, event);
	return 0;
}

void fp_probes_note_through(struct fp_probes *probes, const struct fp_event *event, const char *cgroup_path)
{
	char name[PATH_MAX];
	fp_cleanup(fp_fclosep) FILE *procs = NULL;
	long pid;

	snprintf(name, sizeof(name), "%.*s/cgroup.procs", PATH_MAX - 16, cgroup_path);
	procs = fopen(name, "re");
	if (procs && fscanf(procs, "%ld", &pid) == 1)
		look_through(probes, pid, event);
}

/* --- what runs already ------------------------------------------------------------- */

static void look_at_process(struct fp_probes *probes, long pid)
{
	char path[PATH_MAX], line[PATH_MAX + 128];
	fp_cleanup(fp_fclosep) FILE *maps = NULL;

	snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
	look(probes, path);
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
		look(probes, path);
	}
}

/* nftw() has no argument for its callback. */
static struct fp_probes *scanning;

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

void fp_probes_scan(struct fp_probes *probes, const char *cgroup_path)
{
	scanning = probes;
	nftw(cgroup_path, look_at_cgroup, 16, FTW_PHYS);
	scanning = NULL;
}
