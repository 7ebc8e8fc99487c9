#include "agent/uplink/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define NAME_SIZE 32
/* What a file takes of the disk at least.  It bounds the list of frames, too: small ones would make a long one. */
#define BLOCK 4096
#define FRAMES_LEAST 64

struct fp_spool {
	int folder, lock;
	uint64_t limit, bytes;
	uint8_t agent[16];
	uint64_t head;
	uint8_t head_hash[FP_BATCH_HASH_SIZE];
	/* a queue: entries[first] is the oldest */
	struct fp_spool_entry *entries;
	size_t first, n, size;
	uint64_t kept; /* number of the .acked file, 0: none */
	unsigned damaged;
};

FP_DEFINE_CLEANUP(struct fp_spool, fp_spool_close)

enum kind { BATCH, ACKED };

static void name_of(uint64_t number, enum kind kind, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%020" PRIu64 ".%s", number, kind == BATCH ? "batch" : "acked");
}

static bool parse_name(const char *name, uint64_t *ret_number, enum kind *ret_kind)
{
	uint64_t number = 0;

	if (strlen(name) != 26 || name[20] != '.')
		return false;
	for (int i = 0; i < 20; i++) {
		if (name[i] < '0' || name[i] > '9' || number > (UINT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint64_t)(name[i] - '0');
	}
	if (strcmp(name + 21, "batch") != 0 && strcmp(name + 21, "acked") != 0)
		return false;
	*ret_kind = name[21] == 'b' ? BATCH : ACKED;
	*ret_number = number;
	return number > 0;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Whole under `name`, or not at all; on disk for good when `sync`. */
static int write_file(int folder, const char *name, const void *data, size_t len, bool sync)
{
	fp_cleanup(fp_closep) int fd = openat(folder, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r == 0 && sync && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(folder, "new", folder, name) < 0)
		r = -errno;
	if (r == 0 && sync && fsync(folder) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(folder, "new", 0);
	return r;
}

static int read_file(int folder, const char *name, size_t max, struct fp_buffer *out)
{
	fp_cleanup(fp_closep) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	size_t done = 0;
	char *room;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
		return -EBADMSG;
	room = fp_buffer_reserve(out, (size_t)st.st_size);
	if (!room)
		return -ENOMEM;
	while (done < (size_t)st.st_size) {
		ssize_t n = read(fd, room + done, (size_t)st.st_size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		done += (size_t)n;
	}
	out->len += done;
	return 0;
}

/* --- opening -------------------------------------------------------------------- */

static int read_agent(struct fp_spool *spool)
{
	struct fp_buffer text = FP_BUFFER_INIT;
	int r = read_file(spool->folder, "agent-id", 64, &text);

	if (r == 0) {
		fp_buffer_add(&text, "", 1);
		text.data[strcspn(text.data, "\n")] = '\0';
		r = fp_unhex(text.data, spool->agent, sizeof(spool->agent)) < 0 ? -EBADMSG : 0;
	}
	fp_buffer_done(&text);
	return r;
}

static int make_agent(struct fp_spool *spool)
{
	char text[34];

	if (getrandom(spool->agent, sizeof(spool->agent), 0) != sizeof(spool->agent))
		return -EIO;
	fp_hex(spool->agent, sizeof(spool->agent), text);
	strcat(text, "\n");
	return write_file(spool->folder, "agent-id", text, 33, true);
}

static int lock_folder(struct fp_spool *spool)
{
	spool->lock = openat(spool->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (spool->lock < 0)
		return -errno;
	if (flock(spool->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

static int add_entry(struct fp_spool *spool, uint64_t number, size_t len, const uint8_t *hash, bool safe)
{
	struct fp_spool_entry *entry;

	if (spool->first + spool->n == spool->size) {
		size_t size = spool->n * 2 + 16;
		struct fp_spool_entry *entries = malloc(size * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		if (spool->n)
			memcpy(entries, spool->entries + spool->first, spool->n * sizeof(*entries));
		free(spool->entries);
		spool->entries = entries;
		spool->size = size;
		spool->first = 0;
	}
	entry = &spool->entries[spool->first + spool->n++];
	*entry = (struct fp_spool_entry){.number = number, .len = len, .safe = safe};
	memcpy(entry->hash, hash, sizeof(entry->hash));
	spool->bytes += len;
	return 0;
}

static void move_head(struct fp_spool *spool, uint64_t number, const uint8_t *hash)
{
	spool->head = number;
	memcpy(spool->head_hash, hash, sizeof(spool->head_hash));
}

struct found {
	uint64_t number;
	enum kind kind;
};

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (int)y->kind - (int)x->kind; /* .acked first */
}

static int list_files(struct fp_spool *spool, struct fp_buffer *list)
{
	int fd = openat(spool->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(dir))) {
		struct found found = {0};

		if (parse_name(entry->d_name, &found.number, &found.kind))
			fp_buffer_add(list, &found, sizeof(found));
	}
	closedir(dir);
	if (list->failed)
		return -ENOMEM;
	if (list->len)
		qsort(list->data, list->len / sizeof(struct found), sizeof(struct found), compare_found);
	return 0;
}

static int set_aside(struct fp_spool *spool, const struct found *found)
{
	char name[NAME_SIZE], aside[NAME_SIZE];

	name_of(found->number, found->kind, name);
	snprintf(aside, sizeof(aside), "damaged-%020" PRIu64, found->number);
	spool->damaged++;
	return renameat(spool->folder, name, spool->folder, aside) < 0 ? -errno : 0;
}

/* Reads one file and puts it at the end of the chain; -EBADMSG when it does not belong there. */
static int admit(struct fp_spool *spool, const struct found *found)
{
	struct fp_buffer frame = FP_BUFFER_INIT;
	struct fp_batch_header header;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	struct fp_batch *batch = NULL;
	char name[NAME_SIZE];
	int r;

	name_of(found->number, found->kind, name);
	r = read_file(spool->folder, name, FP_BATCH_FRAME_MAX, &frame);
	/* a crash of the machine can leave a file of the right length and other bytes: the whole is looked at */
	if (r == 0)
		r = fp_batch_open((uint8_t *)frame.data, frame.len, &batch);
	if (r == 0) {
		header = *fp_batch_header(batch);
		fp_batch_hash((uint8_t *)frame.data, frame.len, hash);
		if (header.number != found->number || memcmp(header.agent, spool->agent, sizeof(header.agent)) != 0)
			r = -EBADMSG;
		else if (spool->head && (header.number != spool->head + 1 ||
					 memcmp(header.previous, spool->head_hash, sizeof(header.previous)) != 0))
			r = -EBADMSG;
	}
	if (r == 0 && found->kind == BATCH)
		r = add_entry(spool, found->number, frame.len, hash, false);
	if (r == 0) {
		move_head(spool, found->number, hash);
		if (found->kind == ACKED)
			spool->kept = found->number;
	}
	fp_batch_free(batch);
	fp_buffer_done(&frame);
	return r;
}

/*
 * What is older than the newest acknowledged frame is left when we died inside
 * fp_spool_acked: it goes.  Everything behind the first frame that does not
 * belong is set aside: it was never sent, for only what is safe is sent, in order.
 */
static int scan(struct fp_spool *spool)
{
	struct fp_buffer list = FP_BUFFER_INIT;
	int r = list_files(spool, &list);
	size_t n = list.len / sizeof(struct found);
	struct found *found = (struct found *)list.data;
	uint64_t newest_acked = 0;
	bool broken = false;

	for (size_t i = 0; i < n; i++)
		if (found[i].kind == ACKED)
			newest_acked = found[i].number;
	for (size_t i = 0; i < n && r == 0; i++) {
		char name[NAME_SIZE];

		if (found[i].number < newest_acked || (found[i].number == newest_acked && found[i].kind == BATCH)) {
			name_of(found[i].number, found[i].kind, name);
			r = unlinkat(spool->folder, name, 0) < 0 ? -errno : 0;
			continue;
		}
		r = broken ? -EBADMSG : admit(spool, &found[i]);
		if (r == -EBADMSG || r == -EPROTO) {
			/* the acknowledged one only tells where the chain ends: without it the next still says so */
			broken = found[i].kind == BATCH;
			r = set_aside(spool, &found[i]);
		}
	}
	fp_buffer_done(&list);
	return r;
}

static int open_folder(struct fp_spool *spool, const char *folder)
{
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	spool->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return spool->folder < 0 ? -errno : lock_folder(spool);
}

int fp_spool_open(const char *folder, uint64_t limit, struct fp_spool **ret_spool, char ret_error[256])
{
	fp_cleanup(fp_spool_closep) struct fp_spool *spool = calloc(1, sizeof(*spool));
	int r;

	snprintf(ret_error, 256, "out of memory");
	if (!spool)
		return -ENOMEM;
	spool->folder = spool->lock = -1;
	spool->limit = limit;
	r = open_folder(spool, folder);
	if (r < 0) {
		snprintf(ret_error, 256, "spool %.150s: %s", folder,
			 r == -EBUSY ? "another agent uses it" : strerror(-r));
		return r;
	}
	r = read_agent(spool);
	if (r == -ENOENT)
		r = make_agent(spool);
	if (r < 0) {
		snprintf(ret_error, 256, "spool %.150s: agent-id: %s", folder,
			 r == -EBADMSG ? "this is not an agent's id" : strerror(-r));
		return r;
	}
	r = scan(spool);
	if (r < 0) {
		snprintf(ret_error, 256, "spool %.150s: %s", folder, strerror(-r));
		return r;
	}
	ret_error[0] = '\0';
	*ret_spool = spool;
	spool = NULL;
	return 0;
}

struct fp_spool *fp_spool_close(struct fp_spool *spool)
{
	if (!spool)
		return NULL;
	if (spool->folder >= 0)
		close(spool->folder);
	if (spool->lock >= 0)
		close(spool->lock);
	free(spool->entries);
	free(spool);
	return NULL;
}

/* --- queries --------------------------------------------------------------------- */

const uint8_t *fp_spool_agent(const struct fp_spool *spool)
{
	return spool->agent;
}

void fp_spool_head(const struct fp_spool *spool, uint64_t *ret_number, uint8_t ret_hash[FP_BATCH_HASH_SIZE])
{
	*ret_number = spool->head;
	memcpy(ret_hash, spool->head_hash, FP_BATCH_HASH_SIZE);
}

unsigned fp_spool_damaged(const struct fp_spool *spool)
{
	return spool->damaged;
}

size_t fp_spool_pending(const struct fp_spool *spool)
{
	return spool->n;
}

uint64_t fp_spool_bytes(const struct fp_spool *spool)
{
	return spool->bytes;
}

const struct fp_spool_entry *fp_spool_oldest(const struct fp_spool *spool)
{
	return spool->n ? &spool->entries[spool->first] : NULL;
}

/* Numbers have no holes: the place follows from the number. */
static struct fp_spool_entry *find(const struct fp_spool *spool, uint64_t number)
{
	uint64_t first = spool->n ? spool->entries[spool->first].number : 0;

	if (spool->n == 0 || number < first || number - first >= spool->n)
		return NULL;
	return &spool->entries[spool->first + (number - first)];
}

const struct fp_spool_entry *fp_spool_entry(const struct fp_spool *spool, uint64_t number)
{
	return find(spool, number);
}

/* --- changes --------------------------------------------------------------------- */

int fp_spool_put(struct fp_spool *spool, const uint8_t *frame, size_t len)
{
	uint8_t hash[FP_BATCH_HASH_SIZE];
	struct fp_batch_header header;
	char name[NAME_SIZE];
	int r = fp_batch_peek(frame, len, &header);

	if (r < 0 || header.number != spool->head + 1 ||
	    memcmp(header.agent, spool->agent, sizeof(header.agent)) != 0 ||
	    memcmp(header.previous, spool->head_hash, sizeof(header.previous)) != 0)
		return -EINVAL;
	if (spool->bytes + len > spool->limit || spool->n >= spool->limit / BLOCK + FRAMES_LEAST)
		return -ENOSPC;
	name_of(header.number, BATCH, name);
	r = write_file(spool->folder, name, frame, len, false);
	if (r < 0)
		return r == -EDQUOT ? -ENOSPC : r;
	fp_batch_hash(frame, len, hash);
	r = add_entry(spool, header.number, len, hash, false);
	if (r < 0) {
		unlinkat(spool->folder, name, 0);
		return r;
	}
	move_head(spool, header.number, hash);
	return 0;
}

int fp_spool_read(struct fp_spool *spool, uint64_t number, struct fp_buffer *out)
{
	const struct fp_spool_entry *entry = find(spool, number);
	uint8_t hash[FP_BATCH_HASH_SIZE];
	size_t at = out->len;
	char name[NAME_SIZE];
	int r;

	if (!entry)
		return -ENOENT;
	name_of(number, BATCH, name);
	r = read_file(spool->folder, name, FP_BATCH_FRAME_MAX, out);
	if (r < 0)
		return r;
	fp_batch_hash((uint8_t *)out->data + at, out->len - at, hash);
	return memcmp(hash, entry->hash, sizeof(hash)) == 0 ? 0 : -EBADMSG;
}

static int remove_file(struct fp_spool *spool, uint64_t number, enum kind kind)
{
	char name[NAME_SIZE];

	name_of(number, kind, name);
	return unlinkat(spool->folder, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int fp_spool_acked(struct fp_spool *spool, uint64_t number)
{
	const struct fp_spool_entry *last = find(spool, number);
	char name[NAME_SIZE], acked[NAME_SIZE];
	uint64_t kept = spool->kept;
	int r = 0;

	if (!last)
		return -EINVAL;
	/* the new end of the chain first: at any instant one is there (see scan) */
	name_of(number, BATCH, name);
	name_of(number, ACKED, acked);
	if (renameat(spool->folder, name, spool->folder, acked) < 0)
		return -errno;
	spool->kept = number;
	while (spool->n > 0 && spool->entries[spool->first].number <= number) {
		const struct fp_spool_entry *entry = &spool->entries[spool->first];

		if (entry->number < number && r == 0)
			r = remove_file(spool, entry->number, BATCH);
		spool->bytes -= entry->len;
		spool->first++;
		spool->n--;
	}
	if (kept && r == 0)
		r = remove_file(spool, kept, ACKED);
	return r;
}

bool fp_spool_unsafe(const struct fp_spool *spool, struct fp_spool_unsafe *ret_unsafe)
{
	struct fp_spool_unsafe unsafe = {.folder = spool->folder};

	/* from the end: what is safe is so up to some number */
	for (size_t i = spool->n; i > 0 && !spool->entries[spool->first + i - 1].safe; i--)
		unsafe.first = spool->entries[spool->first + i - 1].number;
	if (!unsafe.first)
		return false;
	unsafe.last = spool->head;
	*ret_unsafe = unsafe;
	return true;
}

int fp_spool_sync(const struct fp_spool_unsafe *unsafe)
{
	for (uint64_t number = unsafe->first; number <= unsafe->last; number++) {
		fp_cleanup(fp_closep) int fd = -1;
		char name[NAME_SIZE];

		name_of(number, BATCH, name);
		fd = openat(unsafe->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		/* acknowledged in the meantime: found stored when the aggregator was asked */
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || fdatasync(fd) < 0)
			return -errno;
	}
	return fsync(unsafe->folder) < 0 ? -errno : 0;
}

void fp_spool_synced(struct fp_spool *spool, const struct fp_spool_unsafe *unsafe)
{
	for (uint64_t number = unsafe->first; number <= unsafe->last; number++) {
		struct fp_spool_entry *entry = find(spool, number);

		if (entry)
			entry->safe = true;
	}
}
