/* faasprov: reads one question from the command line and answers it. */
#include "query/verbs.h"

int main(int argc, char **argv)
{
	struct fp_question question;
	bool end;
	int code = (int)fp_question_read(argc, argv, &question, &end);

	return end ? code : question.verb->run(&question);
}
