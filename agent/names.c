#include "agent/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hash.h"

struct name {
	bool used; /* since it was last looked at for room */
	uint64_t object, dev, ino, gen;
	size_t key_len;
	UT_hash_handle hh;
	char key[]; /* cgroup (8 bytes), then the path */
};

struct fp_names {
	struct name *table;
	size_t key_bytes; /* of all */
	uint64_t forgotten;
	char path[FP_STR_MAX + 1], new_path[FP_STR_MAX + 1];
	char key[sizeof(uint64_t) + FP_STR_MAX + 1];
};

int fp_names_new(struct fp_names **ret_names)
{
	*ret_names = calloc(1, sizeof(**ret_names));
	return *ret_names ? 0 : -ENOMEM;
}

static void forget(struct fp_names *names, struct name *name)
{
	HASH_DEL(names->table, name);
	names->key_bytes -= name->key_len;
	free(name);
}

unsigned fp_names_look(const void *owner, struct fp_bound *ret)
{
	const struct fp_names *names = owner;

	ret[0] = fp_bound_of("names", HASH_COUNT(names->table), sizeof(*names->table), names->forgotten);
	ret[0].bytes += names->key_bytes;
	return 1;
}

void fp_names_forget(void *owner, unsigned table)
{
	struct fp_names *names = owner;
	struct name *name;

	FP_BOUND_OLDEST(names->table, name, name->key, name->key_len)
	names->forgotten++;
	forget(names, name);
}

struct fp_names *fp_names_free(struct fp_names *names)
{
	if (!names)
		return NULL;
	while (names->table)
		forget(names, names->table);
	free(names);
	return NULL;
}

/* Lexical: a symbolic link before ".." is not followed; the kernel's own paths have neither. */
static struct fp_str clean(struct fp_str path, char out[FP_STR_MAX + 1])
{
	size_t n = 0;

	if (path.len == 0 || path.data[0] != '/')
		return path;
	for (size_t i = 0; i < path.len;) {
		size_t begin, len;

		while (i < path.len && path.data[i] == '/')
			i++;
		begin = i;
		while (i < path.len && path.data[i] != '/')
			i++;
		len = i - begin;
		if (len == 0 || (len == 1 && path.data[begin] == '.'))
			continue;
		if (len == 2 && memcmp(path.data + begin, "..", 2) == 0) {
			while (n > 0 && out[--n] != '/')
				;
			continue;
		}
		out[n++] = '/';
		memcpy(out + n, path.data + begin, len);
		n += len;
	}
	if (n == 0)
		out[n++] = '/';
	return (struct fp_str){out, n};
}

static struct name *find(struct fp_names *names, uint64_t cgroup, struct fp_str path, size_t *ret_key_len)
{
	struct name *name;

	memcpy(names->key, &cgroup, sizeof(cgroup));
	if (path.len)
		memcpy(names->key + sizeof(cgroup), path.data, path.len);
	*ret_key_len = sizeof(cgroup) + path.len;
	HASH_FIND(hh, names->table, names->key, *ret_key_len, name);
	if (name)
		name->used = true;
	return name;
}

static int learn(struct fp_names *names, uint64_t cgroup, struct fp_str path, const struct fp_event *who)
{
	size_t key_len;
	struct name *name;

	if (who->naming == FP_NAMING_UNVERIFIED)
		return 0;
	name = find(names, cgroup, path, &key_len);
	if (!name) {
		if (HASH_COUNT(names->table) >= FP_NAMES_MAX)
			fp_names_forget(names, 0);
		name = malloc(sizeof(*name) + key_len);
		if (!name)
			return -ENOMEM;
		name->used = false;
		name->key_len = key_len;
		names->key_bytes += key_len;
		memcpy(name->key, names->key, key_len);
		HASH_ADD_KEYPTR(hh, names->table, name->key, key_len, name);
	}
	name->object = who->object;
	name->dev = who->dev;
	name->ino = who->ino;
	name->gen = who->gen;
	return 0;
}

static void complete(struct fp_names *names, struct fp_event *event)
{
	size_t key_len;
	struct name *name;

	if (event->ino) /* the kernel side knew */
		return;
	name = find(names, event->cgroup, event->path, &key_len);
	if (!name)
		return;
	event->object = name->object;
	event->dev = name->dev;
	event->ino = name->ino;
	event->gen = name->gen;
}

static void drop(struct fp_names *names, uint64_t cgroup, struct fp_str path)
{
	size_t key_len;
	struct name *name = find(names, cgroup, path, &key_len);

	if (name)
		forget(names, name);
}

int fp_names_note(struct fp_names *names, struct fp_event *event)
{
	switch (event->type) {
	case FP_EVENT_TYPE_OPEN:
	case FP_EVENT_TYPE_HELD:
		return event->path.len == 0 ? 0 : learn(names, event->cgroup, event->path, event);
	case FP_EVENT_TYPE_FAILED:
		event->path = clean(event->path, names->path);
		return 0;
	case FP_EVENT_TYPE_LOAD:
		if (event->ino)
			return 0;
		/* fall through */
	case FP_EVENT_TYPE_CHMOD:
	case FP_EVENT_TYPE_CHOWN:
	case FP_EVENT_TYPE_XATTR:
	case FP_EVENT_TYPE_TRUNCATE:
		event->path = clean(event->path, names->path);
		if (event->ino)
			return learn(names, event->cgroup, event->path, event);
		complete(names, event);
		return 0;
	case FP_EVENT_TYPE_LINK:
		event->new_path = clean(event->new_path, names->new_path);
		event->path = clean(event->path, names->path);
		complete(names, event);
		return event->ino ? learn(names, event->cgroup, event->new_path, event) : 0;
	case FP_EVENT_TYPE_MAKE:
	case FP_EVENT_TYPE_SYMLINK:
		if (event->type == FP_EVENT_TYPE_MAKE)
			event->path = clean(event->path, names->path);
		event->new_path = clean(event->new_path, names->new_path);
		if (!event->ino)
			return 0;
		return learn(names, event->cgroup, event->type == FP_EVENT_TYPE_MAKE ? event->path : event->new_path, event);
	case FP_EVENT_TYPE_UNLINK:
		event->path = clean(event->path, names->path);
		complete(names, event);
		drop(names, event->cgroup, event->path);
		return 0;
	case FP_EVENT_TYPE_RENAME:
		event->path = clean(event->path, names->path);
		event->new_path = clean(event->new_path, names->new_path);
		complete(names, event);
		drop(names, event->cgroup, event->path);
		return event->ino ? learn(names, event->cgroup, event->new_path, event) : 0;
	default:
		return 0;
	}
}
