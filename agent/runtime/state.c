#include "agent/runtime/state.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Longer values are no names; the schema would not take them either. */
#define VALUE_MAX 1024

void fp_state_done(struct fp_state *state)
{
	free(state->id);
	free(state->function);
	free(state->replica);
	free(state->image);
	free(state->bundle);
	free(state->cgroup_path);
	*state = (struct fp_state){0};
}

int fp_state_keep(char **place, const char *value, size_t len)
{
	if (*place || !value || len == 0 || len > VALUE_MAX)
		return 0;
	/* it ends in answers and on terminals; nobody's name has these */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return 0;
	*place = strndup(value, len);
	return *place ? 0 : -ENOMEM;
}

static int keep(char **place, const char *value)
{
	return fp_state_keep(place, value, value ? strlen(value) : 0);
}

/* Value of one label: of runc's list of "<key>=<value>", or of an object. */
static const char *label_of(const json_t *labels, const char *key)
{
	size_t i, len = strlen(key);
	json_t *label;

	if (json_is_object(labels))
		return json_string_value(json_object_get(labels, key));
	json_array_foreach(labels, i, label) {
		const char *text = json_string_value(label);

		if (text && strncmp(text, key, len) == 0 && text[len] == '=')
			return text + len + 1;
	}
	return NULL;
}

/* Value of the first key that has one. */
static const char *find_label(const json_t *labels, const char *const *keys)
{
	const char *value = NULL;

	for (; *keys && !value; keys++)
		value = label_of(labels, *keys);
	return value;
}

static int read_labels(const json_t *labels, struct fp_state *state)
{
	/* ours and OpenFaaS's, then what Kubernetes' runtimes note: the container is named after the function */
	static const char *const function[] = {"openfaas.function", "com.openfaas.function", "faas_function",
					       "io.kubernetes.cri.container-name", "io.kubernetes.container.name",
					       "com.docker.swarm.service.name", "com.docker.compose.service", NULL};
	static const char *const replica[] = {"openfaas.replica", "io.kubernetes.cri.sandbox-name",
					      "io.kubernetes.pod.name", "com.docker.swarm.task.name", NULL};
	static const char *const image[] = {"openfaas.image", "io.kubernetes.cri.image-name",
					    "io.kubernetes.cri-o.ImageName", NULL};
	static const char *const bundle[] = {"bundle", NULL};
	int r = keep(&state->function, find_label(labels, function));

	if (r == 0)
		r = keep(&state->replica, find_label(labels, replica));
	if (r == 0)
		r = keep(&state->image, find_label(labels, image));
	if (r == 0)
		r = keep(&state->bundle, find_label(labels, bundle));
	return r;
}

int fp_state_parse_bundle(const char *text, size_t len, struct fp_state *state)
{
	json_auto_t *root = json_loadb(text, len, 0, NULL);
	int r;

	if (!json_is_object(root))
		return -EBADMSG;
	r = read_labels(json_object_get(root, "annotations"), state);
	return r < 0 ? r : keep(&state->image, json_string_value(json_object_get(json_object_get(root, "root"), "path")));
}

int fp_state_parse_docker(const char *text, size_t len, struct fp_state *state)
{
	json_auto_t *root = json_loadb(text, len, 0, NULL);
	const json_t *config = json_object_get(root, "Config");
	const char *name = json_string_value(json_object_get(root, "Name"));
	int r;

	if (!json_is_object(root))
		return -EBADMSG;
	r = read_labels(json_object_get(config, "Labels"), state);
	if (r == 0)
		r = keep(&state->image, json_string_value(json_object_get(config, "Image")));
	/* what it is called, where nobody says what it is for */
	if (name && *name == '/')
		name++;
	if (r == 0)
		r = keep(&state->function, name);
	return r == 0 ? keep(&state->replica, name) : r;
}

int fp_state_parse(const char *text, size_t len, struct fp_state *ret_state)
{
	json_auto_t *root = json_loadb(text, len, 0, NULL);
	const json_t *config = json_object_get(root, "config");
	struct fp_state state = {0};
	int r;

	if (!json_is_object(root) || !json_is_object(config))
		return -EBADMSG;
	r = keep(&state.id, json_string_value(json_object_get(root, "id")));
	if (r == 0)
		r = keep(&state.cgroup_path, json_string_value(json_object_get(json_object_get(root, "cgroup_paths"), "")));
	if (r == 0)
		r = read_labels(json_object_get(config, "labels"), &state);
	if (r == 0)
		r = keep(&state.image, json_string_value(json_object_get(config, "rootfs")));
	if (r == 0 && !state.id)
		r = -EBADMSG;
	if (r < 0) {
		fp_state_done(&state);
		return r;
	}
	*ret_state = state;
	return 0;
}
