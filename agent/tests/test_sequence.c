/* Holes in the numbers of records are found, explained ones are not, late ones are forgiven. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/sequence.h"

static struct fp_sequence sequence;

static int setup(void **state)
{
	sequence = (struct fp_sequence){0};
	return 0;
}

static void note_range(uint64_t cpu, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		fp_sequence_note(&sequence, cpu, i);
}

static void contiguous_numbers_have_no_hole(void **state)
{
	note_range(0, 0, 100);
	note_range(1, 0, 50);
	assert_int_equal(fp_sequence_check(&sequence), 0);
	assert_int_equal(fp_sequence_check(&sequence), 0);
}

static void a_lasting_hole_is_found_once(void **state)
{
	note_range(0, 0, 10);
	note_range(0, 13, 20);
	assert_int_equal(fp_sequence_check(&sequence), 0);
	assert_int_equal(fp_sequence_check(&sequence), 3);
	assert_int_equal(fp_sequence_check(&sequence), 0);
}

static void numbers_missing_from_the_start_are_a_hole(void **state)
{
	note_range(1, 5, 10);
	fp_sequence_check(&sequence);
	assert_int_equal(fp_sequence_check(&sequence), 5);
}

static void a_late_number_fills_its_hole(void **state)
{
	note_range(0, 0, 10);
	fp_sequence_note(&sequence, 0, 11);
	assert_int_equal(fp_sequence_check(&sequence), 0);
	fp_sequence_note(&sequence, 0, 10);
	assert_int_equal(fp_sequence_check(&sequence), 0);
	assert_int_equal(fp_sequence_check(&sequence), 0);
}

static void counted_losses_explain_holes(void **state)
{
	note_range(0, 0, 10);
	note_range(0, 15, 20);
	fp_sequence_explain(&sequence, 5);
	fp_sequence_check(&sequence);
	assert_int_equal(fp_sequence_check(&sequence), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(contiguous_numbers_have_no_hole), TEST(a_lasting_hole_is_found_once),
		TEST(numbers_missing_from_the_start_are_a_hole), TEST(a_late_number_fills_its_hole),
		TEST(counted_losses_explain_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
