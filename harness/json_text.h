/* json_text.h: JSON of the commands that have no store to ask (reports/ has SQLite make its JSON). */
#ifndef HARNESS_JSON_TEXT_H
#define HARNESS_JSON_TEXT_H

#include <stdio.h>

#include "harness/shrink.h"

/* A JSON string, or null for NULL. Bytes that are no UTF-8 become U+FFFD. */
void json_string(FILE *out, const char *text);
/* "guest_sector":..,"expected":..,"found":..,"why":.. */
void json_place(FILE *out, bool has_sector, uint64_t sector, const char *expected, const char *found, const char *why);
void json_finding(FILE *out, const struct shrink_finding *f);

#endif
