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

/* Takes a copy unless there is one already. */
static int keep(char **place, const char *value)
{
	size_t len = value ? strlen(value) : 0;

	if (*place || len == 0 || len > VALUE_MAX)
		return 0;
	*place = strdup(value);
	return *place ? 0 : -ENOMEM;
}

/* Value of the first label "<key>=<value>" of the first key that has one. */
static const char *find_label(const json_t *labels, const char *const *keys)
{
	for (; *keys; keys++) {
		size_t i, len = strlen(*keys);
		json_t *label;

		json_array_foreach(labels, i, label) {
			const char *text = json_string_value(label);

			if (text && strncmp(text, *keys, len) == 0 && text[len] == '=')
				return text + len + 1;
		}
	}
	return NULL;
}

static int read_labels(const json_t *labels, struct fp_state *state)
{
	/* ours and OpenFaaS's, then what Kubernetes' runtimes note: the container is named after the function */
	static const char *const function[] = {"openfaas.function", "com.openfaas.function", "faas_function",
					       "io.kubernetes.cri.container-name", "io.kubernetes.container.name", NULL};
	static const char *const replica[] = {"openfaas.replica", "io.kubernetes.cri.sandbox-name",
					      "io.kubernetes.pod.name", NULL};
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
