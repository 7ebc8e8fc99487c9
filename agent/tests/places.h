/*
 * Where tests of names and of mounts work: an ordinary file system, one in memory and an overlay, in a name space of
 * their own; and a thread that changes the argument in the middle of the call.
 */
#ifndef FP_AGENT_TESTS_PLACES_H
#define FP_AGENT_TESTS_PLACES_H

#include "agent/tests/recorded.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

#define TRIES 3000
#define CAUGHT 25 /* times that the argument was another at the end, to be sure that it can be */
static struct race {
	char argument[256];
	char truth[TRIES]; /* 'x' or 'y': what really happened */
	unsigned most; /* tries, if not TRIES */
	unsigned tries, caught;
} *race;

#define PLACES 3
static char places[PLACES][128];
static const char *place; /* where the child works */

static const char *at(const char *name)
{
	static char path[4][512];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", place, name);
	return path[turn];
}

static int make_places(void **state)
{
	char options[600];

	race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (race == MAP_FAILED || unshare(CLONE_NEWNS) < 0 || group_setup(state) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	for (int i = 0; i < PLACES; i++) {
		snprintf(places[i], sizeof(places[i]), "%s/place%d", directory, i);
		assert_int_equal(mkdir(places[i], 0755), 0);
	}
	assert_int_equal(mount("memory", places[1], "tmpfs", 0, NULL), 0);
	for (const char **name = (const char *[]){"lower", "upper", "work", NULL}; *name; name++)
		assert_int_equal(mkdir(in_directory(*name), 0755), 0);
	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", directory, directory,
		 directory);
	close(open(in_directory("lower/below"), O_WRONLY | O_CREAT, 0644));
	assert_int_equal(mount("overlay", places[2], "overlay", 0, options), 0);
	return 0;
}

static int clear_places(void **state)
{
	umount2(places[1], MNT_DETACH);
	umount2(places[2], MNT_DETACH);
	return group_teardown(state);
}

/* Whom the child opened under this name, the n-th time. */
static const struct fp_event *opened(const char *name, unsigned n)
{
	return nth_open(at(name), n);
}

static void assert_same_object(const struct fp_event *event, const struct fp_event *as)
{
	assert_int_equal(event->ino, as->ino);
	assert_int_equal(event->dev, as->dev);
	assert_int_equal(event->gen, as->gen);
	assert_int_equal(event->object, as->object);
}

static int touch_file(const char *name)
{
	int fd = open(at(name), O_RDWR | O_CREAT, 0644);

	return fd < 0 || close(fd);
}

static int look_at(const char *name)
{
	int fd = open(at(name), O_RDONLY | O_NONBLOCK);

	return fd < 0 || close(fd);
}

static volatile int racing;

static void *change_argument(void *ignored)
{
	size_t last = strlen(race->argument) - 1;

	while (racing) {
		((volatile char *)race->argument)[last] = 'y';
		((volatile char *)race->argument)[last] = 'x';
	}
	return ignored;
}

/* What was asked was done to one of the two: to the one of which `was_done` holds. */
static int run_race(int (*prepare)(void), int (*ask)(const char *argument), int (*was_done)(const char *name))
{
	pthread_t other;
	char x[256], y[256];

	snprintf(x, sizeof(x), "%s", at("x"));
	snprintf(y, sizeof(y), "%s", at("y"));
	strcpy(race->argument, x);
	race->tries = race->caught = 0;
	racing = 1;
	if (pthread_create(&other, NULL, change_argument, NULL))
		return 1;
	while (race->tries < (race->most ? race->most : TRIES) && race->caught < CAUGHT) {
		char now;

		if (prepare() || ask(race->argument))
			return 2;
		now = race->argument[strlen(x) - 1];
		if (was_done(x) == was_done(y))
			return 3;
		race->truth[race->tries] = was_done(x) ? 'x' : 'y';
		race->caught += now != race->truth[race->tries];
		race->tries++;
	}
	racing = 0;
	return pthread_join(other, NULL);
}

#endif
