#include "agent/recording.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "agent/bpf/shared.h"

static const char magic[8] = "FPREC01\n";

#define CHUNK 65536

struct fp_recording_writer {
	FILE *file;
	ZSTD_CStream *stream;
	int error;
};

struct fp_recording {
	FILE *file;
	ZSTD_DStream *stream;
	ZSTD_inBuffer in;
	bool in_frame; /* the end of the file here would cut a frame */
	char raw[CHUNK];
	char item[FP_RECORDING_ITEM_MAX];
};

static int put(struct fp_recording_writer *writer, const void *data, size_t len, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {data, len, 0};
	char out_data[CHUNK];
	size_t rest;

	do {
		ZSTD_outBuffer out = {out_data, sizeof(out_data), 0};

		rest = ZSTD_compressStream2(writer->stream, &out, &in, end);
		if (ZSTD_isError(rest))
			return writer->error = -EIO;
		if (out.pos && fwrite(out_data, 1, out.pos, writer->file) != out.pos)
			return writer->error = -errno;
	} while (in.pos < in.size || (end == ZSTD_e_end && rest));
	return 0;
}

static int put_header(struct fp_recording_writer *writer, const struct fp_host *host)
{
	uint16_t version = htole16(FP_RECORD_VERSION);
	uint8_t name_len = (uint8_t)strlen(host->name);
	int64_t offset = (int64_t)htole64((uint64_t)host->clock_offset);
	int r = put(writer, magic, sizeof(magic), ZSTD_e_continue);

	if (r == 0)
		r = put(writer, &version, sizeof(version), ZSTD_e_continue);
	if (r == 0)
		r = put(writer, &name_len, sizeof(name_len), ZSTD_e_continue);
	if (r == 0)
		r = put(writer, host->name, name_len, ZSTD_e_continue);
	if (r == 0)
		r = put(writer, host->boot, sizeof(host->boot), ZSTD_e_continue);
	if (r == 0)
		r = put(writer, &offset, sizeof(offset), ZSTD_e_continue);
	return r;
}

int fp_recording_create(const char *path, const struct fp_host *host, struct fp_recording_writer **ret_writer)
{
	struct fp_recording_writer *writer = calloc(1, sizeof(*writer));
	int r = -ENOMEM;

	if (!writer)
		return -ENOMEM;
	writer->stream = ZSTD_createCStream();
	writer->file = fopen(path, "wxe");
	if (!writer->file)
		r = -errno;
	else if (writer->stream)
		r = put_header(writer, host);
	if (r < 0) {
		writer->error = r;
		fp_recording_finish(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

int fp_recording_add(struct fp_recording_writer *writer, enum fp_recording_kind kind, const void *data, size_t len)
{
	uint32_t length = htole32((uint32_t)len);
	uint8_t kind_byte = (uint8_t)kind;
	int r;

	if (len > FP_RECORDING_ITEM_MAX)
		return -EINVAL;
	r = put(writer, &kind_byte, 1, ZSTD_e_continue);
	if (r == 0)
		r = put(writer, &length, sizeof(length), ZSTD_e_continue);
	return r == 0 ? put(writer, data, len, ZSTD_e_continue) : r;
}

int fp_recording_finish(struct fp_recording_writer *writer)
{
	int r = writer->error;

	if (r == 0)
		r = put(writer, NULL, 0, ZSTD_e_end);
	if (writer->file && fclose(writer->file) != 0 && r == 0)
		r = -errno;
	ZSTD_freeCStream(writer->stream);
	free(writer);
	return r;
}

/* 1 when all `len` bytes came, 0 at a clean end before the first, -EBADMSG otherwise. */
static int get(struct fp_recording *recording, void *data, size_t len)
{
	ZSTD_outBuffer out = {data, len, 0};

	while (out.pos < out.size) {
		size_t r;

		if (recording->in.pos == recording->in.size) {
			recording->in.size = fread(recording->raw, 1, sizeof(recording->raw), recording->file);
			recording->in.pos = 0;
		}
		if (recording->in.size == 0 && !recording->in_frame)
			return out.pos == 0 ? 0 : -EBADMSG;
		size_t before = out.pos + recording->in.pos;
		r = ZSTD_decompressStream(recording->stream, &out, &recording->in);
		if (ZSTD_isError(r))
			return -EBADMSG;
		recording->in_frame = r != 0;
		if (recording->in.size == 0 && out.pos + recording->in.pos == before && recording->in_frame)
			return -EBADMSG;
	}
	return 1;
}

static int get_header(struct fp_recording *recording, struct fp_host *ret_host)
{
	char seen[sizeof(magic)];
	uint16_t version;
	uint8_t name_len;
	int64_t offset;

	memset(ret_host, 0, sizeof(*ret_host));
	if (get(recording, seen, sizeof(seen)) != 1 || memcmp(seen, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	if (get(recording, &version, sizeof(version)) != 1)
		return -EBADMSG;
	if (le16toh(version) != FP_RECORD_VERSION)
		return -EPROTO;
	if (get(recording, &name_len, 1) != 1 || name_len > FP_BATCH_HOST_MAX ||
	    (name_len && get(recording, ret_host->name, name_len) != 1) ||
	    get(recording, ret_host->boot, sizeof(ret_host->boot)) != 1 ||
	    get(recording, &offset, sizeof(offset)) != 1)
		return -EBADMSG;
	ret_host->clock_offset = (int64_t)le64toh((uint64_t)offset);
	return 0;
}

int fp_recording_open(const char *path, struct fp_host *ret_host, struct fp_recording **ret_recording)
{
	struct fp_recording *recording = calloc(1, sizeof(*recording));
	int r = -ENOMEM;

	if (!recording)
		return -ENOMEM;
	recording->in.src = recording->raw;
	recording->in_frame = true;
	recording->stream = ZSTD_createDStream();
	recording->file = fopen(path, "re");
	if (!recording->file)
		r = -errno;
	else if (recording->stream)
		r = get_header(recording, ret_host);
	if (r < 0) {
		fp_recording_close(recording);
		return r;
	}
	*ret_recording = recording;
	return 0;
}

struct fp_recording *fp_recording_close(struct fp_recording *recording)
{
	if (!recording)
		return NULL;
	if (recording->file)
		fclose(recording->file);
	ZSTD_freeDStream(recording->stream);
	free(recording);
	return NULL;
}

int fp_recording_each(struct fp_recording *recording, fp_recording_item_fn fn, void *arg)
{
	uint8_t kind;
	int r;

	while ((r = get(recording, &kind, 1)) == 1) {
		uint32_t len;

		if (get(recording, &len, sizeof(len)) != 1)
			return -EBADMSG;
		len = le32toh(len);
		if (len > FP_RECORDING_ITEM_MAX || (len && get(recording, recording->item, len) != 1))
			return -EBADMSG;
		r = fn(arg, kind, recording->item, len);
		if (r < 0)
			return r;
	}
	return r;
}
