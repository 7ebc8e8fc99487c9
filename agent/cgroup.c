#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CGROUP2_MAGIC 0x63677270

/* Writes the mount point that holds `path` (NULL: the first). */
static int find_mount(const char *path, char ret_mount[PATH_MAX])
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *entry;
	size_t best = 0;

	if (!mounts)
		return -errno;
	while ((entry = getmntent(mounts))) {
		size_t len = strlen(entry->mnt_dir);

		if (strcmp(entry->mnt_type, "cgroup2") != 0 || len <= best || len >= PATH_MAX)
			continue;
		if (path && (strncmp(path, entry->mnt_dir, len) != 0 || (path[len] && path[len] != '/')))
			continue;
		memcpy(ret_mount, entry->mnt_dir, len + 1);
		best = len;
		if (!path)
			break;
	}
	endmntent(mounts);
	return best ? 0 : -ENOENT;
}

int fp_cgroup_open(const char *path, struct fp_cgroup *ret_cgroup)
{
	char mount[PATH_MAX];
	struct statfs fs;
	struct stat st;
	int r;

	if (!realpath(path, ret_cgroup->path) || statfs(ret_cgroup->path, &fs) < 0 || stat(ret_cgroup->path, &st) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_MAGIC)
		return -ENOTDIR;
	r = find_mount(ret_cgroup->path, mount);
	if (r < 0)
		return r;
	ret_cgroup->id = st.st_ino;
	ret_cgroup->level = 0;
	for (const char *c = ret_cgroup->path + strlen(mount); *c; c++)
		if (*c == '/' && c[1])
			ret_cgroup->level++;
	return 0;
}

int fp_cgroup_make(const char *name, struct fp_cgroup *ret_cgroup)
{
	char path[PATH_MAX], mount[PATH_MAX];
	int r = find_mount(NULL, mount);

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
