/* Containers by cgroup: from runc's files, from paths, coming and going, hostile files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/runtime/cgroup_name.h"
#include "agent/runtime/runtime.h"
#include "agent/runtime/state.h"
#include "base/buffer.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct world {
	char dir[64];
	struct fp_runtime *runtime;
};

static const char *path_in(const struct world *world, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", world->dir, name);
	return path;
}

static uint64_t make_directory(const struct world *world, const char *name)
{
	struct stat st;

	assert_int_equal(mkdir(path_in(world, name), 0755), 0);
	assert_int_equal(stat(path_in(world, name), &st), 0);
	return st.st_ino;
}

static void write_file(const struct world *world, const char *name, const char *text, size_t len)
{
	FILE *file = fopen(path_in(world, name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* As runc 1.1 writes it, what does not matter here left out. */
static void write_state(const struct world *world, const char *id, const char *cgroup, const char *labels)
{
	struct fp_buffer text = FP_BUFFER_INIT;
	char name[256];

	fp_buffer_add_format(&text,
			     "{\"id\":\"%s\",\"init_process_pid\":7062,\"created\":\"2026-11-21T01:49:20.061129451Z\","
			     "\"config\":{\"no_pivot_root\":false,\"rootfs\":\"/srv/%s/rootfs\",\"labels\":[%s],"
			     "\"cgroups\":{\"path\":\"%s\"}},\"rootless\":false,\"cgroup_paths\":{\"\":\"%s/cgroup/%s\","
			     "\"pids\":\"/sys/fs/cgroup/pids/%s\"}}",
			     id, id, labels, cgroup, world->dir, cgroup, cgroup);
	snprintf(name, sizeof(name), "runc/%s/state.json", id);
	write_file(world, name, text.data, text.len);
	fp_buffer_done(&text);
}

static int open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char *cgroup, *runc;

	assert_non_null(world);
	strcpy(world->dir, "/tmp/faasprov-runtime-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	make_directory(world, "cgroup");
	make_directory(world, "runc");
	cgroup = strdup(path_in(world, "cgroup"));
	runc = strdup(path_in(world, "runc"));
	assert_int_equal(fp_runtime_open(cgroup, runc, &world->runtime), 0);
	free(cgroup);
	free(runc);
	*state = world;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int close_world(void **state)
{
	struct world *world = *state;

	fp_runtime_close(world->runtime);
	nftw(world->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(world);
	return 0;
}

static void from_runc(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t cgroup;

	assert_int_equal(fp_runtime_lookup(world->runtime, 12345, &container), -ENOENT);
	/* containers come after the question */
	cgroup = make_directory(world, "cgroup/cc-0");
	make_directory(world, "runc/cc-0");
	write_state(world, "cc-0", "cc-0",
		    "\"openfaas.function=authorize-cc\",\"openfaas.replica=0\",\"openfaas.image=lab/cc:1\",\"bundle=/srv/cc-0\"");
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.id, "cc-0");
	assert_string_equal(container.function, "authorize-cc");
	assert_string_equal(container.replica, "0");
	assert_string_equal(container.image, "lab/cc:1");
	assert_string_equal(container.bundle, "/srv/cc-0");
	assert_string_equal(container.cgroup_path, path_in(world, "cgroup/cc-0"));
}

static void without_labels(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t cgroup = make_directory(world, "cgroup/x");

	make_directory(world, "runc/x");
	write_state(world, "x", "x", "7,null,\"bundle\",\"openfaas.functions=no\"");
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.id, "x");
	assert_null(container.function);
	assert_null(container.bundle);
	assert_string_equal(container.image, "/srv/x/rootfs");
}

static void kubernetes(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t cgroup = make_directory(world, "cgroup/k");

	make_directory(world, "runc/k");
	write_state(world, "k", "k",
		    "\"io.kubernetes.cri.container-name=purchase\",\"io.kubernetes.cri.sandbox-name=purchase-6f5-x2\","
		    "\"io.kubernetes.cri.image-name=shop/purchase:2\"");
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.function, "purchase");
	assert_string_equal(container.replica, "purchase-6f5-x2");
	assert_string_equal(container.image, "shop/purchase:2");
}

/* Late events of a container that is gone still find it; its successor of the same name is another. */
static void coming_and_going(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t first = make_directory(world, "cgroup/a"), second;
	char gone[128];
	struct timespec times[2] = {{0}, {.tv_sec = 1000}};

	make_directory(world, "runc/a");
	write_state(world, "a", "a", "\"openfaas.function=one\"");
	assert_int_equal(fp_runtime_lookup(world->runtime, first, &container), 0);
	snprintf(gone, sizeof(gone), "%s/gone", world->dir);
	assert_int_equal(rename(path_in(world, "cgroup/a"), gone), 0);
	second = make_directory(world, "cgroup/a");
	write_state(world, "a", "a", "\"openfaas.function=two\"");
	assert_int_equal(utimensat(AT_FDCWD, path_in(world, "runc/a/state.json"), times, 0), 0);
	assert_int_equal(fp_runtime_lookup(world->runtime, second, &container), 0);
	assert_string_equal(container.function, "two");
	assert_int_equal(fp_runtime_lookup(world->runtime, first, &container), 0);
	assert_string_equal(container.function, "one");
	assert_int_equal(remove(path_in(world, "runc/a/state.json")), 0);
	assert_int_equal(remove(path_in(world, "runc/a")), 0);
	assert_int_equal(fp_runtime_lookup(world->runtime, 12345, &container), -ENOENT);
	assert_int_equal(fp_runtime_lookup(world->runtime, second, &container), 0);
	assert_string_equal(container.function, "two");
}

static void by_path_after_patience(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t cgroup;

	make_directory(world, "cgroup/kubepods.slice");
	cgroup = make_directory(world, "cgroup/kubepods.slice/cri-containerd-" HEX64 ".scope");
	/* the runtime may be about to write it down */
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), -ENOENT);
	fp_runtime_set_patience(world->runtime, 0);
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.id, HEX64);
	assert_null(container.function);
	assert_string_equal(container.cgroup_path, path_in(world, "cgroup/kubepods.slice/cri-containerd-" HEX64 ".scope"));
}

static void written_down_in_time(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t cgroup = make_directory(world, "cgroup/late");

	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), -ENOENT);
	make_directory(world, "runc/late");
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), -ENOENT);
	write_state(world, "late", "late", "\"openfaas.function=f\"");
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.function, "f");
}

static void below_a_container(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t inner;

	make_directory(world, "cgroup/outer");
	make_directory(world, "cgroup/outer/a");
	inner = make_directory(world, "cgroup/outer/a/b");
	make_directory(world, "runc/outer");
	write_state(world, "outer", "outer", "\"openfaas.function=f\"");
	assert_int_equal(fp_runtime_lookup(world->runtime, inner, &container), 0);
	assert_string_equal(container.id, "outer");
	assert_string_equal(container.cgroup_path, path_in(world, "cgroup/outer"));
}

static void hostile_files(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t cgroup = make_directory(world, "cgroup/good");
	char *large = calloc(1, FP_RUNTIME_STATE_MAX + 10);

	make_directory(world, "runc/empty");
	write_file(world, "runc/empty/state.json", "", 0);
	make_directory(world, "runc/noise");
	write_file(world, "runc/noise/state.json", "\xff{\"id\":", 7);
	make_directory(world, "runc/large");
	write_file(world, "runc/large/state.json", large, FP_RUNTIME_STATE_MAX + 10);
	make_directory(world, "runc/link");
	assert_int_equal(symlink("/etc/passwd", path_in(world, "runc/link/state.json")), 0);
	make_directory(world, "runc/fifo");
	assert_int_equal(mkfifo(path_in(world, "runc/fifo/state.json"), 0600), 0);
	assert_int_equal(symlink("/", path_in(world, "runc/dir")), 0);
	write_file(world, "runc/file", "x", 1);
	make_directory(world, "runc/good");
	write_state(world, "good", "good", "\"openfaas.function=f\"");
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.function, "f");
	free(large);
}

static void states(void **context)
{
	static const char *const bad[] = {"[]", "{}", "7", "{\"config\":{}}", "{\"id\":7,\"config\":{}}",
					  "{\"id\":\"\",\"config\":{}}", "{\"id\":\"a\",\"config\":[]}"};
	struct fp_state state;
	struct fp_buffer deep = FP_BUFFER_INIT;
	static const char odd[] = "{\"id\":\"a\",\"config\":{\"labels\":{\"bundle\":1},\"rootfs\":[]},\"cgroup_paths\":[1]}";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fp_state_parse(bad[i], strlen(bad[i]), &state), -EBADMSG);
	for (int i = 0; i < 100000; i++)
		fp_buffer_add_text(&deep, "[");
	assert_int_equal(fp_state_parse(deep.data, deep.len, &state), -EBADMSG);
	fp_buffer_done(&deep);
	assert_int_equal(fp_state_parse(odd, sizeof(odd) - 1, &state), 0);
	assert_string_equal(state.id, "a");
	assert_null(state.cgroup_path);
	fp_state_done(&state);
}

static void names(void **state)
{
	static const struct {
		const char *path, *id, *function;
	} rows[] = {
		{"/sys/fs/cgroup/docker/" HEX64, HEX64, ""},
		{"/sys/fs/cgroup/system.slice/docker-" HEX64 ".scope", HEX64, ""},
		{"/sys/fs/cgroup/kubepods/burstable/pod1-2-3/" HEX64 "/init", HEX64, ""},
		{"/sys/fs/cgroup/machine.slice/libpod-" HEX64 ".scope/container", HEX64, ""},
		{"/sys/fs/cgroup/openfaas-fn/figlet", "figlet", "figlet"},
		{"/sys/fs/cgroup/lab/node1/cc-0/", "cc-0", ""},
	};
	struct fp_cgroup_name name;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(fp_cgroup_name(rows[i].path, &name), 0);
		assert_int_equal(name.id.len, strlen(rows[i].id));
		assert_memory_equal(name.id.data, rows[i].id, name.id.len);
		assert_int_equal(name.function.len, strlen(rows[i].function));
		if (name.function.len)
			assert_memory_equal(name.function.data, rows[i].function, name.function.len);
	}
	assert_int_equal(fp_cgroup_name("/", &name), -ENOENT);
	assert_int_equal(fp_cgroup_name("", &name), -ENOENT);
}

static void cannot_open(void **state)
{
	struct fp_runtime *runtime = NULL;

	assert_int_equal(fp_runtime_open("/nonexistent", NULL, &runtime), -ENOTDIR);
	assert_int_equal(fp_runtime_open("/etc/passwd", NULL, &runtime), -ENOTDIR);
	assert_null(runtime);
	assert_int_equal(fp_runtime_open("/", "/nonexistent", &runtime), 0);
	fp_runtime_close(runtime);
	assert_null(fp_runtime_close(NULL));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		TEST(from_runc), TEST(without_labels), TEST(kubernetes), TEST(coming_and_going),
		TEST(by_path_after_patience), TEST(written_down_in_time), TEST(below_a_container), TEST(hostile_files),
		cmocka_unit_test(states), cmocka_unit_test(names), cmocka_unit_test(cannot_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
