#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CGROUP2_MAGIC 0x63677270

/* In linux/proc_ns.h: the number of the first cgroup name space. */
#define FIRST_CGROUP_NAMESPACE 0xEFFFFFFBu

/* Writes the first mount point of a cgroup2 hierarchy. */
static int find_mount(char ret_mount[PATH_MAX])
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *entry;
	int r = -ENOENT;

	if (!mounts)
		return -errno;
	while (r < 0 && (entry = getmntent(mounts))) {
		size_t len = strlen(entry->mnt_dir);

		if (strcmp(entry->mnt_type, "cgroup2") != 0 || len >= PATH_MAX)
			continue;
		memcpy(ret_mount, entry->mnt_dir, len + 1);
		r = 0;
	}
	endmntent(mounts);
	return r;
}

/* Steps down that a path makes; each ".." is one up. */
static int steps(const char *path)
{
	int count = 0;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len)
			count += len == 2 && strncmp(path, "..", 2) == 0 ? -1 : 1;
		path += len + (path[len] == '/');
	}
	return count;
}

/*
 * How deep the root of our cgroup name space lies in the hierarchy.  The kernel says
 * where others are as seen from there, and kthreadd stays in the hierarchy's own root.
 */
static int namespace_depth(void)
{
	fp_cleanup(fp_fclosep) FILE *name = NULL, *where = NULL;
	char text[PATH_MAX + 8];
	struct stat own;

	if (stat("/proc/self/ns/cgroup", &own) < 0)
		return -errno;
	if (own.st_ino == FIRST_CGROUP_NAMESPACE)
		return 0;
	name = fopen("/proc/2/comm", "re");
	if (!name || !fgets(text, sizeof(text), name) || strcmp(text, "kthreadd\n") != 0)
		return -EXDEV;
	where = fopen("/proc/2/cgroup", "re");
	while (where && fgets(text, sizeof(text), where)) {
		text[strcspn(text, "\n")] = '\0';
		if (strncmp(text, "0::/", 4) == 0 && steps(text + 3) <= 0)
			return -steps(text + 3);
	}
	return -EXDEV;
}

/* Depth of what is mounted where `path` is, less the steps to the mount point: with those of `path` its own depth. */
static int mount_depth(const char *path, int *ret_depth)
{
	fp_cleanup(fp_fclosep) FILE *table = NULL;
	fp_cleanup(fp_freep) char *line = NULL;
	struct statx about;
	size_t size = 0;
	int depth = namespace_depth();

	if (depth < 0)
		return depth;
	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &about) < 0)
		return -errno;
	table = fopen("/proc/self/mountinfo", "re");
	if (!table)
		return -errno;
	while (getline(&line, &size, table) > 0) {
		fp_cleanup(fp_freep) char *root = NULL, *point = NULL;
		unsigned long long id;

		if (sscanf(line, "%llu %*u %*u:%*u %ms %ms", &id, &root, &point) == 3 && id == about.stx_mnt_id) {
			*ret_depth = depth + steps(root) - steps(point);
			return 0;
		}
	}
	return -ENOENT;
}

int fp_cgroup_open(const char *path, struct fp_cgroup *ret_cgroup)
{
	struct statfs fs;
	struct stat st;
	int r, depth = 0;

	if (!realpath(path, ret_cgroup->path) || statfs(ret_cgroup->path, &fs) < 0 || stat(ret_cgroup->path, &st) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_MAGIC)
		return -ENOTDIR;
	r = mount_depth(ret_cgroup->path, &depth);
	if (r < 0)
		return r;
	ret_cgroup->id = st.st_ino;
	ret_cgroup->level = depth + steps(ret_cgroup->path);
	return ret_cgroup->level < 0 ? -EXDEV : 0;
}

int fp_cgroup_make(const char *name, struct fp_cgroup *ret_cgroup)
{
	char path[PATH_MAX], mount[PATH_MAX];
	int r = find_mount(mount);

	if (r < 0)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", mount, name) >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0755) < 0)
		return -errno;
	r = fp_cgroup_open(path, ret_cgroup);
	if (r < 0)
		rmdir(path);
	return r;
}

static int open_in(const struct fp_cgroup *cgroup, const char *file, int flags)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", cgroup->path, file) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int fp_cgroup_enter(const struct fp_cgroup *cgroup, int pid)
{
	fp_cleanup(fp_closep) int fd = open_in(cgroup, "cgroup.procs", O_WRONLY);

	if (fd < 0)
		return fd;
	return dprintf(fd, "%d", pid) < 0 ? -errno : 0;
}

int fp_cgroup_populated(const struct fp_cgroup *cgroup)
{
	fp_cleanup(fp_closep) int fd = open_in(cgroup, "cgroup.events", O_RDONLY);
	char text[256];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return strstr(text, "populated 1") != NULL;
}

int fp_cgroup_remove(const struct fp_cgroup *cgroup)
{
	return rmdir(cgroup->path) < 0 ? -errno : 0;
}
