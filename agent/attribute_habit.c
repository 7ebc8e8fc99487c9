/*
 * A runtime's own timers: Node looks after its connections every 5 and 30 s, V8 after its memory every 8.1 s, whatever
 * requests do.  The kernel cannot tell them from timers that were left behind but by their habit: they come in equal steps,
 * and nothing is done in the turns that they begin.  What has come so three times is expected again, some steps on at
 * most, for it may come where it is not seen.  A step can be a little shorter than those before, since what is put off
 * anew with each request is reckoned from the last.
 */
#include <string.h>

#include "agent/attribute_state.h"

#define MS (FP_NS_PER_SEC / 1000)
#define STEP_MIN (500 * MS)
#define EARLY (20 * MS) /* of each step */
#define LATE (2 * MS)
/* Rests tell the same time as much too early as the loop was at work before them. */
#define SAME (4 * MS)
/* So many steps without a sign of it, and it has ended. */
#define STEPS_MAX 4

static bool is_same(uint64_t a, uint64_t b)
{
	return a + SAME >= b && a <= b + SAME;
}

/* How many steps after the last one `due` is, or 0. */
static unsigned steps_to(const struct habit *habit, uint64_t due, uint64_t late)
{
	for (unsigned n = 1; habit->step && n <= STEPS_MAX; n++)
		if (due >= habit->last + n * (habit->step - EARLY) && due <= habit->last + n * habit->step + late)
			return n;
	return 0;
}

static bool expects(const struct habit *habit, uint64_t due)
{
	return habit->step && due != UINT64_MAX && (is_same(due, habit->last) || steps_to(habit, due, LATE));
}

bool fp_habit_expects(const struct loop *loop, uint64_t due)
{
	for (unsigned i = 0; i < FP_HABITS_MAX; i++)
		if (expects(&loop->habits[i], due))
			return true;
	return false;
}

/* A request's own timer can come at the same time; twice in a row it is no habit of doing nothing. */
bool fp_habit_forgives(struct loop *loop, uint64_t due)
{
	for (unsigned i = 0; i < FP_HABITS_MAX; i++) {
		struct habit *habit = &loop->habits[i];

		if (!expects(habit, due))
			continue;
		if (!habit->blamed || is_same(due, habit->blamed) || due > habit->blamed + habit->step + LATE) {
			habit->blamed = due;
			return true;
		}
		*habit = (struct habit){0};
	}
	return false;
}

/* It is one of a habit, whose longest step is the one that counts. */
static bool continues(struct habit *habit, uint64_t due)
{
	unsigned steps = steps_to(habit, due, EARLY);

	if (habit->step && is_same(due, habit->last))
		return true;
	if (!steps)
		return false;
	if (steps == 1 && due - habit->last > habit->step)
		habit->step = due - habit->last;
	habit->last = due;
	return true;
}

/* In place of the one that was not seen for longest. */
static void begin(struct loop *loop, uint64_t last, uint64_t step)
{
	struct habit *oldest = &loop->habits[0];

	for (unsigned i = 1; i < FP_HABITS_MAX; i++)
		if (loop->habits[i].last < oldest->last)
			oldest = &loop->habits[i];
	*oldest = (struct habit){last, step, 0};
}

static bool came(const struct loop *loop, uint64_t time)
{
	for (unsigned i = 0; i < FP_LONE_MAX; i++)
		if (loop->lone[i] && loop->lone[i] + EARLY >= time && loop->lone[i] <= time + EARLY)
			return true;
	return false;
}

/* What does something each time is none: the last of three has not, as far as can be seen. */
void fp_habit_note(struct loop *loop, uint64_t due)
{
	for (unsigned i = 0; i < FP_HABITS_MAX; i++)
		if (continues(&loop->habits[i], due))
			return;
	for (unsigned i = 0; i < FP_LONE_MAX; i++) {
		uint64_t before = loop->lone[i], step = due - before;

		if (!loop->did && before && due > before + STEP_MIN && step < before && came(loop, before - step)) {
			begin(loop, due, step);
			return;
		}
	}
	memmove(&loop->lone[1], &loop->lone[0], sizeof(loop->lone) - sizeof(loop->lone[0]));
	loop->lone[0] = due;
}
