/* completion: a script for the shell, made from the tables of verbs and options. */
#include <string.h>

#include "query/verbs.h"

static void put_options(const struct fp_verb *verb)
{
	for (unsigned i = 0; i < FP_OPTIONS; i++)
		if (verb->options & 1u << i || i == FP_OPTION_HELP)
			printf(" --%s", fp_options[i].name);
}

static void put_formats(const struct fp_verb *verb)
{
	for (unsigned i = 0; i < FP_FORMATS; i++)
		if (verb->formats & 1u << i)
			printf(" %s", fp_format_name(i));
}

int fp_verb_completion(const struct fp_question *question)
{
	if (strcmp(question->arguments[0], "bash") != 0)
		return fp_fail(FP_EXIT_USAGE, "no completion for the shell \"%s\", only bash", question->arguments[0]);
	puts("# bash completion for " FP_PROGRAM "\n"
	     "_" FP_PROGRAM "()\n{\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= options= formats=\n"
	     "\tlocal i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\t[[ ${COMP_WORDS[i]} != -* ]] && verb=${COMP_WORDS[i]} && break\n"
	     "\tdone\n"
	     "\tcase $verb in");
	for (const struct fp_verb *verb = fp_verbs; verb->name; verb++) {
		printf("\t%s) options='", verb->name);
		put_options(verb);
		printf("' formats='");
		put_formats(verb);
		puts("' ;;");
	}
	printf("\t*) options='--help --version");
	for (const struct fp_verb *verb = fp_verbs; verb->name; verb++)
		printf(" %s", verb->name);
	puts("' ;;\n"
	     "\tesac\n"
	     "\tcase $before in\n"
	     "\t--format | -f) mapfile -t COMPREPLY < <(compgen -W \"$formats\" -- \"$word\") ;;\n"
	     "\t--store | -s | --output | -o) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
	     "\t*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\") ;;\n"
	     "\tesac\n}\n"
	     "complete -F _" FP_PROGRAM " " FP_PROGRAM);
	return FP_EXIT_DONE;
}
