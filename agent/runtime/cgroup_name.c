#include "agent/runtime/cgroup_name.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool ends_with(struct fp_str text, const char *tail)
{
	size_t len = strlen(tail);

	return text.len >= len && memcmp(text.data + text.len - len, tail, len) == 0;
}

static bool are_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

/* What stands before the digits: nothing, or a runtime's word; never that of its helper. */
static bool is_runtime(struct fp_str word)
{
	static const char *const words[] = {"docker-", "cri-containerd-", "crio-", "libpod-", "nerdctl-", "containerd-",
					    "runc-"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (word.len == strlen(words[i]) && memcmp(word.data, words[i], word.len) == 0)
			return true;
	/* containerd with the systemd driver: <slice>:<word>:<id> */
	return word.len == 0 || word.data[word.len - 1] == ':';
}

/* 64 hex digits at the end of [<word>-]<64 hex>[.scope], or nothing. */
static struct fp_str id_of(struct fp_str part)
{
	static const struct fp_str none = {NULL, 0};

	if (ends_with(part, ".scope"))
		part.len -= strlen(".scope");
	if (part.len < FP_CONTAINER_ID_DIGITS ||
	    !are_hex(part.data + part.len - FP_CONTAINER_ID_DIGITS, FP_CONTAINER_ID_DIGITS) ||
	    !is_runtime((struct fp_str){part.data, part.len - FP_CONTAINER_ID_DIGITS}))
		return none;
	return (struct fp_str){part.data + part.len - FP_CONTAINER_ID_DIGITS, FP_CONTAINER_ID_DIGITS};
}

/* …pod<uid>[.slice]: dashes are underscores where systemd named it. */
static void take_pod(struct fp_str part, char pod[FP_POD_UID_SIZE])
{
	static const unsigned dashes[] = {8, 13, 18, 23};
	const char *uid;
	size_t len;

	if (ends_with(part, ".slice"))
		part.len -= strlen(".slice");
	for (len = FP_POD_UID_SIZE - 1; len >= 32; len -= 4) {
		char text[FP_POD_UID_SIZE] = {0};
		bool good = part.len >= len + 3;

		if (!good)
			continue;
		uid = part.data + part.len - len;
		good = memcmp(uid - 3, "pod", 3) == 0 && (uid - 3 == part.data || uid[-4] == '-');
		memcpy(text, uid, len);
		for (size_t i = 0; good && i < 4 && len > 32; i++) {
			good = text[dashes[i]] == '-' || text[dashes[i]] == '_';
			text[dashes[i]] = '0';
		}
		if (!good || !are_hex(text, len))
			continue;
		for (size_t i = 0; i < 4 && len > 32; i++)
			text[dashes[i]] = '-';
		memcpy(pod, text, len + 1);
		return;
	}
}

/* The last part of path[0..*len), which is taken off. */
static struct fp_str last_part(const char *path, size_t *len)
{
	size_t end = *len, start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		continue;
	*len = start;
	return (struct fp_str){path + start, end - start};
}

int fp_cgroup_name(const char *path, struct fp_cgroup_name *ret_name)
{
	size_t len = strlen(path), rest;
	struct fp_str leaf = last_part(path, &len), above, part = leaf, id;

	if (leaf.len == 0)
		return -ENOENT;
	*ret_name = (struct fp_cgroup_name){.id = leaf};
	rest = len;
	above = last_part(path, &rest);
	/* faasd: containerd's namespace for functions, and in it the function's name */
	if (above.len == strlen("openfaas-fn") && memcmp(above.data, "openfaas-fn", above.len) == 0)
		ret_name->function = leaf;
	for (; part.len > 0 && !ret_name->pod[0]; part = last_part(path, &len)) {
		id = ret_name->is_whole ? (struct fp_str){NULL, 0} : id_of(part);
		if (id.len) {
			ret_name->id = id;
			ret_name->is_whole = true;
		}
		take_pod(part, ret_name->pod);
	}
	return 0;
}
