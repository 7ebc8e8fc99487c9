/*
 * Machines' clocks put right by what the machines told each other: no byte was
 * received before it was sent, no request began before it was made.  Each such
 * pair of moments bounds the difference of two clocks from one side; the least
 * corrections that satisfy all bounds are taken.  Machines that never spoke with
 * each other, or whose clocks agree, keep theirs.
 *
 * fp_clock_solve is pure; fp_build_correct collects the bounds of a build.
 */
#ifndef FP_STITCHER_CLOCK_H
#define FP_STITCHER_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* The clock of `to` must be put at least so far ahead of that of `from`. */
struct fp_clock_bound {
	uint32_t from, to;
	int64_t at_least; /* ns; negative: so far may it be behind */
};

/*
 * A clock that is further off than this is not believed to be just wrong: what it
 * says moves no other clock.
 */
#define FP_CLOCK_CORRECTION_MAX (60 * 1000000000ll)

/*
 * Fills corrections[0 .. n) with the least that are not negative.  Bounds that
 * contradict each other (a clock that was changed meanwhile) are satisfied as far
 * as n rounds do.
 */
void fp_clock_solve(const struct fp_clock_bound *bounds, size_t n_bounds, int64_t *corrections, size_t n);

#endif
