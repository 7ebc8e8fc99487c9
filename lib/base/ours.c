#include "base/ours.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TAIL ".ours"

int fp_ours_of(uint64_t pid, struct fp_ours *ret_ours)
{
	fp_cleanup(fp_fclosep) FILE *file = NULL;
	char path[64], text[1024], *at;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	/* the name, in brackets, can have anything in it; the start is the 20th field behind it */
	at = strrchr(text, ')');
	for (unsigned i = 0; at && i < 20; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -ESRCH;
	*ret_ours = (struct fp_ours){pid, strtoull(at, NULL, 10)};
	return 0;
}

/* A folder that somebody else could write into says nothing. */
static int open_folder(void)
{
	struct stat st;
	int fd = open(FP_OURS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_uid != 0 || st.st_mode & 022) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

static void name_of(uint64_t pid, char name[32])
{
	snprintf(name, 32, "%" PRIu64 TAIL, pid);
}

int fp_ours_tell(void)
{
	fp_cleanup(fp_closep) int folder = -1, file = -1;
	struct fp_ours own;
	char name[32], new[40];
	int r = fp_ours_of((uint64_t)getpid(), &own);

	if (r < 0)
		return r;
	if (mkdir(FP_OURS_FOLDER, 0700) < 0 && errno != EEXIST)
		return -errno;
	folder = open_folder();
	if (folder < 0)
		return folder;
	name_of(own.pid, name);
	snprintf(new, sizeof(new), "%s.new", name);
	file = openat(folder, new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0 || dprintf(file, "%" PRIu64 "\n", own.start) < 0 || renameat(folder, new, folder, name) < 0)
		return -errno;
	return 0;
}

void fp_ours_withdraw(void)
{
	fp_cleanup(fp_closep) int folder = open_folder();
	char name[32];

	name_of((uint64_t)getpid(), name);
	if (folder >= 0)
		unlinkat(folder, name, 0);
}

/* 1: it lives, and is who told. */
static int read_one(int folder, const char *name, struct fp_ours *ret_ours)
{
	fp_cleanup(fp_closep) int file = -1;
	char text[32] = "", *end;
	uint64_t pid = strtoull(name, &end, 10);

	if (end == name || strcmp(end, TAIL) != 0)
		return 0;
	file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file < 0 || read(file, text, sizeof(text) - 1) <= 0)
		return 0;
	if (fp_ours_of(pid, ret_ours) == 0 && ret_ours->start == strtoull(text, NULL, 10))
		return 1;
	unlinkat(folder, name, 0);
	return 0;
}

int fp_ours_list(struct fp_ours *ret, unsigned max)
{
	int fd = open_folder();
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	unsigned n = 0;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return fd == -ENOENT ? 0 : fd < 0 ? fd : -ENOMEM;
	}
	while (n < max && (entry = readdir(folder)))
		n += (unsigned)read_one(dirfd(folder), entry->d_name, &ret[n]);
	closedir(folder);
	return (int)n;
}
