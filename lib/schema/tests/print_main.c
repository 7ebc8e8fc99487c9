#include <string.h>

#include "base/log.h"
#include "schema/tests/print.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "layout") == 0)
		fp_schema_print_layout(stdout);
	else if (argc == 2 && strcmp(argv[1], "reference") == 0)
		fp_schema_print_reference(stdout);
	else {
		fp_die_line("fp_schema_print", "one argument is needed: layout or reference");
		return FP_EXIT_USAGE;
	}
	return fflush(stdout) == 0 ? FP_EXIT_DONE : FP_EXIT_SYSTEM;
}
