/* How deep a cgroup lies is the same from wherever one looks at it. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cgroup.h"

struct places {
	struct fp_cgroup outer, inner; /* inner lies in outer, as the machine sees them */
	char seen[96]; /* where the second look mounts the hierarchy */
};

static int set_up(void **state)
{
	static struct places places;
	struct places *p = &places;
	char name[64], path[PATH_MAX + 8];

	*state = p;
	snprintf(name, sizeof(name), "faasprov-test-cgroup-%d", getpid());
	snprintf(p->seen, sizeof(p->seen), "/tmp/%s", name);
	if (fp_cgroup_make(name, &p->outer) < 0)
		return 0; /* no privilege: the tests skip */
	snprintf(path, sizeof(path), "%.4000s/inner", p->outer.path);
	return mkdir(path, 0755) < 0 || fp_cgroup_open(path, &p->inner) < 0 || mkdir(p->seen, 0700) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct places *p = *state;

	if (p->outer.id) {
		rmdir(p->seen);
		fp_cgroup_remove(&p->inner);
		fp_cgroup_remove(&p->outer);
	}
	return 0;
}

/* In a child, in outer: looks at inner through another mount.  0 when it is the same. */
static int look(const struct places *p, int flags, const char *source, const char *kind, int how, const char *rest)
{
	struct fp_cgroup found;
	char path[128];
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (fp_cgroup_enter(&p->outer, 0) < 0 || unshare(CLONE_NEWNS | flags) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount(source, p->seen, kind, how, NULL) < 0)
			_exit(2);
		snprintf(path, sizeof(path), "%s%s", p->seen, rest);
		if (fp_cgroup_open(path, &found) < 0)
			_exit(3);
		_exit(found.id == p->inner.id && found.level == p->inner.level ? 0 : 4);
	}
	return child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ? -1 : WEXITSTATUS(status);
}

static void test_a_level_below(void **state)
{
	struct places *p = *state;

	if (!p->outer.id)
		skip();
	assert_int_equal(p->inner.level, p->outer.level + 1);
}

static void test_from_a_cgroup_name_space(void **state)
{
	struct places *p = *state;

	if (!p->outer.id)
		skip();
	assert_int_equal(look(p, CLONE_NEWCGROUP, "cgroup2", "cgroup2", 0, "/inner"), 0);
}

static void test_a_mount_of_a_part(void **state)
{
	struct places *p = *state;

	if (!p->outer.id)
		skip();
	assert_int_equal(look(p, 0, p->outer.path, NULL, MS_BIND, "/inner"), 0);
	assert_int_equal(look(p, CLONE_NEWCGROUP, p->inner.path, NULL, MS_BIND, ""), 0);
}

static void test_elsewhere(void **state)
{
	struct fp_cgroup found;

	(void)state;
	assert_int_equal(fp_cgroup_open("/proc", &found), -ENOTDIR);
	assert_int_equal(fp_cgroup_open("/nowhere", &found), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_level_below),
		cmocka_unit_test(test_from_a_cgroup_name_space),
		cmocka_unit_test(test_a_mount_of_a_part),
		cmocka_unit_test(test_elsewhere),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
