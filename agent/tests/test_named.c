/*
 * Calls by name say which object and which name was really used: on an ordinary
 * file system, in memory and on overlays, and while another thread changes the
 * argument in the middle of the call.  Needs root and BPF.
 */
#define RING_SIZE (64 << 20) /* nothing is lost, however slowly it is read: events and deeds are counted in step */
#include "agent/tests/places.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#define PAGE 4096

/* --- what becomes of names --------------------------------------------------------- */

static int move_about(void)
{
	int fd;

	if (touch_file("a") || touch_file("c") || rename(at("a"), at("b")) || rename(at("b"), at("c")) ||
	    mkdir(at("dir"), 0700) || look_at("dir") || rename(at("c"), at("dir/d")))
		return 1;
	fd = open(at("dir"), O_RDONLY | O_DIRECTORY);
	if (fd < 0 || renameat(fd, "d", fd, "e") || chdir(at("dir")) || rename("e", "../f") || chdir("/"))
		return 2;
	return rename(at("dir"), at("other")) || rmdir(at("other")) || unlink(at("f"));
}

static void moved(unsigned n, const char *from, const char *to)
{
	const struct fp_event *event = nth(FP_EVENT_TYPE_RENAME, n);

	assert_int_equal(event->naming, FP_NAMING_RESOLVED);
	assert_text(event->path, at(from));
	assert_text(event->new_path, at(to));
	assert_same_object(event, opened(n < 5 ? "a" : "dir", 0));
}

static void what_is_renamed_is_known(void **state)
{
	for (int i = 0; i < PLACES; i++) {
		place = places[i];
		record(move_about);
		assert_int_equal(count(FP_EVENT_TYPE_RENAME), 6);
		moved(0, "a", "b");
		moved(1, "b", "c"); /* onto another file */
		moved(2, "c", "dir/d");
		moved(3, "dir/d", "dir/e");
		moved(4, "dir/e", "f");
		moved(5, "dir", "other");
		assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 0)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_UNLINK, 0)->path, at("other"));
		assert_same_object(nth(FP_EVENT_TYPE_UNLINK, 0), opened("dir", 0));
		assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 1)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_UNLINK, 1)->path, at("f"));
		assert_same_object(nth(FP_EVENT_TYPE_UNLINK, 1), opened("a", 0));
	}
}

static int make_things(void)
{
	return mkdir(at("made"), 0750) || look_at("made") || mknod(at("made/fifo"), S_IFIFO | 0600, 0) ||
	       look_at("made/fifo") || symlink("fifo", at("made/soft")) || touch_file("made/one") ||
	       link(at("made/one"), at("made/two")) || unlink(at("made/one")) || unlink(at("made/two")) ||
	       unlink(at("made/soft")) || unlink(at("made/fifo")) || rmdir(at("made"));
}

static void what_is_made_is_known(void **state)
{
	for (int i = 0; i < PLACES; i++) {
		place = places[i];
		record(make_things);
		assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 0)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_MAKE, 0)->path, at("made"));
		assert_same_object(nth(FP_EVENT_TYPE_MAKE, 0), opened("made", 0));
		assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 1)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_MAKE, 1)->path, at("made/fifo"));
		assert_same_object(nth(FP_EVENT_TYPE_MAKE, 1), opened("made/fifo", 0));
		assert_int_equal(nth(FP_EVENT_TYPE_SYMLINK, 0)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_SYMLINK, 0)->path, "fifo");
		assert_text(nth(FP_EVENT_TYPE_SYMLINK, 0)->new_path, at("made/soft"));
		assert_true(nth(FP_EVENT_TYPE_SYMLINK, 0)->ino != 0);
		if (i != 2) /* on an overlay a link's names stay unverified */
			assert_int_equal(nth(FP_EVENT_TYPE_LINK, 0)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_LINK, 0)->path, at("made/one"));
		assert_text(nth(FP_EVENT_TYPE_LINK, 0)->new_path, at("made/two"));
		if (i != 2)
			assert_same_object(nth(FP_EVENT_TYPE_LINK, 0), opened("made/one", 0));
		if (i != 2) /* of two names in one directory: the one that is gone */
			assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 0)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_UNLINK, 0)->path, at("made/one"));
		if (i != 2) /* each name of an overlay has an inode of its own, and the first may be told as not known */
			assert_same_object(nth(FP_EVENT_TYPE_UNLINK, 0), opened("made/one", 0));
		/* an overlay keeps the first in memory for a while, so that there it is not sure of the second either */
		if (i != 2)
			assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 1)->naming, FP_NAMING_RESOLVED);
		assert_text(nth(FP_EVENT_TYPE_UNLINK, 1)->path, at("made/two"));
		if (i != 2)
			assert_same_object(nth(FP_EVENT_TYPE_UNLINK, 1), opened("made/one", 0));
		assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 2)->ino, nth(FP_EVENT_TYPE_SYMLINK, 0)->ino);
		assert_text(nth(FP_EVENT_TYPE_UNLINK, 4)->path, at("made"));
		assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 4)->naming, FP_NAMING_RESOLVED);
	}
}

/* A file that has several names: which of them each call was about. */
static int use_several_names(void)
{
	return touch_file("a") || link(at("a"), at("b")) || link(at("b"), at("c")) || chmod(at("b"), 0711) ||
	       truncate(at("c"), 77) || symlink("a", at("alias")) || chown(at("alias"), 21, 22) || unlink(at("b")) ||
	       link(at("c"), at("b")) || unlink(at("c")) || unlink(at("a")) || unlink(at("b")) || unlink(at("alias"));
}

static void assert_name(enum fp_event_type type, unsigned n, const char *name, enum fp_naming naming)
{
	assert_text(nth(type, n)->path, at(name));
	assert_same_object(nth(type, n), opened("a", 0));
	assert_int_equal(nth(type, n)->naming, naming);
}

static void one_of_several_names_is_known(void **state)
{
	for (int i = 0; i < 2; i++) { /* each name on an overlay has an inode of its own */
		place = places[i];
		record(use_several_names);
		assert_name(FP_EVENT_TYPE_LINK, 0, "a", FP_NAMING_RESOLVED);
		/* the object is sure; of its names the one that the string says, which can have said another one */
		assert_name(FP_EVENT_TYPE_LINK, 1, "b", FP_NAMING_UNVERIFIED);
		assert_text(nth(FP_EVENT_TYPE_LINK, 1)->new_path, at("c"));
		assert_name(FP_EVENT_TYPE_CHMOD, 0, "b", FP_NAMING_UNVERIFIED);
		assert_name(FP_EVENT_TYPE_TRUNCATE, 0, "c", FP_NAMING_UNVERIFIED);
		/* a link leads to one of them, and nothing says to which */
		assert_name(FP_EVENT_TYPE_CHOWN, 0, "alias", FP_NAMING_UNVERIFIED);
		assert_name(FP_EVENT_TYPE_UNLINK, 0, "b", FP_NAMING_RESOLVED);
		assert_name(FP_EVENT_TYPE_LINK, 2, "c", FP_NAMING_UNVERIFIED);
		assert_text(nth(FP_EVENT_TYPE_LINK, 2)->new_path, at("b"));
		assert_name(FP_EVENT_TYPE_UNLINK, 1, "c", FP_NAMING_RESOLVED);
		assert_name(FP_EVENT_TYPE_UNLINK, 2, "a", FP_NAMING_RESOLVED);
		assert_name(FP_EVENT_TYPE_UNLINK, 3, "b", FP_NAMING_RESOLVED);
	}
}

#define EXCHANGE 2

static int swap(const char *one, const char *other)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, at(one), AT_FDCWD, at(other), EXCHANGE);
}

/* One of a file's names is renamed; and one to another one of the same file, by which nothing happens. */
static int rename_several_names(void)
{
	/* groups of the first version can be renamed without a word, so that with them there one cannot know */
	return unshare(CLONE_NEWNS) || umount2("/sys/fs/cgroup", MNT_DETACH) || touch_file("a") || touch_file("other") || touch_file("x") ||
	       mkdir(at("dir"), 0700) || link(at("a"), at("b")) || link(at("a"), at("c")) || link(at("x"), at("y")) ||
	       rename(at("b"), at("dir/d")) || rename(at("c"), at("other")) || rename(at("a"), at("other")) ||
	       rename(at("dir/d"), at("a")) || swap("a", "x") || swap("a", "y") || chdir(at("dir")) || rename("d", "e") ||
	       chdir("/") || unlink(at("a")) || unlink(at("x")) || unlink(at("y")) || unlink(at("other")) ||
	       unlink(at("dir/e")) || rmdir(at("dir"));
}

static void assert_renamed(unsigned n, const char *from, const char *to, const char *made_as)
{
	const struct fp_event *event = nth(FP_EVENT_TYPE_RENAME, n);

	assert_text(event->path, at(from));
	assert_text(event->new_path, at(to));
	assert_same_object(event, opened(made_as, 0));
	assert_int_equal(event->naming, FP_NAMING_RESOLVED);
}

static void one_of_several_names_is_renamed(void **state)
{
	for (int i = 0; i < PLACES; i++) {
		place = places[i];
		record(rename_several_names);
		assert_renamed(0, "b", "dir/d", "a");
		assert_renamed(1, "c", "other", "a"); /* onto another file */
		assert_renamed(2, "a", "x", "a");
		assert_renamed(3, "x", "a", "x");
		/* a and y are one file now: nothing was exchanged */
		assert_renamed(4, "dir/d", "dir/e", "a");
		assert_int_equal(count(FP_EVENT_TYPE_RENAME), 5);
	}
}

/* By way of a symbolic link: the record names what it leads to. */
static int change_by_name(void)
{
	return touch_file("real") || symlink("real", at("alias")) || chmod(at("alias"), 0711) ||
	       chown(at("alias"), 21, 22) || truncate(at("alias"), 77) ||
	       setxattr(at("alias"), "trusted.mark", "1", 1, 0) || removexattr(at("alias"), "trusted.mark") ||
	       lchown(at("alias"), 23, 24) || unlink(at("alias")) || unlink(at("real"));
}

static void what_is_changed_is_known(void **state)
{
	static const enum fp_event_type changes[] = {FP_EVENT_TYPE_CHMOD, FP_EVENT_TYPE_CHOWN, FP_EVENT_TYPE_TRUNCATE,
						     FP_EVENT_TYPE_XATTR};

	for (int i = 0; i < PLACES; i++) {
		place = places[i];
		record(change_by_name);
		for (size_t j = 0; j < sizeof(changes) / sizeof(changes[0]); j++) {
			assert_int_equal(nth(changes[j], 0)->naming, FP_NAMING_RESOLVED);
			assert_text(nth(changes[j], 0)->path, at("real"));
			assert_same_object(nth(changes[j], 0), opened("real", 0));
		}
		assert_text(nth(FP_EVENT_TYPE_XATTR, 1)->path, at("real"));
		assert_text(nth(FP_EVENT_TYPE_CHOWN, 1)->path, at("alias")); /* lchown */
	}
}

/* Written below, changed above: the object is the one the process sees. */
static int copy_up(void)
{
	return look_at("below") || chmod(at("below"), 0600) || rename(at("below"), at("risen")) || unlink(at("risen"));
}

static void what_an_overlay_raises_is_one_file(void **state)
{
	place = places[2];
	record(copy_up);
	assert_same_object(nth(FP_EVENT_TYPE_CHMOD, 0), opened("below", 0));
	assert_text(nth(FP_EVENT_TYPE_CHMOD, 0)->path, at("below"));
	assert_same_object(nth(FP_EVENT_TYPE_RENAME, 0), opened("below", 0));
	assert_text(nth(FP_EVENT_TYPE_RENAME, 0)->new_path, at("risen"));
	assert_same_object(nth(FP_EVENT_TYPE_UNLINK, 0), opened("below", 0));
}

/* --- an argument that changes in the middle of the call ------------------------------- */

static int exists(const char *name) { return access(name, F_OK) == 0; }
static int is_gone(const char *name) { return !exists(name); }
static int is_private(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 && (st.st_mode & 07777) == 0600;
}

static int both_there(void)
{
	return (is_gone(at("x")) && touch_file("x")) || (is_gone(at("y")) && touch_file("y"));
}
static int both_open(void) { return both_there() || chmod(at("x"), 0644) || chmod(at("y"), 0644); }
static int none_there(void)
{
	return (exists(at("x")) && remove(at("x"))) || (exists(at("y")) && remove(at("y")));
}
static int is_linked(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 && st.st_nlink == 2;
}
static int back_there(void) { return both_there() || (exists(at("z")) && unlink(at("z"))); }

static int ask_unlink(const char *name) { return unlink(name); }
static int ask_mkdir(const char *name) { return mkdir(name, 0711); }
static int ask_rename(const char *name) { return rename(name, at("z")); }
static int ask_link(const char *name) { return link(name, at("z")); }
static int ask_chmod(const char *name) { return chmod(name, 0600); }

static int race_unlink(void) { return run_race(both_there, ask_unlink, is_gone); }
static int race_mkdir(void) { return none_there() || run_race(none_there, ask_mkdir, exists) || none_there(); }
static int race_rename(void) { return run_race(back_there, ask_rename, is_gone); }
static int race_link(void) { return run_race(back_there, ask_link, is_linked) || unlink(at("z")); }
static int race_chmod(void) { return run_race(both_open, ask_chmod, is_private); }

/* No event says, without a label, what was not so. */
static void judge(enum fp_event_type type, uint64_t mode)
{
	unsigned n = 0, sure = 0, changed = 0;
	char truth[256];

	for (size_t i = 0; i < n_events; i++) {
		const struct fp_event *event = &events[i];

		if (event->type != type || (mode && (event->mode & 07777) != mode))
			continue;
		assert_true(n < race->tries);
		snprintf(truth, sizeof(truth), "%s", at(race->truth[n++] == 'x' ? "x" : "y"));
		assert_true(event->naming != FP_NAMING_NONE);
		if (event->naming == FP_NAMING_UNVERIFIED)
			continue;
		assert_text(event->path, truth);
		sure++;
		changed += event->naming == FP_NAMING_CHANGED;
	}
	assert_int_equal(n, race->tries);
	print_message("%s: %u tries, argument seen changed %u times, told %u times, unverified %u\n",
		      fp_event_info(type)->name, n, race->caught, changed, n - sure);
	assert_true(sure * 10 >= n * 9); /* a label on everything would be no answer */
}

static void an_argument_that_changes_does_not_lie(void **state)
{
	for (int i = 0; i < PLACES; i++) {
		place = places[i];
		record(race_unlink);
		judge(FP_EVENT_TYPE_UNLINK, 0);
		record(race_mkdir);
		judge(FP_EVENT_TYPE_MAKE, 0711);
		record(race_rename);
		judge(FP_EVENT_TYPE_RENAME, 0);
		if (i != 2) { /* of those of an overlay none is resolved */
			record(race_link);
			judge(FP_EVENT_TYPE_LINK, 0);
		}
		record(race_chmod);
		judge(FP_EVENT_TYPE_CHMOD, 0600);
	}
}

/* The two names of a call: of one of them the page comes into memory late, and then the other one is changed. */
static struct two_names {
	int (*prepare)(void);
	int (*ask)(const char *from, const char *to);
	int late; /* 0: the first, 1: the second */
	int fault; /* userfaultfd(2) */
	char *page[2];
} two_names;

static void write_page(char *page, const char *name) { snprintf(page, PAGE, "%s", at(name)); }

static void *bring_the_late_one(void *ignored)
{
	struct uffd_msg fault;
	struct uffdio_copy copy = {.dst = (uintptr_t)two_names.page[two_names.late], .len = PAGE};
	static _Alignas(PAGE) char late[PAGE];
	char *other = two_names.page[!two_names.late];

	write_page(late, two_names.late ? "z" : "x");
	copy.src = (uintptr_t)late;
	if (read(two_names.fault, &fault, sizeof(fault)) != sizeof(fault))
		return ignored;
	other[strlen(other) - 1] = two_names.late ? 'y' : 'w';
	ioctl(two_names.fault, UFFDIO_COPY, &copy);
	return ignored;
}

static int make_pages(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register late = {.range = {0, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};

	for (int i = 0; i < 2; i++) {
		two_names.page[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (two_names.page[i] == MAP_FAILED)
			return 1;
	}
	write_page(two_names.page[!two_names.late], two_names.late ? "x" : "z");
	late.range.start = (uintptr_t)two_names.page[two_names.late];
	two_names.fault = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	return two_names.fault < 0 || ioctl(two_names.fault, UFFDIO_API, &api) || ioctl(two_names.fault, UFFDIO_REGISTER, &late);
}

static int two_files(void) { return none_there() || both_there(); }
static int one_file(void) { return none_there() || touch_file("x") || link(at("x"), at("y")); }

/* told: what was really used of 'x' and 'y', and of 'z' and 'w'. */
static int change_in_the_midst(void)
{
	pthread_t other;

	if (two_names.prepare() || make_pages() || pthread_create(&other, NULL, bring_the_late_one, NULL))
		return 1;
	if (two_names.ask(two_names.page[0], two_names.page[1]) || pthread_join(other, NULL))
		return 2;
	told[0] = is_gone(at("x")) || (exists(at("y")) && is_linked(at("x"))) ? 'x' : 'y';
	told[1] = exists(at("z")) ? 'z' : 'w';
	return unlink(at(told[1] == 'z' ? "z" : "w"));
}

/* The kernel reads one name before the other: the one that it has read is changed in the midst of the call. */
static void judge_change(enum fp_event_type type, int (*ask)(const char *from, const char *to))
{
	int changed = 0;

	two_names.ask = ask;
	for (two_names.late = 0; two_names.late < 2; two_names.late++) {
		const struct fp_event *event;
		bool is_changed;

		record(change_in_the_midst);
		assert_int_equal(count(type), 1);
		event = nth(type, 0);
		assert_text(event->path, at(told[0] == 'x' ? "x" : "y"));
		assert_text(event->new_path, at(told[1] == 'z' ? "z" : "w"));
		is_changed = two_names.late ? told[0] == 'x' : told[1] == 'z';
		assert_int_equal(event->naming, is_changed ? FP_NAMING_CHANGED : FP_NAMING_RESOLVED);
		changed += is_changed;
	}
	assert_int_equal(changed, 1);
}

static void need_userfaultfd(void)
{
	int fault = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fault < 0)
		skip(); /* a kernel without it */
	close(fault);
}

static void an_argument_that_changed_is_told(void **state)
{
	need_userfaultfd();
	share();
	two_names.prepare = two_files;
	for (int i = 0; i < PLACES; i++) {
		place = places[i];
		judge_change(FP_EVENT_TYPE_RENAME, rename);
		if (i != 2) /* of those of an overlay none is resolved */
			judge_change(FP_EVENT_TYPE_LINK, link);
	}
}

/* Of a file with two names: what becomes of a name is seen, and where nothing does it is the string's word alone. */
static void of_two_names_the_string_proves_nothing(void **state)
{
	need_userfaultfd();
	share();
	two_names.prepare = one_file;
	for (int i = 0; i < 2; i++) { /* each name on an overlay has an inode of its own */
		place = places[i];
		judge_change(FP_EVENT_TYPE_RENAME, rename);
		two_names.ask = link;
		for (two_names.late = 0; two_names.late < 2; two_names.late++) {
			record(change_in_the_midst);
			assert_int_equal(nth(FP_EVENT_TYPE_LINK, 1)->naming, FP_NAMING_UNVERIFIED);
			assert_same_object(nth(FP_EVENT_TYPE_LINK, 1), opened("x", 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_renamed_is_known),
		cmocka_unit_test(what_is_made_is_known),
		cmocka_unit_test(one_of_several_names_is_known),
		cmocka_unit_test(one_of_several_names_is_renamed),
		cmocka_unit_test(what_is_changed_is_known),
		cmocka_unit_test(what_an_overlay_raises_is_one_file),
		cmocka_unit_test(an_argument_that_changes_does_not_lie),
		cmocka_unit_test(an_argument_that_changed_is_told),
		cmocka_unit_test(of_two_names_the_string_proves_nothing),
	};

	return cmocka_run_group_tests(tests, make_places, clear_places);
}
