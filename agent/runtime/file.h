/* Small files of others, read whole.  Private to agent/runtime. */
#ifndef FP_AGENT_RUNTIME_FILE_H
#define FP_AGENT_RUNTIME_FILE_H

#include <fcntl.h>
#include <sys/stat.h>

#include "base/buffer.h"

/*
 * Appends the file; no link is followed at its name.  `ret_st` may be NULL.  0; -EBADMSG when it is no
 * regular file or larger than FP_RUNTIME_STATE_MAX; -ENOMEM; errno.
 */
int fp_runtime_read_file(int dir, const char *name, struct fp_buffer *ret_text, struct stat *ret_st);

#endif
