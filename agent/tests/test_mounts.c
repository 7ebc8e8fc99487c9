/*
 * What a mount was made of and what it covers, and which one was changed, moved or taken away, each record field by
 * field against what the child knows it did: by symbolic links, by descriptors, through overlays, on top of each
 * other, while the argument is another at the end, and while others mount, too.  Needs root and BPF.
 */
#define RING_SIZE (64 << 20)
#include "agent/tests/places.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/statvfs.h>

enum { OPEN_TREE = 428, MOVE_MOUNT = 429, FSOPEN = 430, FSCONFIG = 431, FSMOUNT = 432, FSPICK = 433, MOUNT_SETATTR = 442 };

/* What the record of a call must say.  Objects are told by the child: which of its opens was of the same. */
struct expected {
	enum fp_operation operation;
	uint64_t flags;
	const char *path, *new_path; /* below the place; = before a string as it is; NULL: none */
	const char *attribute;
	const char *object; /* opened by that name, NULL: not told; */
	unsigned object_n; /* the n-th time */
	const char *covered;
	unsigned covered_n;
	enum fp_naming naming;
};

static void assert_name(struct fp_str text, const char *expected)
{
	assert_text(text, !expected ? "" : expected[0] == '=' ? expected + 1 : at(expected));
}

/* As at(), but = before a path that is whole. */
static const struct fp_event *opened_as(const char *name, unsigned n)
{
	return name[0] == '=' ? nth_open(name + 1, n) : opened(name, n);
}

static void assert_mount(const struct fp_event *event, const struct expected *expected)
{
	const struct fp_event *covered = expected->covered ? opened_as(expected->covered, expected->covered_n) : NULL;
	const struct fp_event *object = expected->object ? opened_as(expected->object, expected->object_n) : NULL;
	static const struct fp_event none;

	assert_int_equal(event->type, FP_EVENT_TYPE_MOUNT);
	assert_int_equal(event->operation, expected->operation);
	assert_int_equal(event->flags, expected->flags);
	assert_name(event->path, expected->path);
	assert_name(event->new_path, expected->new_path);
	assert_text(event->attribute, expected->attribute ? expected->attribute : "");
	assert_int_equal(event->naming, expected->naming);
	assert_same_object(event, object ? object : &none);
	assert_int_equal(event->place_ino, covered ? covered->ino : 0);
	assert_int_equal(event->place_dev, covered ? covered->dev : 0);
	assert_int_equal(event->place_gen, covered ? covered->gen : 0);
	assert_int_equal(event->tgid, child);
	assert_int_equal(event->tid, child);
	assert_int_equal(event->uid, 0);
	assert_int_equal(event->gid, 0);
	assert_int_equal(event->euid, 0);
	assert_int_equal(event->egid, 0);
	assert_true(event->capabilities & 1ull << CAP_SYS_ADMIN);
	assert_true(event->result >= 0);
}

#define N_OF(done) (sizeof(done) / sizeof((done)[0]))

/* All mounts that were made, but for so many that came before these. */
static void assert_mounts(const struct expected *done, size_t n_done, unsigned before)
{
	for (unsigned i = 0; i < n_done; i++)
		assert_mount(nth(FP_EVENT_TYPE_MOUNT, before + i), &done[i]);
	assert_int_equal(count(FP_EVENT_TYPE_MOUNT), before + n_done);
}

/* The child's first deed, and its record. */
static int be_alone(void)
{
	return unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int make_directories(void)
{
	return (mkdir(at("source"), 0700) && errno != EEXIST) || (mkdir(at("target"), 0700) && errno != EEXIST) ||
	       (mkdir(at("sub"), 0700) && errno != EEXIST) || (symlink("source", at("from")) && errno != EEXIST) ||
	       (symlink("target", at("way")) && errno != EEXIST) || (symlink("sub", at("aside")) && errno != EEXIST) ||
	       touch_file("plain") || touch_file("other");
}

static int each_place(void (*judge)(void), int (*work)(void))
{
	for (int i = 0; i < PLACES; i++) {
		place = places[i];
		if (make_directories())
			return 1;
		record(work);
		judge();
	}
	return 0;
}

/* --- by the old interface ------------------------------------------------------------ */

static int mount_by_links(void)
{
	int busy;

	if (be_alone() || look_at("source") || look_at("target") || look_at("sub") || look_at("plain") || look_at("other"))
		return 1;
	if (mount(at("from"), at("way"), NULL, MS_BIND, NULL) || mount("memory", at("way"), "tmpfs", MS_NODEV, "size=1m") ||
	    look_at("target"))
		return 2;
	if (mount("nothing", at("way"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) ||
	    mount(NULL, at("way"), NULL, MS_SHARED, NULL) || mount(NULL, at("way"), NULL, MS_PRIVATE, NULL))
		return 3;
	if (mount(at("way"), at("aside"), NULL, MS_MOVE, NULL) || umount2(at("aside"), 0))
		return 4;
	busy = open(at("target"), O_RDONLY | O_DIRECTORY);
	if (busy < 0 || umount2(at("way"), MNT_DETACH) || mount(at("plain"), at("other"), NULL, MS_BIND, NULL) ||
	    umount2(at("other"), UMOUNT_NOFOLLOW))
		return 5;
	return close(busy);
}

static void judge_links(void)
{
	static const struct expected done[] = {
		{FP_OPERATION_MOUNT, MS_REC | MS_PRIVATE, .path = NULL, .new_path = "=/", .naming = FP_NAMING_NONE},
		{FP_OPERATION_MOUNT, MS_BIND, "source", "target", NULL, "source", 0, "target", 0, FP_NAMING_RESOLVED},
		/* on top of the former */
		{FP_OPERATION_MOUNT, MS_NODEV, "=memory", "target", "tmpfs", "target", 1, "source", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, MS_REMOUNT | MS_BIND | MS_RDONLY, "=memory", "target", NULL, "target", 1, "source", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, MS_SHARED, "=memory", "target", NULL, "target", 1, "source", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, MS_PRIVATE, "=memory", "target", NULL, "target", 1, "source", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, MS_MOVE, "target", "sub", NULL, "target", 1, "sub", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "sub", NULL, NULL, "target", 1, "sub", 0, FP_NAMING_RESOLVED},
		/* in use: it is there no more, and not let go */
		{FP_OPERATION_UMOUNT, MNT_DETACH, "target", NULL, NULL, "source", 0, "target", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, MS_BIND, "plain", "other", NULL, "plain", 0, "other", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, UMOUNT_NOFOLLOW, "other", NULL, NULL, "plain", 0, "other", 0, FP_NAMING_RESOLVED},
	};

	/* whether there was anything to change is the machine's affair */
	assert_int_equal(nth(FP_EVENT_TYPE_MOUNT, 0)->operation, FP_OPERATION_MOUNT);
	assert_text(nth(FP_EVENT_TYPE_MOUNT, 0)->new_path, "/");
	assert_mounts(done + 1, N_OF(done) - 1, 1);
}

static void a_mount_is_known_by_its_objects(void **state)
{
	assert_int_equal(each_place(judge_links, mount_by_links), 0);
}

/* Relative names, a source that is no name, a tree of mounts. */
static int mount_about(void)
{
	int tree;

	if (be_alone() || chdir(place) || look_at("source") || look_at("target") || look_at("sub") ||
	    mount("source", "./target", NULL, MS_BIND, NULL) || mount("proc", "sub", "proc", 0, NULL) || look_at("sub"))
		return 1;
	if (umount2("target", 0) || mount("source", "target", NULL, MS_BIND, NULL) || mkdir("target/inner", 0700) ||
	    look_at("target/inner") || mount("memory", "target/inner", "tmpfs", 0, NULL) || look_at("target/inner") ||
	    mount("target", "target", NULL, MS_BIND | MS_REC, NULL))
		return 2;
	tree = (int)syscall(OPEN_TREE, AT_FDCWD, "way", 0);
	if (tree < 0 || umount2("target", 0) != -1 || errno != EBUSY || umount2("way", MNT_DETACH) || close(tree))
		return 3;
	return umount2("sub", 0) || umount2("target/inner", 0) || umount2("way", 0) || rmdir("source/inner");
}

static void judge_about(void)
{
	static const struct expected done[] = {
		{FP_OPERATION_MOUNT, MS_BIND, "source", "target", NULL, "source", 0, "target", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, 0, "=proc", "sub", "proc", "sub", 1, "sub", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "target", NULL, NULL, "source", 0, "target", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, MS_BIND, "source", "target", NULL, "source", 0, "target", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, 0, "=memory", "target/inner", "tmpfs", "target/inner", 1, "target/inner", 0, FP_NAMING_RESOLVED},
		/* with what lies on it; the same directory has two names then */
		{FP_OPERATION_MOUNT, MS_BIND | MS_REC, "source", "target", NULL, "source", 0, "source", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_OPEN_TREE, 0, "target", NULL, NULL, "source", 0, NULL, 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, MNT_DETACH, "target", NULL, NULL, "source", 0, "source", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "sub", NULL, NULL, "sub", 1, "sub", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "target/inner", NULL, NULL, "target/inner", 1, "target/inner", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "target", NULL, NULL, "source", 0, "target", 0, FP_NAMING_RESOLVED},
	};

	assert_mounts(done, N_OF(done), 1);
}

static void a_mount_is_of_what_it_was_made_of(void **state)
{
	assert_int_equal(each_place(judge_about, mount_about), 0);
}

/* --- by the new one --------------------------------------------------------------------- */

static struct {
	uint64_t set, clear, propagation, userns;
} attributes;

static int set_attributes(int dir, const char *name, unsigned flags, uint64_t set)
{
	attributes.set = set;
	return (int)syscall(MOUNT_SETATTR, dir, name, flags, &attributes, sizeof(attributes));
}

static int mount_by_descriptors(void)
{
	int prepared, made, copy;

	if (be_alone() || look_at("source") || look_at("target") || look_at("sub"))
		return 1;
	prepared = (int)syscall(FSOPEN, "tmpfs", 1);
	if (prepared < 0 || syscall(FSCONFIG, prepared, FSCONFIG_SET_STRING, "size", "1m", 0) ||
	    syscall(FSCONFIG, prepared, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return 2;
	made = (int)syscall(FSMOUNT, prepared, 1, MOUNT_ATTR_NOSUID);
	if (made < 0 || set_attributes(made, "", AT_EMPTY_PATH, MOUNT_ATTR_NODEV) ||
	    syscall(MOVE_MOUNT, made, "", AT_FDCWD, at("way"), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) || look_at("target"))
		return 3;
	if (set_attributes(AT_FDCWD, at("way"), 0, MOUNT_ATTR_NOEXEC))
		return 4;
	prepared = (int)syscall(FSPICK, AT_FDCWD, at("target"), 0);
	if (prepared < 0 || syscall(FSCONFIG, prepared, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		return 5;
	copy = (int)syscall(OPEN_TREE, AT_FDCWD, at("from"), OPEN_TREE_CLONE);
	if (copy < 0 || syscall(MOVE_MOUNT, copy, "", AT_FDCWD, at("aside"), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) ||
	    close(copy) || umount2(at("sub"), 0))
		return 6;
	return close(prepared) || close(made) || syscall(MOVE_MOUNT, AT_FDCWD, at("way"), AT_FDCWD, at("aside"), MOVE_MOUNT_F_SYMLINKS | MOVE_MOUNT_T_SYMLINKS) ||
	       umount2(at("aside"), 0);
}

static void judge_descriptors(void)
{
	static const struct expected done[] = {
		{FP_OPERATION_NEW_MOUNT, 1, NULL, NULL, "tmpfs", NULL, 0, NULL, 0, FP_NAMING_NONE},
		{FP_OPERATION_MOUNT_OPTION, FSCONFIG_SET_STRING, NULL, NULL, "size", NULL, 0, NULL, 0, FP_NAMING_NONE},
		{FP_OPERATION_MOUNT_OPTION, FSCONFIG_CMD_CREATE, NULL, NULL, NULL, "target", 1, NULL, 0, FP_NAMING_NONE},
		{FP_OPERATION_MAKE_MOUNT, MOUNT_ATTR_NOSUID, NULL, NULL, NULL, "target", 1, NULL, 0, FP_NAMING_NONE},
		{FP_OPERATION_SET_MOUNT, AT_EMPTY_PATH, NULL, NULL, NULL, "target", 1, NULL, 0, FP_NAMING_NONE},
		{FP_OPERATION_MOVE_MOUNT, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS, NULL, "target", NULL, "target", 1, "target", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_SET_MOUNT, 0, "target", NULL, NULL, "target", 1, "target", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_PICK_MOUNT, 0, "target", NULL, NULL, "target", 1, NULL, 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT_OPTION, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, NULL, "target", 1, NULL, 0, FP_NAMING_NONE},
		{FP_OPERATION_OPEN_TREE, OPEN_TREE_CLONE, "source", NULL, NULL, "source", 0, NULL, 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOVE_MOUNT, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS, "source", "sub", NULL, "source", 0, "sub", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "sub", NULL, NULL, "source", 0, "sub", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOVE_MOUNT, MOVE_MOUNT_F_SYMLINKS | MOVE_MOUNT_T_SYMLINKS, "target", "sub", NULL, "target", 1, "sub", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "sub", NULL, NULL, "target", 1, "sub", 0, FP_NAMING_RESOLVED},
	};

	assert_mounts(done, N_OF(done), 1);
}

static void a_mount_made_of_descriptors_is_known(void **state)
{
	assert_int_equal(each_place(judge_descriptors, mount_by_descriptors), 0);
}

/* --- another root ----------------------------------------------------------------------- */

static int change_root(void)
{
	if (be_alone() || look_at("target") || mount("memory", at("target"), "tmpfs", 0, NULL) || look_at("target") ||
	    mkdir(at("target/old"), 0700) || mkdir(at("target/again"), 0700) || look_at("target/old") || look_at("target/again"))
		return 1;
	if (symlink("target/old", at("oldway")) && errno != EEXIST)
		return 2;
	if (syscall(SYS_pivot_root, at("way"), at("oldway")) || symlink("again", "/link"))
		return 3;
	if (mount("more", "/link", "tmpfs", 0, NULL) || open("/again", O_RDONLY) < 0 || chdir("/again") ||
	    syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || umount2("/", 0))
		return 4;
	return 0;
}

static void judge_root(void)
{
	static const struct expected done[] = {
		{FP_OPERATION_PIVOT_ROOT, 0, "target", "target/old", NULL, "target", 1, "target/old", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_MOUNT, 0, "=more", "=/again", "tmpfs", "=/again", 0, "target/again", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_PIVOT_ROOT, 0, "=/again", "=/again", NULL, "=/again", 0, "=/again", 0, FP_NAMING_RESOLVED},
		/* the old root, with all that lies on it, from the new one; and the new one, which cannot be taken away */
		{FP_OPERATION_UMOUNT, MNT_DETACH, "=/", NULL, NULL, "target", 1, "=/again", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "=/", NULL, NULL, "=/again", 0, "=/again", 0, FP_NAMING_RESOLVED},
	};

	assert_mounts(done, N_OF(done), 2);
}

static void the_new_root_and_where_the_old_one_went_are_known(void **state)
{
	assert_int_equal(each_place(judge_root, change_root), 0);
}

static int go_below(void)
{
	return be_alone() || look_at("target") || mkdir(at("target/inner"), 0700) || look_at("target/inner") || chroot(at("way")) ||
	       chdir("/") || symlink("inner", "link") || chroot("link");
}

static void judge_below(void)
{
	static const struct expected done[] = {
		{FP_OPERATION_CHROOT, 0, "target", NULL, NULL, "target", 0, NULL, 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_CHROOT, 0, "target/inner", NULL, NULL, "target/inner", 0, NULL, 0, FP_NAMING_RESOLVED},
	};

	assert_mount(nth(FP_EVENT_TYPE_MOUNT, 1), &done[0]);
	assert_mount(nth(FP_EVENT_TYPE_MOUNT, 2), &done[1]);
	assert_int_equal(count(FP_EVENT_TYPE_MOUNT), 3);
}

static void a_root_is_a_directory(void **state)
{
	assert_int_equal(each_place(judge_below, go_below), 0);
}

/* --- an argument that changes, and others that mount ---------------------------------------- */

static int is_mounted(const char *name)
{
	struct stat it, above;

	return stat(name, &it) == 0 && stat(place, &above) == 0 && it.st_dev != above.st_dev;
}
static int is_not_mounted(const char *name) { return !is_mounted(name); }

static int is_read_only(const char *name)
{
	struct statvfs fs;

	return statvfs(name, &fs) == 0 && fs.f_flag & ST_RDONLY;
}

static int both_mounted(void)
{
	return (!is_mounted(at("x")) && mount("both", at("x"), "tmpfs", 0, NULL)) ||
	       (!is_mounted(at("y")) && mount("both", at("y"), "tmpfs", 0, NULL));
}
static int none_mounted(void)
{
	return (is_mounted(at("x")) && umount2(at("x"), 0)) || (is_mounted(at("y")) && umount2(at("y"), 0));
}
static int both_writable(void)
{
	return both_mounted() || mount(NULL, at("x"), NULL, MS_REMOUNT | MS_BIND, NULL) ||
	       mount(NULL, at("y"), NULL, MS_REMOUNT | MS_BIND, NULL);
}
static int both_back(void) { return (is_mounted(at("z")) && umount2(at("z"), 0)) || both_mounted(); }

static int ask_umount(const char *name) { return umount2(name, UMOUNT_NOFOLLOW); }
static int ask_mount(const char *name) { return mount("asked", name, "tmpfs", 0, NULL); }
static int ask_read_only(const char *name) { return mount(NULL, name, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL); }
static int ask_attributes(const char *name) { return set_attributes(AT_FDCWD, name, 0, MOUNT_ATTR_RDONLY); }
static int ask_move(const char *name) { return mount(name, at("z"), NULL, MS_MOVE, NULL); }

static const struct asked {
	enum fp_operation operation;
	uint64_t flags;
	const char *source; /* that the asked ones have, and nobody else; NULL: known by operation and flags */
	int (*prepare)(void), (*ask)(const char *), (*was_done)(const char *);
} asked[] = {
	{FP_OPERATION_UMOUNT, UMOUNT_NOFOLLOW, NULL, both_mounted, ask_umount, is_not_mounted},
	{FP_OPERATION_MOUNT, 0, "asked", none_mounted, ask_mount, is_mounted},
	{FP_OPERATION_MOUNT, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL, both_writable, ask_read_only, is_read_only},
	{FP_OPERATION_SET_MOUNT, 0, NULL, both_writable, ask_attributes, is_read_only},
	{FP_OPERATION_MOUNT, MS_MOVE, NULL, both_back, ask_move, is_not_mounted},
};
static const struct asked *now_asked;
static int with_others;

static void *mount_all_the_time(void *busy)
{
	while (racing)
		if (mount("others", busy, "tmpfs", 0, NULL) == 0)
			umount2(busy, 0);
	return busy;
}

static int race_mounts(void)
{
	struct stat x, y;
	char busy[512]; /* at() is one thread's */
	pthread_t other;
	int r;

	if (be_alone() || none_mounted() || stat(at("x"), &x) || stat(at("y"), &y))
		return 20;
	race->most = with_others ? 40 : 300; /* taking away a mount waits for all processors */
	told[0] = x.st_ino;
	told[1] = y.st_ino;
	racing = 1;
	snprintf(busy, sizeof(busy), "%s", at("busy"));
	if (with_others && pthread_create(&other, NULL, mount_all_the_time, busy))
		return 21;
	r = run_race(now_asked->prepare, now_asked->ask, now_asked->was_done);
	racing = 0;
	if (with_others && pthread_join(other, NULL))
		return 22;
	return r;
}

static bool is_asked(const struct fp_event *event)
{
	return event->type == FP_EVENT_TYPE_MOUNT && event->operation == now_asked->operation && event->tid == (uint64_t)child &&
	       event->flags == now_asked->flags &&
	       (!now_asked->source || (event->path.len == strlen(now_asked->source) &&
				       memcmp(event->path.data, now_asked->source, event->path.len) == 0));
}

/* What is told as resolved was so, by name and object; what is not has no object. */
static void judge_race(void)
{
	unsigned n = 0, sure = 0;

	for (size_t i = 0; i < n_events; i++) {
		const struct fp_event *event = &events[i];
		const char *truth;

		if (!is_asked(event))
			continue;
		assert_true(n < race->tries);
		truth = race->truth[n++] == 'x' ? "x" : "y";
		if (event->naming == FP_NAMING_UNVERIFIED) {
			assert_int_equal(event->ino, 0);
			assert_int_equal(event->place_ino, 0);
			continue;
		}
		sure++;
		assert_int_equal(event->naming, FP_NAMING_RESOLVED);
		assert_text(now_asked->flags == MS_MOVE || event->new_path.len == 0 ? event->path : event->new_path, at(truth));
		assert_true(event->ino != 0);
		if (now_asked->flags == MS_MOVE)
			assert_text(event->new_path, at("z"));
		else
			assert_int_equal(event->place_ino, told[truth[0] == 'y']);
	}
	assert_int_equal(n, race->tries);
	print_message("%s, flags %#lx%s: %u tries, argument seen changed %u times, unverified %u\n", fp_operation_name(now_asked->operation),
		      (unsigned long)now_asked->flags, with_others ? ", beside others" : "", n, race->caught, n - sure);
	if (!with_others || now_asked->operation == FP_OPERATION_UMOUNT)
		assert_int_equal(sure, n);
}

static void race_each(void)
{
	share();
	for (int i = with_others; i < (with_others ? 2 : PLACES); i++) {
		place = places[i];
		for (const char **name = (const char *[]){"x", "y", "z", "busy", NULL}; *name; name++)
			assert_true(mkdir(at(*name), 0700) == 0 || errno == EEXIST);
		for (size_t k = 0; k < sizeof(asked) / sizeof(asked[0]); k++) {
			now_asked = &asked[k];
			record(race_mounts);
			judge_race();
		}
	}
}

static void an_argument_that_changes_does_not_lie(void **state)
{
	with_others = 0;
	race_each();
}

static void who_mounts_beside_others_is_not_taken_for_them(void **state)
{
	with_others = 1;
	race_each();
}

/* --- more than are noted --------------------------------------------------------------------- */

#define MANY 300

static int mount_many(void)
{
	if (be_alone() || look_at("source") || look_at("target"))
		return 1;
	for (int i = 0; i < MANY; i++)
		if (mount("many", at("sub"), "tmpfs", 0, NULL))
			return 2;
	return mount(at("source"), at("target"), NULL, MS_BIND, NULL) || umount2(at("target"), 0) ||
	       mount(at("source"), at("way"), NULL, MS_BIND, NULL) || mount(NULL, at("way"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

/* Where not all mounts are noted, the string must say the same; of one that was not, it is all there is. */
static void of_too_many_the_string_decides(void **state)
{
	static const struct expected done[] = {
		{FP_OPERATION_MOUNT, MS_BIND, "source", "target", NULL, "source", 0, "target", 0, FP_NAMING_RESOLVED},
		{FP_OPERATION_UMOUNT, 0, "target", NULL, NULL, NULL, 0, NULL, 0, FP_NAMING_UNVERIFIED},
		{FP_OPERATION_MOUNT, MS_BIND, "source", "way", NULL, NULL, 0, NULL, 0, FP_NAMING_UNVERIFIED},
		{FP_OPERATION_MOUNT, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL, "way", NULL, NULL, 0, NULL, 0, FP_NAMING_UNVERIFIED},
	};

	place = places[1];
	assert_int_equal(make_directories(), 0);
	record(mount_many);
	assert_mounts(done, N_OF(done), 1 + MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_is_known_by_its_objects),
		cmocka_unit_test(a_mount_is_of_what_it_was_made_of),
		cmocka_unit_test(a_mount_made_of_descriptors_is_known),
		cmocka_unit_test(the_new_root_and_where_the_old_one_went_are_known),
		cmocka_unit_test(a_root_is_a_directory),
		cmocka_unit_test(an_argument_that_changes_does_not_lie),
		cmocka_unit_test(who_mounts_beside_others_is_not_taken_for_them),
		cmocka_unit_test(of_too_many_the_string_decides),
	};

	return cmocka_run_group_tests(tests, make_places, clear_places);
}
