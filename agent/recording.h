/*
 * A recording is what the kernel side handed over, kept in a file, so that the
 * same records can be sent through the same agent again: a source like the live
 * one.  Bytes of messages are in it as they were seen; treat it as secret.
 *
 * File: zstd stream of: magic "FPREC01\n", u16 record version, host (u8 length,
 * bytes), boot id 16, clock offset i64, then items: u8 kind, u32 length, bytes.
 *   'R' a record   'C' a container: cgroup u64, then id, function, image,
 *   path of the cgroup and (not in those of old) replica, each u16 length and bytes   'L' loss: cgroup u64, cause
 *   u64, lost u64
 * Numbers are little endian.
 */
#ifndef FP_AGENT_RECORDING_H
#define FP_AGENT_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "agent/host.h"

enum fp_recording_kind {
	FP_RECORDING_RECORD = 'R',
	FP_RECORDING_CONTAINER = 'C',
	FP_RECORDING_LOSS = 'L',
};

/* Twice the largest record (exec) and more than a container's strings. */
#define FP_RECORDING_ITEM_MAX 65536

struct fp_recording_writer;
int fp_recording_create(const char *path, const struct fp_host *host, struct fp_recording_writer **ret_writer);
int fp_recording_add(struct fp_recording_writer *writer, enum fp_recording_kind kind, const void *data, size_t len);
/* Ends and closes the file; 0 or the first error there was. */
int fp_recording_finish(struct fp_recording_writer *writer);

typedef int (*fp_recording_item_fn)(void *arg, enum fp_recording_kind kind, const void *data, size_t len);
struct fp_recording;
/* 0; -EBADMSG not a recording, -EPROTO of another version, or why the file cannot be read. */
int fp_recording_open(const char *path, struct fp_host *ret_host, struct fp_recording **ret_recording);
struct fp_recording *fp_recording_close(struct fp_recording *recording);
/* Hands over every item; 0, -EBADMSG when the file is damaged or cut, or what fn returned. */
int fp_recording_each(struct fp_recording *recording, fp_recording_item_fn fn, void *arg);

#endif
