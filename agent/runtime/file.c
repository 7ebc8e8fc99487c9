#include "agent/runtime/file.h"

#include <errno.h>
#include <unistd.h>

#include "agent/runtime/runtime.h"
#include "base/cleanup.h"

int fp_runtime_read_file(int dir, const char *name, struct fp_buffer *ret_text, struct stat *ret_st)
{
	fp_cleanup(fp_closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat own, *st = ret_st ? ret_st : &own;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode) || st->st_size > FP_RUNTIME_STATE_MAX)
		return -EBADMSG;
	while (n > 0 && ret_text->len <= FP_RUNTIME_STATE_MAX) {
		char *room = fp_buffer_reserve(ret_text, 65536);

		if (!room)
			return -ENOMEM;
		n = read(fd, room, 65536);
		if (n > 0)
			ret_text->len += (size_t)n;
	}
	return n < 0 ? -errno : 0;
}
