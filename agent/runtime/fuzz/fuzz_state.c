/* state.json and the names of cgroups. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtime/cgroup_name.h"
#include "agent/runtime/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fp_cgroup_name name;
	struct fp_state state;
	char *path = strndup((const char *)data, size);

	if (!path)
		abort();
	if (fp_state_parse((const char *)data, size, &state) == 0) {
		if (!state.id)
			abort();
		fp_state_done(&state);
	}
	memset(&state, 0, sizeof(state));
	fp_state_parse_bundle((const char *)data, size, &state);
	fp_state_parse_docker((const char *)data, size, &state);
	fp_state_done(&state);
	if (fp_cgroup_name(path, &name) == 0 && (name.id.len == 0 || name.id.data < path || name.id.data + name.id.len > path + strlen(path)))
		abort();
	free(path);
	return 0;
}
