/* parse_stmt.c: one statement (not expect), and whether it makes sense after those before it.
 *
 * What is checked here is what no run could make sense of: a range outside the image, a name never started, a write
 * to a closed image. What may fail at run time (injected errors, an image that recovery cannot open) is part of the
 * story.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/design_text.h"
#include "scenarios/parse_internal.h"

bool scn_parse_grow(void *array_pointer, size_t count, size_t *cap, size_t element_bytes)
{
    void **array = array_pointer;
    size_t wanted = *cap ? *cap * 2 : 16;
    void *bigger;

    if (count < *cap)
        return true;
    bigger = reallocarray(*array, wanted, element_bytes);
    if (!bigger)
        return false;
    *array = bigger;
    *cap = wanted;
    return true;
}

/* ---- names of asynchronous requests ---- */

static struct aio_name *find_name(struct parser *ps, const struct token *tok)
{
    for (size_t i = 0; i < ps->name_count; i++) {
        if (scn_token_is(tok, ps->names[i].name))
            return &ps->names[i];
    }
    return NULL;
}

static void land(struct parser *ps, struct aio_name *name)
{
    if (name->flying)
        ps->flying--;
    name->flying = false;
}

/* After wait all, close or kill nothing is in flight. */
static void land_all(struct parser *ps)
{
    for (size_t i = 0; i < ps->name_count; i++)
        land(ps, &ps->names[i]);
}

static bool is_name(const struct token *tok)
{
    for (size_t i = 0; i < tok->length; i++) {
        char c = tok->text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-')))
            return false;
    }
    return tok->length <= SCN_NAME_MAX;
}

static int fail_name(struct parser *ps, const struct token *tok)
{
    const char *words[SCN_NAME_MAX + 2];
    char shown[44], word[64];
    size_t n = 0;
    const char *near;

    for (size_t i = 0; i < ps->name_count && n < SCN_NAME_MAX; i++)
        words[n++] = ps->names[i].name;
    words[n] = NULL;
    near = scn_nearest_word(scn_token_word(tok, word, sizeof(word)), words);
    scn_token_show(tok, shown, sizeof(shown));
    if (near)
        return scn_parse_fail(ps, tok->column, "no aio is named '%s'; did you mean '%s'?", shown, near);
    return scn_parse_fail(ps, tok->column, "no aio is named '%s'; expected a name started above by aio%s", shown,
                          ps->crashed ? " (after crash, names begin anew)" : "");
}

/* Copies the name of a started request and counts it as waited for. */
static int parse_started(struct parser *ps, const struct token *tok, char name[SCN_NAME_MAX + 1])
{
    struct aio_name *found = find_name(ps, tok);

    if (!found)
        return fail_name(ps, tok);
    land(ps, found);
    scn_token_word(tok, name, SCN_NAME_MAX + 1);
    return 0;
}

/* ---- operands ---- */

int scn_parse_fail_missing(struct parser *ps, const struct line_tokens *t, const char *usage)
{
    char shown[44];

    return scn_parse_fail(ps, t->end_column, "something is missing after '%s'; expected: %s",
                          scn_token_show(&t->word[t->count - 1], shown, sizeof(shown)), usage);
}

static int check_sectors(struct parser *ps, const struct token *tok, const char *what, uint64_t bytes)
{
    char shown[44];

    if (bytes % BLK_SECTOR_BYTES == 0)
        return 0;
    return scn_parse_fail(ps, tok->column, "%s %s is no multiple of 512; expected whole sectors", what,
                          scn_token_show(tok, shown, sizeof(shown)));
}

static int parse_range(struct parser *ps, const struct line_tokens *t, size_t i, struct scn_stmt *stmt)
{
    const char *usage = scn_op_usage(stmt->op);
    char end_text[24], size_text[24];
    uint64_t end;
    int ret;

    if (t->count < i + 2)
        return scn_parse_fail_missing(ps, t, usage);
    ret = scn_parse_size_token(ps, &t->word[i], "an offset", &stmt->offset);
    if (!ret)
        ret = check_sectors(ps, &t->word[i], "offset", stmt->offset);
    if (!ret)
        ret = scn_parse_size_token(ps, &t->word[i + 1], "a length", &stmt->length);
    if (!ret)
        ret = check_sectors(ps, &t->word[i + 1], "length", stmt->length);
    if (!ret)
        ret = scn_parse_no_more(ps, t, i + 2, usage);
    if (ret)
        return ret;
    if (stmt->length == 0)
        return scn_parse_fail(ps, t->word[i + 1].column, "the range is empty; expected a length of at least 512");
    if (__builtin_add_overflow(stmt->offset, stmt->length, &end) || end > ps->image_bytes_now)
        return scn_parse_fail(ps, t->word[i].column, "the range ends at %s, beyond the image's end at %s",
                              end < stmt->offset ? "no number" : scn_format_size(end, end_text, sizeof(end_text)),
                              scn_format_size(ps->image_bytes_now, size_text, sizeof(size_text)));
    if (stmt->op != SCN_DISCARD && stmt->length > SCN_REQUEST_BYTES_MAX)
        return scn_parse_fail(ps, t->word[i + 1].column, "the request is too large; expected at most %uM at a time",
                              SCN_REQUEST_BYTES_MAX >> 20);
    return 0;
}

static int parse_truncate(struct parser *ps, const struct line_tokens *t, size_t i, struct scn_stmt *stmt)
{
    char now[24], bound[24];
    int ret;

    if (t->count < i + 1)
        return scn_parse_fail_missing(ps, t, scn_op_usage(stmt->op));
    ret = scn_parse_size_token(ps, &t->word[i], "the new size", &stmt->length);
    if (!ret)
        ret = check_sectors(ps, &t->word[i], "size", stmt->length);
    if (!ret)
        ret = scn_parse_no_more(ps, t, i + 1, scn_op_usage(stmt->op));
    if (ret)
        return ret;
    if (stmt->length < ps->image_bytes_now)
        return scn_parse_fail(ps, t->word[i].column, "an image can only grow; expected at least its present size, %s",
                              scn_format_size(ps->image_bytes_now, now, sizeof(now)));
    if (stmt->length > ps->image_bytes_bound)
        return scn_parse_fail(ps, t->word[i].column, "too large for this cluster and table size; expected at most %s",
                              scn_format_size(ps->image_bytes_bound, bound, sizeof(bound)));
    ps->image_bytes_now = stmt->length;
    return 0;
}

static int parse_wait(struct parser *ps, const struct line_tokens *t, struct scn_stmt *stmt)
{
    if (t->count < 2)
        return scn_parse_fail_missing(ps, t, scn_op_usage(stmt->op));
    if (scn_token_is(&t->word[1], "all")) {
        stmt->wait_all = true;
        land_all(ps);
        return scn_parse_no_more(ps, t, 2, "wait all");
    }
    for (size_t i = 1; i < t->count; i++) {
        int ret;

        if (i > SCN_WAIT_MAX)
            return scn_parse_fail(ps, t->word[i].column, "too many names; expected at most %d (or: wait all)",
                                  SCN_WAIT_MAX);
        ret = parse_started(ps, &t->word[i], stmt->wait_names[stmt->wait_count]);
        if (ret)
            return ret;
        stmt->wait_count++;
    }
    return 0;
}

static int parse_sleep(struct parser *ps, const struct line_tokens *t, struct scn_stmt *stmt)
{
    char shown[44];

    if (t->count < 2)
        return scn_parse_fail_missing(ps, t, "sleep DURATION, such as 6s or 250ms");
    if (!scn_parse_duration(t->word[1].text, t->word[1].length, &stmt->length))
        return scn_parse_fail(ps, t->word[1].column,
                              "'%s' is no duration; expected a number with its unit: ns, us, ms, s or m",
                              scn_token_show(&t->word[1], shown, sizeof(shown)));
    if (stmt->length == 0 || stmt->length > SCN_SLEEP_MAX_NS)
        return scn_parse_fail(ps, t->word[1].column,
                              "'%s' is out of range; expected more than nothing and at most a year",
                              scn_token_show(&t->word[1], shown, sizeof(shown)));
    return scn_parse_no_more(ps, t, 2, scn_op_usage(stmt->op));
}

static int parse_event(struct parser *ps, const struct token *tok, struct scn_stmt *stmt)
{
    const char *words[BLK_EVENT_COUNT + 1];
    char word[64];
    size_t n = 0;

    stmt->event = blk_event_parse(scn_token_word(tok, word, sizeof(word)));
    if (stmt->event != BLK_EVENT_COUNT && stmt->event != BLK_EVENT_NONE)
        return 0;
    for (int e = BLK_EVENT_NONE + 1; e < BLK_EVENT_COUNT; e++)
        words[n++] = blk_event_name((enum blk_event)e);
    words[n] = NULL;
    return scn_parse_fail_unknown(ps, tok, "event", words);
}

static int parse_inject_option(struct parser *ps, const struct token *tok, struct scn_stmt *stmt)
{
    static const char *const words[] = {"once", "always", "after=", NULL};
    struct token value;
    uint64_t after;
    char shown[44];

    if (scn_token_is(tok, "once")) {
        stmt->once = true;
        return 0;
    }
    if (scn_token_is(tok, "always")) {
        stmt->once = false;
        return 0;
    }
    if (!scn_token_option(tok, "after", &value))
        return scn_parse_fail_unknown(ps, tok, "option of inject", words);
    if (!scn_parse_size(value.text, value.length, &after) || after >= UINT32_MAX)
        return scn_parse_fail(ps, value.column, "'%s' is no count; expected after=N, the I/Os to let pass first",
                              scn_token_show(&value, shown, sizeof(shown)));
    stmt->after = (uint32_t)after;
    return 0;
}

static int parse_inject(struct parser *ps, const struct line_tokens *t, struct scn_stmt *stmt)
{
    bool seen_how = false, seen_after = false;
    char word[64];
    int ret;

    if (t->count < 3)
        return scn_parse_fail_missing(ps, t, scn_op_usage(stmt->op));
    ret = parse_event(ps, &t->word[1], stmt);
    if (ret)
        return ret;
    stmt->error = -scn_errno_parse(scn_token_word(&t->word[2], word, sizeof(word)));
    if (stmt->error == 0)
        return scn_parse_fail_unknown(ps, &t->word[2], "error", scn_errno_words());
    for (size_t i = 3; i < t->count; i++) {
        bool how = scn_token_is(&t->word[i], "once") || scn_token_is(&t->word[i], "always");

        ret = parse_inject_option(ps, &t->word[i], stmt);
        if (ret)
            return ret;
        if (how ? seen_how : seen_after)
            return scn_parse_fail(ps, t->word[i].column, "%s is given twice; expected it once",
                                  how ? "once or always" : "after=");
        *(how ? &seen_how : &seen_after) = true;
    }
    return 0;
}

/* as=DESIGN: which program opens the image. */
static int parse_program(struct parser *ps, const struct line_tokens *t, struct scn_stmt *stmt)
{
    static const char *const keys[] = {"as=", NULL};
    struct qed_design_error why;
    struct qed_design design;
    struct token value, name;
    char shown[44];

    if (!scn_token_option(&t->word[2], "as", &value))
        return scn_parse_fail_unknown(ps, &t->word[2], "option of open", keys);
    name = value;
    for (size_t i = 0; i < value.length; i++) {
        if (value.text[i] == ',') {
            name.length = i;
            break;
        }
    }
    if (value.length > SCN_PROGRAM_MAX)
        return scn_parse_fail(ps, value.column, "the design is too long; expected at most %d characters",
                              SCN_PROGRAM_MAX);
    if (!qed_design_find(scn_token_word(&name, shown, sizeof(shown))))
        return scn_parse_fail_unknown(ps, &name, "design", scn_parse_design_words(ps));
    scn_token_word(&value, stmt->program, sizeof(stmt->program));
    if (qed_design_parse(stmt->program, &design, &why))
        return scn_parse_fail(ps, value.column, "%s", why.text);
    return scn_parse_no_more(ps, t, 3, scn_op_usage(stmt->op));
}

static int parse_mode(struct parser *ps, const struct line_tokens *t, struct scn_stmt *stmt)
{
    static const char *const open_modes[] = {"rw", "ro", "check", NULL};
    static const char *const reopen_modes[] = {"rw", "ro", NULL};
    bool check_allowed = stmt->op == SCN_OPEN;

    if (t->count < 2)
        return scn_parse_fail_missing(ps, t, scn_op_usage(stmt->op));
    if (scn_token_is(&t->word[1], "rw"))
        stmt->mode = SCN_MODE_RW;
    else if (scn_token_is(&t->word[1], "ro"))
        stmt->mode = SCN_MODE_RO;
    else if (check_allowed && scn_token_is(&t->word[1], "check"))
        stmt->mode = SCN_MODE_CHECK;
    else
        return scn_parse_fail_unknown(ps, &t->word[1], "mode", check_allowed ? open_modes : reopen_modes);
    if (stmt->op == SCN_OPEN && t->count > 2)
        return parse_program(ps, t, stmt);
    return scn_parse_no_more(ps, t, 2, scn_op_usage(stmt->op));
}

static int parse_operands(struct parser *ps, const struct line_tokens *t, size_t i, struct scn_stmt *stmt)
{
    static const char *const none[] = {"none", NULL};
    int ret;

    switch (stmt->op) {
    case SCN_WRITE:
    case SCN_READ:
    case SCN_ZERO:
    case SCN_DISCARD:
        return parse_range(ps, t, i, stmt);
    case SCN_TRUNCATE:
        return parse_truncate(ps, t, i, stmt);
    case SCN_WAIT:
        return parse_wait(ps, t, stmt);
    case SCN_SLEEP:
        return parse_sleep(ps, t, stmt);
    case SCN_CANCEL:
        if (t->count < 2)
            return scn_parse_fail_missing(ps, t, scn_op_usage(stmt->op));
        ret = parse_started(ps, &t->word[1], stmt->name);
        return ret ? ret : scn_parse_no_more(ps, t, 2, scn_op_usage(stmt->op));
    case SCN_INJECT:
        return parse_inject(ps, t, stmt);
    case SCN_REBASE:
        if (t->count < 2)
            return scn_parse_fail_missing(ps, t, scn_op_usage(stmt->op));
        if (!scn_token_is(&t->word[1], "none"))
            return scn_parse_fail_unknown(ps, &t->word[1], "backing file", none);
        return scn_parse_no_more(ps, t, 2, scn_op_usage(stmt->op));
    case SCN_OPEN:
    case SCN_REOPEN:
        return parse_mode(ps, t, stmt);
    case SCN_FLUSH:
    case SCN_CLOSE:
    case SCN_KILL:
    case SCN_CRASH:
    case SCN_OP_COUNT:
        break;
    }
    return scn_parse_no_more(ps, t, i, scn_op_usage(stmt->op));
}

/* ---- does it make sense here? ---- */

static int check_open(struct parser *ps, const struct token *tok, enum scn_op op)
{
    switch (op) {
    case SCN_WRITE:
    case SCN_READ:
    case SCN_FLUSH:
    case SCN_ZERO:
    case SCN_DISCARD:
    case SCN_TRUNCATE:
    case SCN_REBASE:
    case SCN_CLOSE:
    case SCN_REOPEN:
    case SCN_KILL:
        if (ps->openness == SCN_CLOSED)
            return scn_parse_fail(ps, tok->column, "'%s' while the image is closed; expected open rw first",
                                  scn_op_word(op));
        ps->openness = op == SCN_CLOSE || op == SCN_KILL ? SCN_CLOSED : SCN_OPENED;
        break;
    case SCN_OPEN:
        if (ps->openness == SCN_OPENED)
            return scn_parse_fail(ps, tok->column,
                                  "'open' while the image is open; expected close or kill first, or "
                                  "reopen");
        ps->openness = SCN_OPENED;
        break;
    case SCN_INJECT:
    case SCN_SLEEP:
    case SCN_WAIT:
    case SCN_CANCEL:
        /* Anything but `open` at the start means: opened by itself before. */
        if (ps->openness == SCN_FRESH)
            ps->openness = SCN_OPENED;
        break;
    case SCN_CRASH:
    case SCN_OP_COUNT:
        break;
    }
    return 0;
}

static int check_place(struct parser *ps, const struct token *tok, const struct scn_stmt *stmt)
{
    if (stmt->prepare) {
        if (ps->recording || ps->crashed)
            return scn_parse_fail(ps, tok->column, "'prepare' comes too late; expected it before all other statements");
        return 0;
    }
    if (ps->crashed && (stmt->op == SCN_KILL || stmt->op == SCN_INJECT))
        return scn_parse_fail(ps, tok->column,
                              "'%s' after crash; expected it before: a second life has no such statement",
                              scn_op_word(stmt->op));
    ps->recording = true;
    return check_open(ps, tok, stmt->op);
}

/* What the statement leaves behind for those after it. */
static int note_effects(struct parser *ps, const struct scn_stmt *stmt)
{
    struct aio_name *name;

    if (stmt->op == SCN_CLOSE || stmt->op == SCN_KILL || stmt->op == SCN_CRASH)
        land_all(ps);
    if (stmt->op == SCN_CRASH) {
        ps->crashed = true;
        ps->openness = SCN_FRESH;
        ps->name_count = 0;
    }
    if (!stmt->aio)
        return 0;
    for (size_t i = 0; i < ps->name_count; i++) {
        if (strcmp(ps->names[i].name, stmt->name) == 0) {
            ps->names[i].flying = true;
            ps->flying++;
            return 0;
        }
    }
    if (!scn_parse_grow(&ps->names, ps->name_count, &ps->name_cap, sizeof(*ps->names)))
        return scn_parse_no_memory(ps);
    name = &ps->names[ps->name_count++];
    memcpy(name->name, stmt->name, sizeof(name->name));
    name->flying = true;
    ps->flying++;
    return 0;
}

/* ---- the statement ---- */

static bool find_op(const struct token *tok, enum scn_op *op)
{
    for (int i = 0; i < SCN_OP_COUNT; i++) {
        if (scn_token_is(tok, scn_op_word((enum scn_op)i))) {
            *op = (enum scn_op)i;
            return true;
        }
    }
    return false;
}

bool scn_parse_is_statement(const struct token *tok)
{
    enum scn_op op;

    return scn_token_is(tok, "prepare") || scn_token_is(tok, "aio") || find_op(tok, &op);
}

static int parse_aio_name(struct parser *ps, const struct line_tokens *t, struct scn_stmt *stmt)
{
    static const char usage[] = "aio NAME write|read|zero|discard OFFSET LENGTH, or aio NAME flush";
    struct aio_name *known;
    char shown[44];

    if (t->count < 3)
        return scn_parse_fail_missing(ps, t, usage);
    if (scn_parse_is_statement(&t->word[1]) || scn_token_is(&t->word[1], "all"))
        return scn_parse_fail(ps, t->word[1].column, "'%s' cannot be a name; expected: %s",
                              scn_token_show(&t->word[1], shown, sizeof(shown)), usage);
    if (!is_name(&t->word[1]))
        return scn_parse_fail(ps, t->word[1].column,
                              "'%s' is no name; expected at most %d letters, digits, _ and -, a letter first",
                              scn_token_show(&t->word[1], shown, sizeof(shown)), SCN_NAME_MAX);
    known = find_name(ps, &t->word[1]);
    if (known && known->flying)
        return scn_parse_fail(ps, t->word[1].column, "'%s' is still in flight; expected wait %s first, or another name",
                              known->name, known->name);
    if (ps->flying == SCN_FLYING_MAX)
        return scn_parse_fail(ps, t->word[1].column, "too many requests in flight; expected at most %d (wait first)",
                              SCN_FLYING_MAX);
    scn_token_word(&t->word[1], stmt->name, sizeof(stmt->name));
    stmt->aio = true;
    return 0;
}

/* The operation at word i, one that fits behind prepare or aio. */
static int parse_op(struct parser *ps, const struct line_tokens *t, size_t i, struct scn_stmt *stmt)
{
    static const char *const prepare_words[] = {"write", "zero", "discard", "truncate", NULL};
    static const char *const aio_words[] = {"write", "read", "flush", "zero", "discard", NULL};
    bool fits;

    if (t->count <= i)
        return scn_parse_fail_missing(ps, t, "prepare write|zero|discard OFFSET LENGTH, or prepare truncate SIZE");
    fits = find_op(&t->word[i], &stmt->op);
    if (stmt->aio)
        fits = fits && scn_op_is_request(stmt->op);
    else if (stmt->prepare)
        fits = fits &&
               (stmt->op == SCN_WRITE || stmt->op == SCN_ZERO || stmt->op == SCN_DISCARD || stmt->op == SCN_TRUNCATE);
    if (fits)
        return 0;
    return scn_parse_fail_unknown(ps, &t->word[i], stmt->aio ? "request behind aio" : "request behind prepare",
                                  stmt->aio ? aio_words : prepare_words);
}

int scn_parse_statement(struct parser *ps, const struct line_tokens *t)
{
    struct scn_stmt stmt = {.line = ps->line};
    size_t i = 0;
    int ret = 0;

    if (ps->s->stmt_count == SCN_STMTS_MAX)
        return scn_parse_fail(ps, t->word[0].column, "too many statements; expected at most %d", SCN_STMTS_MAX);
    if (scn_token_is(&t->word[0], "prepare")) {
        stmt.prepare = true;
        i = 1;
    } else if (scn_token_is(&t->word[0], "aio")) {
        ret = parse_aio_name(ps, t, &stmt);
        i = 2;
    }
    if (!ret)
        ret = parse_op(ps, t, i, &stmt);
    if (!ret)
        ret = check_place(ps, &t->word[0], &stmt);
    if (!ret)
        ret = parse_operands(ps, t, i + 1, &stmt);
    if (!ret)
        ret = note_effects(ps, &stmt);
    if (ret)
        return ret;
    scn_format_stmt(&stmt, stmt.text, sizeof(stmt.text));
    if (!scn_parse_grow(&ps->s->stmts, ps->s->stmt_count, &ps->stmt_cap, sizeof(stmt)))
        return scn_parse_no_memory(ps);
    ps->s->stmts[ps->s->stmt_count++] = stmt;
    return 0;
}
