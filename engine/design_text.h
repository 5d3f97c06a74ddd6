/* design_text.h: designs as words.
 *
 *   "upstream"                                   a named design
 *   "upstream,data_flush=never,reuse=at-once"    ... with fields changed: usable wherever a design is named, ids included
 *
 * and, for a design file (docs/designs.md), one statement a line:
 *
 *   summary what is new about it
 *   base    upstream
 *   data_flush never
 *
 * A field's values are words; clear_on, a set, is its words joined by '+', or "never".
 */
#ifndef ENGINE_DESIGN_TEXT_H
#define ENGINE_DESIGN_TEXT_H

#include "engine/qed_design.h"

#define QED_DESIGN_TEXT_MAX 1024

struct qed_design_error {
    char text[320]; /* one sentence */
};

/* "data_flush"; field < QED_FIELD_COUNT. */
const char *qed_design_field_name(enum qed_design_field field);
/* What the field decides, in a sentence. */
const char *qed_design_field_summary(enum qed_design_field field);
unsigned qed_design_field_values(enum qed_design_field field);
/* Is its value a set of words, a bit for each? */
bool qed_design_field_is_set(enum qed_design_field field);
/* The word of a value, in buf where it is put together from several; valid as long as buf. */
const char *qed_design_value_name(enum qed_design_field field, unsigned value, char buf[64]);
/* QED_FIELD_COUNT when there is none. */
enum qed_design_field qed_design_field_find(const char *name, size_t length);
/* -1 when the field has no such value. */
int qed_design_value_find(enum qed_design_field field, const char *word, size_t length);

/* Parses "NAME[,FIELD=VALUE]...". *out gets the text itself as its name, which must outlive it. 0, or -EINVAL with err. */
int qed_design_parse(const char *text, struct qed_design *out, struct qed_design_error *err);
/* Parses a design file's text; `name` (what ids and reports call it) must outlive *out. The summary stays that of the
 * base. 0, or -EINVAL with err, which begins with name:line. */
int qed_design_parse_file(const char *name, const char *text, size_t length, struct qed_design *out,
                          struct qed_design_error *err);
/* The shortest text that qed_design_parse() takes for this design: the nearest named one, and what differs. */
void qed_design_format(const struct qed_design *d, char buf[QED_DESIGN_TEXT_MAX]);

#endif
