/* parse_internal.h: what the parts of the parser share.
 *
 *   parse.c         bytes -> lines -> tokens; the header; what must hold for the whole file
 *   parse_stmt.c    one statement, checked against what came before it
 *   parse_expect.c  one expectation
 */
#ifndef SCENARIOS_PARSE_INTERNAL_H
#define SCENARIOS_PARSE_INTERNAL_H

#include "scenarios/words.h"

#define SCN_LINE_MAX           1000 /* characters */
#define SCN_TOKEN_MAX          64   /* words on a line */
#define SCN_STMTS_MAX          10000
#define SCN_NAMES_MAX          64           /* designs, disk models, words of a field */
#define SCN_FLYING_MAX         64           /* aios started and not waited for */
#define SCN_REQUEST_BYTES_MAX  (64u << 20)  /* one request's data are held in memory */
#define SCN_BACKING_TAGGED_MAX (256u << 20) /* so are a tagged backing file's */
#define SCN_SLEEP_MAX_NS       (365ull * 24 * 3600 * 1000000000ull)

struct token {
    const char *text; /* not terminated */
    size_t length;
    unsigned column; /* from 1 */
};

struct line_tokens {
    struct token word[SCN_TOKEN_MAX];
    size_t count;
    unsigned end_column; /* where a missing word would stand */
};

/* Is the image open as the statements have it? FRESH: opened by itself, read-write, unless the next is `open`. */
enum scn_openness { SCN_FRESH, SCN_OPENED, SCN_CLOSED };

struct aio_name {
    char name[SCN_NAME_MAX + 1];
    bool flying; /* started, not waited for */
};

struct parser {
    const char *label; /* for messages: path, or a stand-in */
    unsigned line;
    struct scenario *s;
    bool have_title, have_image, have_backing, have_ledger, have_schedules;
    size_t stmt_cap, expect_cap;
    uint64_t image_bytes_now; /* image size, grown by the truncates so far */
    uint64_t image_bytes_bound;
    enum scn_openness openness;
    bool crashed, recording; /* past `crash`; past the last prepare */
    struct aio_name *names;  /* of this life */
    size_t name_count, name_cap, flying;
    const char *words[SCN_NAMES_MAX + 1]; /* near words of a message being made */
    struct scn_error *err;
};

/* Fills err with "label:line:column: message" and returns -EINVAL. */
int scn_parse_fail(struct parser *ps, unsigned column, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "unknown KIND 'tok'; did you mean 'x'?", or "; expected a, b or c" when none is near. */
int scn_parse_fail_unknown(struct parser *ps, const struct token *tok, const char *kind, const char *const *words);
/* A printable, shortened copy of the token, for messages. Returns buf. */
const char *scn_token_show(const struct token *tok, char *buf, size_t size);
/* The token terminated; words too long for buf become "". Returns buf. */
const char *scn_token_word(const struct token *tok, char *buf, size_t size);
bool scn_token_is(const struct token *tok, const char *word);
/* If tok is "key=value", the value as a token (may be empty). */
bool scn_token_option(const struct token *tok, const char *key, struct token *value);
/* Fails, naming word `index`, if the line has more than `index` words. */
int scn_parse_no_more(struct parser *ps, const struct line_tokens *t, size_t index, const char *usage);
int scn_parse_size_token(struct parser *ps, const struct token *tok, const char *what, uint64_t *bytes);
int scn_parse_no_memory(struct parser *ps);
/* "something is missing after 'x'; expected: USAGE". */
int scn_parse_fail_missing(struct parser *ps, const struct line_tokens *t, const char *usage);
/* The named designs' names, NULL-terminated; the parser's. */
const char *const *scn_parse_design_words(struct parser *ps);
/* Doubles *array_pointer when it is full. */
bool scn_parse_grow(void *array_pointer, size_t count, size_t *cap, size_t element_bytes);

/* Words t[0].. are a statement that starts with the operation, `prepare` or `aio`. */
int scn_parse_statement(struct parser *ps, const struct line_tokens *t);
bool scn_parse_is_statement(const struct token *tok);
int scn_parse_expect(struct parser *ps, const struct line_tokens *t);

#endif
