/*
 * The compressed form of MySQL's protocol: what of the packets inside can be
 * read from the captured beginning of a send.  Private to agent/app; pure.
 */
#ifndef FP_AGENT_APP_MYSQL_COMPRESSED_H
#define FP_AGENT_APP_MYSQL_COMPRESSED_H

#include "agent/app/emit.h"
#include "base/buffer.h"

/* Enough to hold any statement that the capture can hold, and a bound for what a few bytes can swell to. */
#define FP_MYSQL_UNPACKED_MAX 4096

/*
 * The frame at the beginning of the input: its first bytes go to `ret_data`
 * (cleared before), how many bytes it holds in all to *ret_total.  0; -EBADMSG
 * when this is no frame or nothing of it can be read (zstd, say); -ENOMEM.
 */
int fp_mysql_unpack(const struct fp_app_input *input, struct fp_buffer *ret_data, size_t *ret_total);

#endif
