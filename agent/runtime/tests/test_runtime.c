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

static void written_down_late(void **state)
{
	struct world *world = *state;
	struct fp_container container;
	uint64_t cgroup = make_directory(world, "cgroup/late");

	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), -ENOENT);
	fp_runtime_set_patience(world->runtime, 0);
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_null(container.function);
	make_directory(world, "runc/late");
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

#define POD "8f3c1c9e-5a77-4d1b-9f2a-0c6f6f1c2d3e"
#define POD_IN_SLICE "8f3c1c9e_5a77_4d1b_9f2a_0c6f6f1c2d3e"

static void names(void **state)
{
	static const struct {
		const char *path, *id, *function, *pod;
	} rows[] = {
		/* docker, both drivers of cgroups, and as v1 has them */
		{"/sys/fs/cgroup/docker/" HEX64, HEX64, "", ""},
		{"/sys/fs/cgroup/system.slice/docker-" HEX64 ".scope", HEX64, "", ""},
		{"/sys/fs/cgroup/memory/docker/" HEX64, HEX64, "", ""},
		{"/sys/fs/cgroup/system.slice/docker-" HEX64 ".scope/init.scope/system.slice/x.service", HEX64, "", ""},
		/* containerd and CRI-O below the kubelet */
		{"/sys/fs/cgroup/kubepods/burstable/pod" POD "/" HEX64 "/init", HEX64, "", POD},
		{"/sys/fs/cgroup/kubepods/pod" POD "/" HEX64, HEX64, "", POD},
		{"/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_IN_SLICE
		 ".slice/cri-containerd-" HEX64 ".scope", HEX64, "", POD},
		{"/sys/fs/cgroup/kubepods.slice/kubepods-pod" POD_IN_SLICE ".slice/crio-" HEX64 ".scope", HEX64, "", POD},
		{"/sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"
		 "0123456789abcdef0123456789abcdef.slice/cri-containerd-" HEX64 ".scope", HEX64, "",
		 "0123456789abcdef0123456789abcdef"},
		{"/sys/fs/cgroup/kubelet/kubepods-burstable-pod" POD_IN_SLICE ".slice:cri-containerd:" HEX64, HEX64, "", ""},
		{"/sys/fs/cgroup/k3s.slice/kubepods/besteffort/pod" POD "/" HEX64, HEX64, "", POD},
		/* what stands beside a container is not it */
		{"/sys/fs/cgroup/kubepods.slice/kubepods-pod" POD_IN_SLICE ".slice/crio-conmon-" HEX64 ".scope",
		 "crio-conmon-" HEX64 ".scope", "", POD},
		{"/sys/fs/cgroup/machine.slice/libpod-conmon-" HEX64 ".scope", "libpod-conmon-" HEX64 ".scope", "", ""},
		/* podman, nerdctl, faasd, runc */
		{"/sys/fs/cgroup/machine.slice/libpod-" HEX64 ".scope/container", HEX64, "", ""},
		{"/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" HEX64 ".scope", HEX64, "", ""},
		{"/sys/fs/cgroup/system.slice/nerdctl-" HEX64 ".scope", HEX64, "", ""},
		{"/sys/fs/cgroup/openfaas-fn/figlet", "figlet", "figlet", ""},
		{"/sys/fs/cgroup/lab/node1/cc-0/", "cc-0", "", ""},
		/* nearly */
		{"/sys/fs/cgroup/docker/" HEX64 "0", HEX64 "0", "", ""},
		{"/sys/fs/cgroup/docker/g" HEX64, "g" HEX64, "", ""},
		{"/sys/fs/cgroup/evil-" HEX64 ".scope", "evil-" HEX64 ".scope", "", ""},
		{"/sys/fs/cgroup/kubepods/xpod" POD "/a", "a", "", ""},
		{"/sys/fs/cgroup/kubepods/pod8f3c1c9e-5a77-4d1b-9f2a-0c6f6f1c2d3/a", "a", "", ""},
		{"/sys/fs/cgroup/kubepods/pod..%2f..%2f..-4d1b-9f2a-0c6f6f1c2d3e/a", "a", "", ""},
		{"/sys/fs/cgroup/pod/a", "a", "", ""},
	};
	struct fp_cgroup_name name;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(fp_cgroup_name(rows[i].path, &name), 0);
		assert_int_equal(name.id.len, strlen(rows[i].id));
		assert_memory_equal(name.id.data, rows[i].id, name.id.len);
		assert_int_equal(name.is_whole, strcmp(rows[i].id, HEX64) == 0);
		assert_int_equal(name.function.len, strlen(rows[i].function));
		if (name.function.len)
			assert_memory_equal(name.function.data, rows[i].function, name.function.len);
		assert_string_equal(name.pod, rows[i].pod);
	}
	assert_int_equal(fp_cgroup_name("/", &name), -ENOENT);
	assert_int_equal(fp_cgroup_name("", &name), -ENOENT);
}

/* --- what other runtimes have written down -------------------------------------------- */

static void make_directories(const struct world *world, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s", path_in(world, name));
	for (char *at = path + strlen(world->dir) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*at = '/';
	}
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static void use_host(const struct world *world)
{
	char root[128];

	snprintf(root, sizeof(root), "%s/host", world->dir);
	assert_int_equal(fp_runtime_set_host_root(world->runtime, root), 0);
}

static uint64_t container_of(const struct world *world, const char *name)
{
	struct stat st;
	char path[300];

	snprintf(path, sizeof(path), "cgroup/%s", name);
	make_directories(world, path);
	assert_int_equal(stat(path_in(world, path), &st), 0);
	return st.st_ino;
}

static void write_host(const struct world *world, const char *dir, const char *file, const char *text)
{
	char name[400];

	make_directories(world, dir);
	snprintf(name, sizeof(name), "%s/%s", dir, file);
	write_file(world, name, text, strlen(text));
}

static void assert_container(const struct world *world, uint64_t cgroup, const char *function, const char *replica,
			     const char *image)
{
	struct fp_container container;

	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.id, HEX64);
	assert_string_equal(container.function, function);
	assert_string_equal(container.replica, replica);
	if (image)
		assert_string_equal(container.image, image);
	else
		assert_null(container.image);
}

static void bundles(void **state)
{
	static const char *const dirs[] = {
		"host/run/containerd/io.containerd.runtime.v2.task/k8s.io/" HEX64,
		"host/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" HEX64,
		"host/var/lib/containers/storage/overlay-containers/" HEX64 "/userdata",
	};
	static const char containerd[] =
		"{\"ociVersion\":\"1.1.0\",\"root\":{\"path\":\"rootfs\"},\"annotations\":{"
		"\"io.kubernetes.cri.container-name\":\"purchase\",\"io.kubernetes.cri.sandbox-name\":\"purchase-6f5-x2\","
		"\"io.kubernetes.cri.image-name\":\"shop/purchase:2\"}}";
	static const char crio[] =
		"{\"annotations\":{\"io.kubernetes.container.name\":\"purchase\",\"io.kubernetes.pod.name\":\"purchase-6f5-x2\","
		"\"io.kubernetes.cri-o.ImageName\":\"shop/purchase:2\"}}";
	struct world *world = *state;

	use_host(world);
	for (size_t i = 0; i < 3; i++) {
		char name[200];

		write_host(world, dirs[i], "config.json", i < 2 ? containerd : crio);
		snprintf(name, sizeof(name), "kubepods%zu/burstable/pod" POD "/" HEX64, i);
		/* at once: nothing is waited for */
		assert_container(world, container_of(world, name), "purchase", "purchase-6f5-x2", "shop/purchase:2");
		snprintf(name, sizeof(name), "%s/config.json", dirs[i]);
		assert_int_equal(remove(path_in(world, name)), 0);
	}
}

static void docker(void **state)
{
	static const char dir[] = "host/var/lib/docker/containers/" HEX64;
	struct world *world = *state;

	use_host(world);
	write_host(world, dir, "config.v2.json",
		   "{\"ID\":\"x\",\"Name\":\"/shop.3\",\"Config\":{\"Image\":\"shop:1\",\"Labels\":{\"com.openfaas.function\":\"shop\"}}}");
	assert_container(world, container_of(world, "system.slice/docker-" HEX64 ".scope"), "shop", "shop.3", "shop:1");
	write_host(world, dir, "config.v2.json", "{\"Name\":\"/shop.4\",\"Config\":{\"Image\":\"shop:1\",\"Labels\":null}}");
	assert_container(world, container_of(world, "docker/" HEX64), "shop.4", "shop.4", "shop:1");
}

static void kubelet_logs(void **state)
{
	struct world *world = *state;
	uint64_t cgroup = container_of(world, "kubepods/pod" POD "/" HEX64);
	struct fp_container container;

	use_host(world);
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), -ENOENT);
	make_directories(world, "host/var/log/containers");
	assert_int_equal(symlink("nowhere", path_in(world, "host/var/log/containers/a_b_c.log")), 0);
	assert_int_equal(symlink("nowhere", path_in(world, "host/var/log/containers/purchase-6f5-x2_shop_purchase-" HEX64 ".log")), 0);
	fp_runtime_set_patience(world->runtime, 0);
	assert_container(world, cgroup, "purchase", "purchase-6f5-x2", NULL);
}

static void pod_by_its_folder(void **state)
{
	struct world *world = *state;
	uint64_t cgroup = container_of(world, "kubepods.slice/kubepods-pod" POD_IN_SLICE ".slice/crio-" HEX64 ".scope");
	struct fp_container container;

	use_host(world);
	make_directories(world, "host/var/log/pods/shop_purchase-6f5-x2_" POD "/purchase");
	make_directories(world, "host/var/log/pods/other");
	fp_runtime_set_patience(world->runtime, 0);
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.replica, "purchase-6f5-x2");
	assert_null(container.function);
}

/* Names with control characters or without end, links, noise: left out, and nothing else is. */
static void hostile_values(void **state)
{
	static const char dir[] = "host/var/lib/docker/containers/" HEX64;
	struct world *world = *state;
	struct fp_buffer text = FP_BUFFER_INIT;
	struct fp_container container;
	uint64_t cgroup = container_of(world, "docker/" HEX64);

	use_host(world);
	fp_buffer_add_text(&text, "{\"Name\":\"/../../etc\",\"Config\":{\"Image\":\"a\\u001b[2J\",\"Labels\":{\"com.openfaas.function\":\"");
	for (int i = 0; i < 5000; i++)
		fp_buffer_add_text(&text, "x");
	fp_buffer_add_text(&text, "\"}}}");
	write_host(world, dir, "config.v2.json", text.data);
	fp_buffer_done(&text);
	fp_runtime_set_patience(world->runtime, 0);
	assert_int_equal(fp_runtime_lookup(world->runtime, cgroup, &container), 0);
	assert_string_equal(container.id, HEX64);
	assert_string_equal(container.function, "../../etc"); /* a text, and nowhere taken for a path */
	assert_null(container.image);
	assert_int_equal(remove(path_in(world, "host/var/lib/docker/containers/" HEX64 "/config.v2.json")), 0);
	assert_int_equal(symlink("/etc/passwd", path_in(world, "host/var/lib/docker/containers/" HEX64 "/config.v2.json")), 0);
	assert_int_equal(fp_runtime_lookup(world->runtime, container_of(world, "docker2/" HEX64), &container), 0);
	assert_null(container.function);
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
		TEST(by_path_after_patience), TEST(written_down_in_time), TEST(written_down_late), TEST(below_a_container), TEST(hostile_files),
		TEST(bundles), TEST(docker), TEST(kubelet_logs), TEST(pod_by_its_folder), TEST(hostile_values),
		cmocka_unit_test(states), cmocka_unit_test(names), cmocka_unit_test(cannot_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
