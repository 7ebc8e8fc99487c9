#include "agent/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define BPF_FS "/sys/fs/bpf"
#define BPF_FS_TYPE 0xcafe4a11
#define OLD "-old" /* the BPF file system takes no dots */
#define POLL_MS 10

static int mount_bpf(void)
{
	struct statfs fs;

	if (statfs(BPF_FS, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_TYPE)
		return 0;
	return mount("bpf", BPF_FS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0 ? -errno : 0;
}

static int lock_directory(const char *path)
{
	struct stat held, there;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return -EBUSY;
	}
	/* another one may have removed it between our open and our lock */
	if (fstat(fd, &held) < 0 || stat(path, &there) < 0 || held.st_ino != there.st_ino) {
		close(fd);
		return -EAGAIN;
	}
	return fd;
}

/* The main thread of one that was killed can be gone while others of its threads still hold the lock. */
static bool wait_for_dying(unsigned *waited_ms)
{
	if (*waited_ms >= FP_PINS_WAIT_MS)
		return false;
	nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
	*waited_ms += POLL_MS;
	return true;
}

int fp_pins_open(uint64_t cgroup, struct fp_pins *ret_pins)
{
	int r = mount_bpf();
	unsigned waited_ms = 0;

	ret_pins->lock = -1;
	if (r < 0)
		return r;
	snprintf(ret_pins->path, sizeof(ret_pins->path), "%s/%" PRIu64, FP_PINS_ROOT, cgroup);
	/* again when one that ends has removed what we made or found */
	do {
		if (mkdir(FP_PINS_ROOT, 0700) < 0 && errno != EEXIST)
			return -errno;
		if (mkdir(ret_pins->path, 0700) < 0 && errno != EEXIST && errno != ENOENT)
			return -errno;
		r = lock_directory(ret_pins->path);
	} while (r == -EAGAIN || r == -ENOENT || (r == -EBUSY && wait_for_dying(&waited_ms)));
	if (r < 0)
		return r;
	ret_pins->lock = r;
	return 0;
}

void fp_pins_close(struct fp_pins *pins)
{
	if (pins->lock >= 0)
		close(pins->lock);
	pins->lock = -1;
}

void fp_pins_name(const struct fp_pins *pins, const char *name, char ret_path[FP_PINS_PATH_MAX + 64])
{
	snprintf(ret_path, FP_PINS_PATH_MAX + 64, "%s/%.60s", pins->path, name);
}

int fp_pins_get(const struct fp_pins *pins, const char *name)
{
	char path[FP_PINS_PATH_MAX + 64];
	int fd;

	fp_pins_name(pins, name, path);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

bool fp_pins_has(const struct fp_pins *pins, const char *name)
{
	char path[FP_PINS_PATH_MAX + 64];

	fp_pins_name(pins, name, path);
	return access(path, F_OK) == 0;
}

int fp_pins_remove(struct fp_pins *pins)
{
	char path[FP_PINS_PATH_MAX + 300];
	DIR *directory = opendir(pins->path);
	struct dirent *entry;
	int r = 0;

	if (!directory)
		return -errno;
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", pins->path, entry->d_name);
		if (unlink(path) < 0)
			r = -errno;
	}
	closedir(directory);
	if (rmdir(pins->path) < 0 && r == 0)
		r = -errno;
	fp_pins_close(pins);
	rmdir(FP_PINS_ROOT); /* when it was the last */
	return r;
}

int fp_pins_set_aside(struct fp_pins *pins, struct fp_pins *ret_old)
{
	struct fp_pins left = {.lock = -1};
	int fd;

	snprintf(left.path, sizeof(left.path), "%.100s%s", pins->path, OLD);
	/* of an agent that died while it replaced another */
	if (access(left.path, F_OK) == 0)
		fp_pins_remove(&left);
	if (rename(pins->path, left.path) < 0)
		return -errno;
	*ret_old = left;
	ret_old->lock = pins->lock;
	pins->lock = -1;
	if (mkdir(pins->path, 0700) < 0)
		return -errno;
	fd = lock_directory(pins->path);
	if (fd < 0)
		return fd;
	pins->lock = fd;
	return 0;
}

static int clean_one(const char *name)
{
	struct fp_pins pins = {.lock = -1};
	int fd;

	snprintf(pins.path, sizeof(pins.path), "%s/%.60s", FP_PINS_ROOT, name);
	fd = lock_directory(pins.path);
	if (fd == -EBUSY || fd == -ENOENT || fd == -EAGAIN)
		return 0;
	if (fd < 0)
		return fd;
	pins.lock = fd;
	fd = fp_pins_remove(&pins);
	return fd < 0 ? fd : 1;
}

int fp_pins_clean(uint64_t cgroup)
{
	DIR *directory = opendir(FP_PINS_ROOT);
	struct dirent *entry;
	int r = 0, n = 0;

	if (!directory)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (r >= 0 && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.' || (cgroup && strtoull(entry->d_name, NULL, 10) != cgroup))
			continue;
		r = clean_one(entry->d_name);
		n += r > 0;
	}
	closedir(directory);
	return r < 0 ? r : n;
}
