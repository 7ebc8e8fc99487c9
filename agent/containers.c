#include "agent/containers.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hash.h"

enum { STRINGS = 5 };

struct container_entry {
	uint64_t cgroup;
	char *strings[STRINGS]; /* id, function, image, cgroup path, replica */
	UT_hash_handle hh;
};

static void free_entry(struct container_entry *entry)
{
	for (int i = 0; i < STRINGS; i++)
		free(entry->strings[i]);
	free(entry);
}

void fp_containers_done(struct fp_containers *containers)
{
	struct container_entry *entry, *next;

	HASH_ITER(hh, containers->table, entry, next) {
		HASH_DEL(containers->table, entry);
		free_entry(entry);
	}
}

void fp_containers_encode(struct fp_buffer *buffer, uint64_t cgroup, const struct fp_container *container)
{
	const char *strings[STRINGS] = {container->id, container->function, container->image,
					container->cgroup_path, container->replica};
	uint64_t number = htole64(cgroup);

	fp_buffer_add(buffer, &number, sizeof(number));
	for (int i = 0; i < STRINGS; i++) {
		const char *text = strings[i] ? strings[i] : "";
		uint16_t len = (uint16_t)strnlen(text, FP_STR_MAX);
		uint16_t encoded = htole16(len);

		fp_buffer_add(buffer, &encoded, sizeof(encoded));
		fp_buffer_add(buffer, text, len);
	}
}

static int decode_strings(struct container_entry *entry, const char *at, const char *end)
{
	for (int i = 0; i < STRINGS; i++) {
		uint16_t len;

		if (at == end && i == STRINGS - 1) /* recordings of old say nothing of replicas */
			return 0;
		if ((size_t)(end - at) < sizeof(len))
			return -EBADMSG;
		memcpy(&len, at, sizeof(len));
		len = le16toh(len);
		at += sizeof(len);
		if ((size_t)(end - at) < len || memchr(at, '\0', len))
			return -EBADMSG;
		entry->strings[i] = strndup(at, len);
		if (!entry->strings[i])
			return -ENOMEM;
		at += len;
	}
	return at == end ? 0 : -EBADMSG;
}

int fp_containers_decode(struct fp_containers *containers, const void *data, size_t len)
{
	struct container_entry *entry, *former;
	int r;

	if (len < sizeof(entry->cgroup))
		return -EBADMSG;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memcpy(&entry->cgroup, data, sizeof(entry->cgroup));
	entry->cgroup = le64toh(entry->cgroup);
	r = decode_strings(entry, (const char *)data + sizeof(entry->cgroup), (const char *)data + len);
	if (r < 0) {
		free_entry(entry);
		return r;
	}
	HASH_FIND(hh, containers->table, &entry->cgroup, sizeof(entry->cgroup), former);
	if (former) {
		HASH_DEL(containers->table, former);
		free_entry(former);
	}
	HASH_ADD(hh, containers->table, cgroup, sizeof(entry->cgroup), entry);
	return 0;
}

int fp_containers_find(const struct fp_containers *containers, uint64_t cgroup, struct fp_container *ret_container)
{
	struct container_entry *entry;

	HASH_FIND(hh, containers->table, &cgroup, sizeof(cgroup), entry);
	if (!entry)
		return -ENOENT;
	memset(ret_container, 0, sizeof(*ret_container));
	ret_container->id = entry->strings[0];
	ret_container->function = entry->strings[1];
	ret_container->image = entry->strings[2];
	ret_container->cgroup_path = entry->strings[3];
	ret_container->replica = entry->strings[4];
	return 0;
}
