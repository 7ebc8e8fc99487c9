/*
 * The verbs of faasprov-agent.  Each gets the arguments behind its name and
 * returns the program's exit code.
 */
#ifndef FP_AGENT_AGENT_H
#define FP_AGENT_AGENT_H

#define FP_AGENT_NAME "faasprov-agent"

int fp_agent_serve(int argc, char **argv);
int fp_agent_run(int argc, char **argv);
int fp_agent_replay(int argc, char **argv);
int fp_agent_stats(int argc, char **argv);

#endif
