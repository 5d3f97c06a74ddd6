/* words.h: the small words of the scenario language: numbers with units, statement and errno names, and a statement as
 * one line of canonical text. Parser, printer and player share them; nobody outside scenarios/ needs this header.
 */
#ifndef SCENARIOS_WORDS_H
#define SCENARIOS_WORDS_H

#include "scenarios/scenario.h"

/* Enough for any statement: `wait` with SCN_WAIT_MAX longest names. */
#define SCN_STMT_TEXT_MAX (16 + SCN_WAIT_MAX * (SCN_NAME_MAX + 1))

/* "write", "read", ... ; never NULL for a valid op. */
const char *scn_op_word(enum scn_op op);
/* How the statement is written: "write OFFSET LENGTH". */
const char *scn_op_usage(enum scn_op op);
/* May it stand behind `aio`? */
bool scn_op_is_request(enum scn_op op);
/* "rw", "ro", "check". */
const char *scn_mode_word(enum scn_mode mode);

/* "EIO" -> EIO (positive); 0 when unknown. */
int scn_errno_parse(const char *word);
/* EIO -> "EIO"; NULL when it has no word. */
const char *scn_errno_word(int error);
/* All errno words, NULL-terminated. */
const char *const *scn_errno_words(void);

/* "6s", "250ms", "10us", "5ns", "2m" -> nanoseconds. false without a unit, or on overflow. */
bool scn_parse_duration(const char *text, size_t length, uint64_t *nanoseconds);

/* The shortest exact way to write it: 4096 -> "4K", 4608 -> "4608". buf of at least 24 bytes; returns buf. */
char *scn_format_size(uint64_t bytes, char *buf, size_t size);
char *scn_format_duration(uint64_t nanoseconds, char *buf, size_t size);
/* The statement as canonical text; cut with "..." if it does not fit. Returns buf. */
char *scn_format_stmt(const struct scn_stmt *stmt, char *buf, size_t size);

#endif
