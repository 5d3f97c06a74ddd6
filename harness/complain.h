/* complain.h: what a command says when it cannot go on. */
#ifndef HARNESS_COMPLAIN_H
#define HARNESS_COMPLAIN_H

/* "qedcrash VERB: SENTENCE" on stderr; returns the exit code, so that a command can end with it. */
int complain(const char *verb, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
