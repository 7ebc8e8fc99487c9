/* Makes the store of attack.h at the path given, for scripts and for looking at. */
#include <stdio.h>

#include "query/tests/attack.h"

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make_attack STORE\n");
		return 2;
	}
	attack_store(argv[1]);
	return 0;
}
