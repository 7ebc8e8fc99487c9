#include "agent/runtime/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/runtime/cgroup_name.h"
#include "agent/runtime/elsewhere.h"
#include "agent/runtime/file.h"
#include "agent/runtime/state.h"
#include "base/buffer.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* The kernel allows more; no runtime nests deeper, and no node has more. */
#define DEPTH_MAX 32
#define DIRECTORIES_MAX 200000
#define KEEP_GONE_MS 10000

struct record {
	uint64_t cgroup; /* 0: the directory is not there (yet) */
	char *name; /* directory below the runc root; NULL: known by its path only */
	struct timespec written; /* state.json when it was read */
	ino_t file;
	struct fp_state state;
	uint64_t asked; /* by path only: first question, ms of CLOCK_MONOTONIC */
	uint64_t gone; /* named, its cgroup not known: when runc had removed it, ms */
	bool complete; /* the same: other files have told the rest */
	UT_hash_handle by_cgroup, by_name;
};

struct fp_runtime {
	char *cgroup_dir, *runc_root;
	char *host_root; /* where the files of other runtimes are; "" for / */
	struct record *cgroups; /* by cgroup id, in order of discovery */
	struct record *names; /* by name: what is under the runc root */
	unsigned patience;
	fp_runtime_made_fn made;
	void *made_arg;
};

/* --- records ---------------------------------------------------------------- */

static void remove_record(struct fp_runtime *runtime, struct record *record)
{
	if (record->by_cgroup.tbl)
		HASH_DELETE(by_cgroup, runtime->cgroups, record);
	if (record->by_name.tbl)
		HASH_DELETE(by_name, runtime->names, record);
	fp_state_done(&record->state);
	free(record->name);
	free(record);
}

static struct record *find_cgroup(struct fp_runtime *runtime, uint64_t cgroup)
{
	struct record *record;

	HASH_FIND(by_cgroup, runtime->cgroups, &cgroup, sizeof(cgroup), record);
	return record;
}

static struct record *find_name(struct fp_runtime *runtime, const char *name)
{
	struct record *record;

	HASH_FIND(by_name, runtime->names, name, strlen(name), record);
	return record;
}

/* From now on the record answers for the cgroup; an older one no longer does. */
static int claim(struct fp_runtime *runtime, struct record *record, uint64_t cgroup)
{
	struct record *former = find_cgroup(runtime, cgroup);

	if (former)
		remove_record(runtime, former);
	if (HASH_CNT(by_cgroup, runtime->cgroups) >= FP_RUNTIME_CONTAINERS_MAX)
		remove_record(runtime, runtime->cgroups);
	record->cgroup = cgroup;
	HASH_ADD(by_cgroup, runtime->cgroups, cgroup, sizeof(record->cgroup), record);
	return record->by_cgroup.tbl ? 0 : -ENOMEM;
}

/* What runc has removed or written anew keeps its cgroup and loses its name. */
static void release_name(struct fp_runtime *runtime, struct record *record)
{
	HASH_DELETE(by_name, runtime->names, record);
	record->by_name.tbl = NULL;
	if (record->cgroup == 0)
		remove_record(runtime, record);
}

/* --- what runc has written ---------------------------------------------------- */

static bool is_same_file(const struct record *record, const struct stat *st)
{
	return record->file == st->st_ino && record->written.tv_sec == st->st_mtim.tv_sec &&
	       record->written.tv_nsec == st->st_mtim.tv_nsec;
}

/* The inode of the directory is the cgroup's id. */
static uint64_t cgroup_of(const char *path)
{
	struct stat st;

	return path && path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? st.st_ino : 0;
}

static int add_record(struct fp_runtime *runtime, const char *name, const struct stat *st, struct fp_state *state)
{
	struct record *record = calloc(1, sizeof(*record));
	uint64_t cgroup;

	if (!record) {
		fp_state_done(state);
		return -ENOMEM;
	}
	record->state = *state;
	record->file = st->st_ino;
	record->written = st->st_mtim;
	record->name = strdup(name);
	if (record->name)
		HASH_ADD_KEYPTR(by_name, runtime->names, record->name, strlen(record->name), record);
	if (!record->by_name.tbl) {
		remove_record(runtime, record);
		return -ENOMEM;
	}
	cgroup = cgroup_of(record->state.cgroup_path);
	return cgroup ? claim(runtime, record, cgroup) : 0;
}

/* One directory below the runc root.  What cannot be read is passed over: it may be half written, or gone. */
static int scan_container(struct fp_runtime *runtime, int root, const char *name)
{
	fp_cleanup(fp_closep) int dir = openat(root, name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
	fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;
	struct record *record = find_name(runtime, name);
	struct fp_state state;
	struct stat st;
	int r;

	if (dir < 0 || fstatat(dir, "state.json", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (record && is_same_file(record, &st)) {
		uint64_t cgroup = record->cgroup ? 0 : cgroup_of(record->state.cgroup_path);

		return cgroup ? claim(runtime, record, cgroup) : 0;
	}
	r = fp_runtime_read_file(dir, "state.json", &text, &st);
	if (r == 0)
		r = fp_state_parse(text.data, text.len, &state);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (record)
		release_name(runtime, record);
	return add_record(runtime, name, &st, &state);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One whose cgroup was gone before we looked is kept for a while: who saw the cgroup being made may still ask. */
static bool may_be_asked_for(struct record *record)
{
	if (record->cgroup)
		return false;
	if (!record->gone)
		record->gone = now_ms();
	return now_ms() - record->gone < KEEP_GONE_MS;
}

/* Names of containers that are gone make room. */
static void drop_gone(struct fp_runtime *runtime, int root)
{
	struct record *record, *next;
	struct stat st;

	HASH_ITER(by_name, runtime->names, record, next)
		if (fstatat(root, record->name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT && !may_be_asked_for(record))
			release_name(runtime, record);
}

static int scan_runc_root(struct fp_runtime *runtime)
{
	fp_cleanup(closedirp) DIR *root = runtime->runc_root ? opendir(runtime->runc_root) : NULL;
	struct dirent *entry;
	int r = 0;

	if (!root)
		return 0;
	drop_gone(runtime, dirfd(root));
	while (r == 0 && (entry = readdir(root)))
		if (entry->d_name[0] != '.' && HASH_CNT(by_name, runtime->names) < FP_RUNTIME_CONTAINERS_MAX)
			r = scan_container(runtime, dirfd(root), entry->d_name);
	return r;
}

/* --- what the cgroup's path says ------------------------------------------------ */

struct walk {
	struct fp_runtime *runtime;
	uint64_t wanted;
	struct record *above; /* the nearest known container on the way */
	struct fp_buffer path;
	unsigned directories;
};

/* 1 found, its path in walk->path; 0 not below here; -ENOMEM. */
static int walk_into(struct walk *walk, int parent, const char *name, unsigned depth)
{
	fp_cleanup(closedirp) DIR *dir = NULL;
	struct record *above = walk->above;
	size_t len = walk->path.len;
	struct dirent *entry;
	int r = 0, fd = openat(parent, name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);

	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(dir)) && walk->directories < DIRECTORIES_MAX) {
		struct record *record;
		struct stat st;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		walk->directories++;
		fp_buffer_add_format(&walk->path, "/%s", entry->d_name);
		if (walk->path.failed)
			return -ENOMEM;
		if (st.st_ino == walk->wanted)
			return 1;
		record = find_cgroup(walk->runtime, st.st_ino);
		walk->above = record && record->name ? record : above;
		if (depth < DEPTH_MAX)
			r = walk_into(walk, dirfd(dir), entry->d_name, depth + 1);
		if (r == 0) {
			walk->path.len = len;
			walk->above = above;
		}
	}
	return r;
}

static char *copy(struct fp_str text)
{
	return text.len ? strndup(text.data, text.len) : NULL;
}

/* What other runtimes say of it.  To be asked again while they may still be writing. */
static int complete(const struct fp_runtime *runtime, struct record *record)
{
	struct fp_cgroup_name name;
	int r = fp_cgroup_name(record->state.cgroup_path, &name);

	if (r == 0)
		r = fp_elsewhere_find(runtime->host_root, &name, &record->state);
	record->complete = r > 0;
	return r < 0 ? r : 0;
}

static int add_by_path(struct fp_runtime *runtime, uint64_t cgroup, const char *path)
{
	struct record *record = calloc(1, sizeof(*record));
	struct fp_cgroup_name name;
	int r;

	if (!record)
		return -ENOMEM;
	r = fp_cgroup_name(path, &name);
	if (r == 0) {
		record->asked = now_ms();
		record->state.id = copy(name.id);
		record->state.function = copy(name.function);
		record->state.cgroup_path = strdup(path);
		r = record->state.id && record->state.cgroup_path ? complete(runtime, record) : -ENOMEM;
		if (r == 0)
			r = claim(runtime, record, cgroup);
	}
	if (r < 0)
		remove_record(runtime, record);
	return r;
}

/* Finds the cgroup's directory.  *ret_above: a known container above it; otherwise it is added by its path. */
static int search_path(struct fp_runtime *runtime, uint64_t cgroup, struct record **ret_above)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer path = FP_BUFFER_INIT;
	struct walk walk = {.runtime = runtime, .wanted = cgroup};
	int r;

	*ret_above = NULL;
	fp_buffer_add_text(&walk.path, runtime->cgroup_dir);
	r = walk.path.failed ? -ENOMEM : walk_into(&walk, AT_FDCWD, runtime->cgroup_dir, 0);
	path = walk.path;
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_above = walk.above;
	return walk.above ? 0 : add_by_path(runtime, cgroup, path.data);
}

/* It is gone before we looked; who saw it being made knows where, and nobody writes of it any more. */
static int search_gone(struct fp_runtime *runtime, uint64_t cgroup)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer path = FP_BUFFER_INIT;
	struct record *record, *next;
	char below[PATH_MAX];
	int r;

	if (!runtime->made || runtime->made(runtime->made_arg, cgroup, below, sizeof(below)) < 0)
		return -ENOENT;
	fp_buffer_add_format(&path, "%s%s", runtime->cgroup_dir, below);
	if (path.failed)
		return -ENOMEM;
	HASH_ITER(by_name, runtime->names, record, next)
		if (!record->cgroup && record->state.cgroup_path && strcmp(record->state.cgroup_path, path.data) == 0)
			return claim(runtime, record, cgroup);
	r = add_by_path(runtime, cgroup, path.data);
	record = r == 0 ? find_cgroup(runtime, cgroup) : NULL;
	if (record)
		record->asked = 0;
	return r;
}

/* --- life cycle and question --------------------------------------------------- */

int fp_runtime_open(const char *cgroup_dir, const char *runc_root, struct fp_runtime **ret_runtime)
{
	struct fp_runtime *runtime;

	if (!cgroup_of(cgroup_dir))
		return -ENOTDIR;
	runtime = calloc(1, sizeof(*runtime));
	if (!runtime)
		return -ENOMEM;
	runtime->patience = FP_RUNTIME_PATIENCE_MS;
	runtime->cgroup_dir = strdup(cgroup_dir);
	runtime->runc_root = runc_root ? strdup(runc_root) : NULL;
	runtime->host_root = strdup("");
	if (!runtime->cgroup_dir || !runtime->host_root || (runc_root && !runtime->runc_root)) {
		fp_runtime_close(runtime);
		return -ENOMEM;
	}
	*ret_runtime = runtime;
	return 0;
}

struct fp_runtime *fp_runtime_close(struct fp_runtime *runtime)
{
	if (!runtime)
		return NULL;
	while (runtime->names)
		remove_record(runtime, runtime->names);
	while (runtime->cgroups)
		remove_record(runtime, runtime->cgroups);
	free(runtime->cgroup_dir);
	free(runtime->runc_root);
	free(runtime->host_root);
	free(runtime);
	return NULL;
}

void fp_runtime_set_patience(struct fp_runtime *runtime, unsigned ms)
{
	runtime->patience = ms;
}

void fp_runtime_set_made_fn(struct fp_runtime *runtime, fp_runtime_made_fn fn, void *arg)
{
	runtime->made = fn;
	runtime->made_arg = arg;
}

int fp_runtime_scan(struct fp_runtime *runtime)
{
	return scan_runc_root(runtime);
}

int fp_runtime_set_host_root(struct fp_runtime *runtime, const char *root)
{
	char *copied = strdup(strcmp(root, "/") == 0 ? "" : root);

	if (!copied)
		return -ENOMEM;
	free(runtime->host_root);
	runtime->host_root = copied;
	return 0;
}

/* Of one that is over nobody will write any more. */
static bool must_wait(const struct fp_runtime *runtime, const struct record *record)
{
	return !record->name && record->asked && !record->complete && runtime->runc_root && now_ms() - record->asked < runtime->patience &&
	       cgroup_of(record->state.cgroup_path) == record->cgroup;
}

int fp_runtime_lookup(struct fp_runtime *runtime, uint64_t cgroup, struct fp_container *ret_container)
{
	struct record *record = find_cgroup(runtime, cgroup), *above = NULL;
	int r;

	/* also when patience is at its end: a runtime that has much to do writes late */
	if (!record || (record->asked && !record->complete)) {
		r = scan_runc_root(runtime);
		if (r < 0)
			return r;
		record = find_cgroup(runtime, cgroup);
	}
	if (!record) {
		r = search_path(runtime, cgroup, &above);
		if (r == -ENOENT)
			r = search_gone(runtime, cgroup);
		if (r < 0)
			return r;
		record = above ? above : find_cgroup(runtime, cgroup);
	}
	if (must_wait(runtime, record) || (record->asked && !record->complete)) {
		r = complete(runtime, record);
		if (r < 0)
			return r;
	}
	if (must_wait(runtime, record))
		return -ENOENT;
	*ret_container = (struct fp_container){
		.id = record->state.id,
		.function = record->state.function,
		.replica = record->state.replica,
		.image = record->state.image,
		.bundle = record->state.bundle,
		.cgroup_path = record->state.cgroup_path,
	};
	return 0;
}
