/* import_text.h: what `import` says and reads of a text of lines, whatever they are. */
#ifndef HARNESS_IMPORT_TEXT_H
#define HARNESS_IMPORT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* On stderr, with the place; line 0: the file as a whole. EXIT_USAGE. */
int import_complain(const char *path, unsigned line, const char *why);
/* Decimal digits and nothing else, at most `most`. */
bool import_number(const char *word, uint64_t most, uint64_t *value);

#endif
