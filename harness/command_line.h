/* command_line.h: a command as a shell reads it back: for the record, and to be pasted. */
#ifndef HARNESS_COMMAND_LINE_H
#define HARNESS_COMMAND_LINE_H

#include <stdio.h>

void command_line_word(FILE *out, const char *word);
/* "qedcrash" and the words; to be called before options are parsed, which moves them. The caller frees. */
char *command_line(int argc, char **argv);

#endif
