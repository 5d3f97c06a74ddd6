/* parse.c: scenario text to data: lines, words, and the three statements that describe the image. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/qed_format.h"
#include "scenarios/parse_internal.h"
#include "scenarios/replay.h"

#define SCN_FILE_MAX (1u << 20)

int scn_parse_fail(struct parser *ps, unsigned column, const char *fmt, ...)
{
    char message[240];
    const char *label = ps->label, *dots = "";
    size_t n = strlen(label);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    /* The sentence matters more than the head of a long path. */
    if (n > 60 && n + strlen(message) + 32 > sizeof(ps->err->text)) {
        label += n - 50;
        dots = "...";
    }
    snprintf(ps->err->text, sizeof(ps->err->text), "%s%s:%u:%u: %s", dots, label, ps->line, column, message);
    return -EINVAL;
}

int scn_parse_no_memory(struct parser *ps)
{
    scn_parse_fail(ps, 1, "out of memory");
    return -ENOMEM;
}

const char *scn_token_show(const struct token *tok, char *buf, size_t size)
{
    size_t n = tok->length, room = size - 1;
    bool cut = n > room;

    if (cut)
        n = room - 3;
    /* Never half of a UTF-8 character. */
    while (cut && n > 0 && ((unsigned char)tok->text[n] & 0xc0) == 0x80)
        n--;
    memcpy(buf, tok->text, n);
    memcpy(buf + n, cut ? "..." : "", cut ? 4 : 1);
    return buf;
}

const char *scn_token_word(const struct token *tok, char *buf, size_t size)
{
    buf[0] = '\0';
    if (tok->length < size) {
        memcpy(buf, tok->text, tok->length);
        buf[tok->length] = '\0';
    }
    return buf;
}

bool scn_token_is(const struct token *tok, const char *word)
{
    return strlen(word) == tok->length && memcmp(word, tok->text, tok->length) == 0;
}

bool scn_token_option(const struct token *tok, const char *key, struct token *value)
{
    size_t n = strlen(key);

    if (tok->length <= n || memcmp(tok->text, key, n) != 0 || tok->text[n] != '=')
        return false;
    value->text = tok->text + n + 1;
    value->length = tok->length - n - 1;
    value->column = tok->column + (unsigned)n + 1;
    return true;
}

/* "a, b or c" of the words, as many as fit. */
static void list_words(const char *const *words, char *buf, size_t size)
{
    size_t used = 0;

    buf[0] = '\0';
    for (size_t i = 0; words[i]; i++) {
        const char *joint = i == 0 ? "" : words[i + 1] ? ", " : " or ";
        size_t n = strlen(joint) + strlen(words[i]);

        if (used + n + sizeof(", ...") > size) {
            memcpy(buf + used, ", ...", sizeof(", ..."));
            return;
        }
        used += (size_t)snprintf(buf + used, size - used, "%s%s", joint, words[i]);
    }
}

int scn_parse_fail_unknown(struct parser *ps, const struct token *tok, const char *kind, const char *const *words)
{
    char shown[44], word[64], list[150];
    const char *near = scn_nearest_word(scn_token_word(tok, word, sizeof(word)), words);

    scn_token_show(tok, shown, sizeof(shown));
    if (near)
        return scn_parse_fail(ps, tok->column, "unknown %s '%s'; did you mean '%s'?", kind, shown, near);
    list_words(words, list, sizeof(list));
    return scn_parse_fail(ps, tok->column, "unknown %s '%s'; expected %s", kind, shown, list);
}

int scn_parse_no_more(struct parser *ps, const struct line_tokens *t, size_t index, const char *usage)
{
    char shown[44];

    if (t->count <= index)
        return 0;
    return scn_parse_fail(ps, t->word[index].column, "unexpected '%s'; expected the end of the line (%s)",
                          scn_token_show(&t->word[index], shown, sizeof(shown)), usage);
}

int scn_parse_size_token(struct parser *ps, const struct token *tok, const char *what, uint64_t *bytes)
{
    char shown[44];

    if (scn_parse_size(tok->text, tok->length, bytes))
        return 0;
    return scn_parse_fail(ps, tok->column, "'%s' is no size; expected %s such as 512, 4K, 1M or 0x200",
                          scn_token_show(tok, shown, sizeof(shown)), what);
}

/* The option words of image and backing. */
static int fail_option(struct parser *ps, const struct token *tok, const char *of, const char *const *keys)
{
    struct token key = *tok;
    const char *equals = memchr(tok->text, '=', tok->length);
    char kind[32];

    if (equals)
        key.length = (size_t)(equals - tok->text) + 1;
    snprintf(kind, sizeof(kind), "option of %s", of);
    return scn_parse_fail_unknown(ps, &key, kind, keys);
}

static int fail_twice(struct parser *ps, const struct token *tok, const char *what)
{
    return scn_parse_fail(ps, tok->column, "%s is given twice; expected it once", what);
}

static int parse_cluster(struct parser *ps, const struct token *value)
{
    uint64_t bytes;
    char shown[44];
    int ret = scn_parse_size_token(ps, value, "a cluster size", &bytes);

    if (ret)
        return ret;
    if (bytes > UINT32_MAX || !qed_cluster_size_valid((uint32_t)bytes))
        return scn_parse_fail(ps, value->column, "cluster size %s is not valid; expected a power of two from 4K to 64M",
                              scn_token_show(value, shown, sizeof(shown)));
    ps->s->cluster_bytes = (uint32_t)bytes;
    return 0;
}

static int parse_table(struct parser *ps, const struct token *value)
{
    uint64_t clusters;
    char shown[44];

    if (!scn_parse_size(value->text, value->length, &clusters) || clusters > UINT32_MAX ||
        !qed_table_size_valid((uint32_t)clusters))
        return scn_parse_fail(ps, value->column, "table size '%s' is not valid; expected 1, 2, 4, 8 or 16 clusters",
                              scn_token_show(value, shown, sizeof(shown)));
    ps->s->table_clusters = (uint32_t)clusters;
    return 0;
}

static int parse_tail(struct parser *ps, const struct token *value)
{
    uint64_t bytes;
    char shown[44];
    int ret = scn_parse_size_token(ps, value, "a tail's size", &bytes);

    if (ret)
        return ret;
    if (!bytes || bytes % BLK_SECTOR_BYTES || bytes >= UINT32_MAX)
        return scn_parse_fail(ps, value->column, "tail size %s is not valid; expected a multiple of 512, not 0",
                              scn_token_show(value, shown, sizeof(shown)));
    ps->s->tail_bytes = (uint32_t)bytes;
    return 0;
}

static int check_image(struct parser *ps, const struct token *word, const struct token *size)
{
    struct scenario *s = ps->s;
    struct qed_geometry g;
    char bound[24], shown[24];

    if (!size)
        return scn_parse_fail(ps, word->column,
                              "image has no size; expected image size=SIZE [cluster=SIZE] [table=N] [tail=SIZE]");
    if (s->image_bytes == 0 || s->image_bytes % BLK_SECTOR_BYTES)
        return scn_parse_fail(ps, size->column, "image size %s is not valid; expected a multiple of 512, not 0",
                              scn_format_size(s->image_bytes, shown, sizeof(shown)));
    qed_geometry_init(&g, s->cluster_bytes, s->table_clusters, 1);
    if (s->image_bytes > g.max_image_bytes)
        return scn_parse_fail(ps, size->column,
                              "image size %s is too large; this cluster and table size hold at most %s",
                              scn_format_size(s->image_bytes, shown, sizeof(shown)),
                              scn_format_size(g.max_image_bytes, bound, sizeof(bound)));
    if (s->tail_bytes >= s->cluster_bytes)
        return scn_parse_fail(ps, word->column, "a tail is part of a cluster; expected less than %s",
                              scn_format_size(s->cluster_bytes, shown, sizeof(shown)));
    ps->image_bytes_now = s->image_bytes;
    ps->image_bytes_bound = g.max_image_bytes;
    ps->have_image = true;
    return 0;
}

static int parse_image(struct parser *ps, const struct line_tokens *t)
{
    static const char *const keys[] = {"size=", "cluster=", "table=", "tail=", NULL};
    struct token value, size;
    bool have_size = false, have_cluster = false, have_table = false, have_tail = false;

    if (ps->have_image)
        return fail_twice(ps, &t->word[0], "image");
    for (size_t i = 1; i < t->count; i++) {
        const struct token *tok = &t->word[i];
        int ret;

        if (scn_token_option(tok, "size", &value)) {
            if (have_size)
                return fail_twice(ps, tok, "size=");
            have_size = true;
            size = value;
            ret = scn_parse_size_token(ps, &value, "the image's size", &ps->s->image_bytes);
        } else if (scn_token_option(tok, "cluster", &value)) {
            if (have_cluster)
                return fail_twice(ps, tok, "cluster=");
            have_cluster = true;
            ret = parse_cluster(ps, &value);
        } else if (scn_token_option(tok, "table", &value)) {
            if (have_table)
                return fail_twice(ps, tok, "table=");
            have_table = true;
            ret = parse_table(ps, &value);
        } else if (scn_token_option(tok, "tail", &value)) {
            if (have_tail)
                return fail_twice(ps, tok, "tail=");
            have_tail = true;
            ret = parse_tail(ps, &value);
        } else {
            ret = fail_option(ps, tok, "image", keys);
        }
        if (ret)
            return ret;
    }
    return check_image(ps, &t->word[0], have_size ? &size : NULL);
}

static int parse_backing_size(struct parser *ps, const struct token *value)
{
    uint64_t bytes;
    int ret = scn_parse_size_token(ps, value, "the backing file's size", &bytes);

    if (ret)
        return ret;
    if (bytes == 0 || bytes % BLK_SECTOR_BYTES || bytes > INT64_MAX)
        return scn_parse_fail(
            ps, value->column,
            "the backing file's size is not valid; expected a multiple of 512, not 0 (or: backing none)");
    ps->s->backing_bytes = bytes;
    return 0;
}

static int parse_backing_fill(struct parser *ps, const struct token *value)
{
    static const char *const fills[] = {"tagged", "zero", "none", NULL};

    if (scn_token_is(value, "tagged"))
        ps->s->backing = SCN_BACKING_TAGGED;
    else if (scn_token_is(value, "zero"))
        ps->s->backing = SCN_BACKING_ZERO;
    else if (scn_token_is(value, "none"))
        ps->s->backing = SCN_BACKING_NONE;
    else
        return scn_parse_fail_unknown(ps, value, "fill", fills);
    return 0;
}

static int parse_backing(struct parser *ps, const struct line_tokens *t)
{
    static const char *const keys[] = {"size=", "fill=", "none", NULL};
    struct token value;
    bool have_size = false, have_fill = false;

    if (ps->have_backing)
        return fail_twice(ps, &t->word[0], "backing");
    if (ps->s->stmt_count)
        return scn_parse_fail(ps, t->word[0].column, "backing comes too late; expected it before the first statement");
    ps->have_backing = true;
    if (t->count == 2 && scn_token_is(&t->word[1], "none"))
        return 0;
    if (t->count == 1)
        return scn_parse_fail(ps, t->end_column,
                              "backing what? expected backing size=SIZE [fill=zero], or backing none");
    ps->s->backing = SCN_BACKING_TAGGED;
    for (size_t i = 1; i < t->count; i++) {
        const struct token *tok = &t->word[i];
        int ret;

        if (scn_token_option(tok, "size", &value) && !have_size) {
            have_size = true;
            ret = parse_backing_size(ps, &value);
        } else if (scn_token_option(tok, "fill", &value) && !have_fill) {
            have_fill = true;
            ret = parse_backing_fill(ps, &value);
        } else if (scn_token_option(tok, "size", &value) || scn_token_option(tok, "fill", &value)) {
            ret = fail_twice(ps, tok, have_size && scn_token_option(tok, "size", &value) ? "size=" : "fill=");
        } else {
            ret = fail_option(ps, tok, "backing", keys);
        }
        if (ret)
            return ret;
    }
    if (ps->s->backing == SCN_BACKING_NONE)
        ps->s->backing_bytes = 0;
    return 0;
}

static char *copy_text(const char *text, size_t length)
{
    char *copy = malloc(length + 1);

    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

/* The title is the rest of the line, inner blanks as they are. */
static int parse_title(struct parser *ps, const struct line_tokens *t)
{
    const struct token *first = &t->word[1], *last = &t->word[t->count - 1];
    char *title;

    if (ps->have_title)
        return fail_twice(ps, &t->word[0], "title");
    if (t->count < 2)
        return scn_parse_fail(ps, t->end_column, "title of what? expected a few words saying what the scenario asks");
    title = copy_text(first->text, (size_t)(last->text + last->length - first->text));
    if (!title)
        return scn_parse_no_memory(ps);
    free(ps->s->title);
    ps->s->title = title;
    ps->have_title = true;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A1 .. A99, with a small letter where a claim has several parts: A3b. */
static bool is_claim(const struct token *tok)
{
    size_t i = 1;

    if (tok->length < 2 || tok->text[0] < 'A' || tok->text[0] > 'Z' || tok->text[1] == '0')
        return false;
    while (i < tok->length && i < 3 && is_digit(tok->text[i]))
        i++;
    if (i > 1 && i < tok->length && tok->text[i] >= 'a' && tok->text[i] <= 'z')
        i++;
    return i > 1 && i == tok->length;
}

static int parse_ledger(struct parser *ps, const struct line_tokens *t)
{
    struct scenario *s = ps->s;
    char shown[44];

    if (ps->have_ledger)
        return fail_twice(ps, &t->word[0], "ledger");
    ps->have_ledger = true;
    if (t->count < 2)
        return scn_parse_fail(ps, t->end_column, "ledger of which claims? expected their numbers, such as A7 A10");
    for (size_t i = 1; i < t->count; i++) {
        if (!is_claim(&t->word[i]))
            return scn_parse_fail(ps, t->word[i].column, "'%s' is no claim; expected a letter and a number, such as A7",
                                  scn_token_show(&t->word[i], shown, sizeof(shown)));
        if (s->ledger_count == SCN_LEDGER_MAX)
            return scn_parse_fail(ps, t->word[i].column, "too many claims; expected at most %d", SCN_LEDGER_MAX);
        scn_token_word(&t->word[i], s->ledger[s->ledger_count], sizeof(s->ledger[0]));
        for (unsigned k = 0; k < s->ledger_count; k++) {
            if (strcmp(s->ledger[k], s->ledger[s->ledger_count]) == 0)
                return fail_twice(ps, &t->word[i], s->ledger[k]);
        }
        s->ledger_count++;
    }
    return 0;
}

static int parse_schedules(struct parser *ps, const struct line_tokens *t)
{
    static const char usage[] = "schedules all, or schedules N";
    char shown[44];

    if (ps->have_schedules)
        return fail_twice(ps, &t->word[0], "schedules");
    ps->have_schedules = true;
    if (t->count < 2)
        return scn_parse_fail_missing(ps, t, usage);
    if (scn_token_is(&t->word[1], "all"))
        ps->s->all_schedules = true;
    else if (!scn_parse_size(t->word[1].text, t->word[1].length, &ps->s->schedules) || !ps->s->schedules ||
             ps->s->schedules > UINT32_MAX)
        return scn_parse_fail(ps, t->word[1].column, "'%s' is no number of schedules; expected 1 or more, or all",
                              scn_token_show(&t->word[1], shown, sizeof(shown)));
    return scn_parse_no_more(ps, t, 2, usage);
}

/* Every word a line may begin with. */
static const char *const first_words[] = {
    "title", "image", "backing", "ledger",   "schedules", "prepare", "aio",    "write",  "read",
    "flush", "zero",  "discard", "truncate", "wait",      "sleep",   "cancel", "inject", "rebase",
    "close", "open",  "reopen",  "kill",     "crash",     "expect",  NULL,
};

static int parse_line(struct parser *ps, const struct line_tokens *t)
{
    const struct token *word = &t->word[0];
    char shown[44];

    if (scn_token_is(word, "title"))
        return parse_title(ps, t);
    if (scn_token_is(word, "image"))
        return parse_image(ps, t);
    if (scn_token_is(word, "backing"))
        return parse_backing(ps, t);
    if (scn_token_is(word, "ledger"))
        return parse_ledger(ps, t);
    if (scn_token_is(word, "schedules"))
        return parse_schedules(ps, t);
    if (scn_token_is(word, "expect"))
        return scn_parse_expect(ps, t);
    if (!scn_parse_is_statement(word))
        return scn_parse_fail_unknown(ps, word, "word", first_words);
    if (!ps->have_image)
        return scn_parse_fail(ps, word->column, "'%s' before any image; expected image size=SIZE first",
                              scn_token_show(word, shown, sizeof(shown)));
    return scn_parse_statement(ps, t);
}

/* Length of the UTF-8 character at text (1..4), or 0 if it is none. */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    size_t n;
    uint32_t code;

    if (text[0] < 0x80)
        return 1;
    n = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || n > length)
        return 0;
    code = text[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    if ((n == 3 && code < 0x800) || (n == 4 && (code < 0x10000 || code > 0x10ffff)))
        return 0;
    return n;
}

/* One clear error for a file that is no text, before anything is made of it. */
static int check_text(struct parser *ps, const char *line, size_t length)
{
    for (size_t i = 0, n; i < length; i += n) {
        unsigned char c = (unsigned char)line[i];

        n = utf8_length((const unsigned char *)line + i, length - i);
        if (n == 0 || c == 0x7f || (c < 0x20 && c != '\t'))
            return scn_parse_fail(ps, (unsigned)i + 1, "byte 0x%02x is no text; expected a scenario in plain UTF-8", c);
    }
    if (length > SCN_LINE_MAX)
        return scn_parse_fail(ps, SCN_LINE_MAX + 1, "the line is too long; expected at most %u characters",
                              SCN_LINE_MAX);
    return 0;
}

static int split_line(struct parser *ps, const char *line, size_t length, struct line_tokens *t)
{
    size_t i = 0;

    t->count = 0;
    while (true) {
        size_t start;

        while (i < length && (line[i] == ' ' || line[i] == '\t'))
            i++;
        if (i == length || line[i] == '#')
            break;
        start = i;
        while (i < length && line[i] != ' ' && line[i] != '\t' && line[i] != '#')
            i++;
        if (t->count == SCN_TOKEN_MAX)
            return scn_parse_fail(ps, (unsigned)start + 1, "too many words; expected at most %u on a line",
                                  SCN_TOKEN_MAX);
        t->word[t->count++] = (struct token){line + start, i - start, (unsigned)start + 1};
        t->end_column = (unsigned)i + 1;
    }
    return 0;
}

static int parse_lines(struct parser *ps, const char *text, size_t length)
{
    const char *end = text + length;
    struct line_tokens t;
    int ret;

    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *next = newline ? newline + 1 : end;
        size_t n = (size_t)((newline ? newline : end) - text);

        ps->line++;
        if (n && text[n - 1] == '\r')
            n--;
        ret = check_text(ps, text, n);
        if (!ret)
            ret = split_line(ps, text, n, &t);
        if (!ret && t.count)
            ret = parse_line(ps, &t);
        if (ret)
            return ret;
        text = next;
    }
    return 0;
}

/* What only the whole file can tell. */
static int finish(struct parser *ps)
{
    struct scenario *s = ps->s;

    ps->line = ps->line ? ps->line : 1;
    if (!ps->have_image)
        return scn_parse_fail(
            ps, 1, "the scenario has no image; expected image size=SIZE [cluster=SIZE] [table=N] [tail=SIZE]");
    if (s->backing != SCN_BACKING_NONE && s->backing_bytes == 0)
        s->backing_bytes = s->image_bytes;
    if (s->backing == SCN_BACKING_TAGGED && s->backing_bytes > SCN_BACKING_TAGGED_MAX)
        return scn_parse_fail(ps, 1, "a tagged backing file is held in memory; expected at most %uM (or fill=zero)",
                              SCN_BACKING_TAGGED_MAX >> 20);
    return 0;
}

/* File name without directories and ".scn". */
static char *name_of(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *base = slash ? slash + 1 : path ? path : "scenario";
    size_t n = strlen(base);

    if (n > 4 && memcmp(base + n - 4, ".scn", 4) == 0)
        n -= 4;
    return copy_text(base, n);
}

static struct scenario *new_scenario(const char *path)
{
    struct scenario *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->cluster_bytes = QED_DEFAULT_CLUSTER_BYTES;
    s->table_clusters = QED_DEFAULT_TABLE_CLUSTERS;
    s->path = path ? copy_text(path, strlen(path)) : NULL;
    s->name = name_of(path);
    s->title = s->name ? copy_text(s->name, strlen(s->name)) : NULL;
    if ((path && !s->path) || !s->name || !s->title) {
        scenario_free(s);
        return NULL;
    }
    return s;
}

int scenario_parse(const char *path, const char *text, size_t length, struct scenario **out, struct scn_error *err)
{
    struct scn_error unwanted = {""};
    struct parser ps = {.label = path ? path : "scenario", .err = err ? err : &unwanted};
    int ret;

    *out = NULL;
    ps.s = new_scenario(path);
    if (!ps.s)
        return scn_parse_no_memory(&ps);
    ret = parse_lines(&ps, text, length);
    if (!ret)
        ret = finish(&ps);
    free(ps.names);
    if (ret) {
        scenario_free(ps.s);
        return ret;
    }
    *out = ps.s;
    return 0;
}

static int load_fail(const char *path, struct scn_error *err, int ret, const char *why)
{
    snprintf(err->text, sizeof(err->text), "%.200s: %s", path, why);
    return ret;
}

int scenario_load(const char *path, struct scenario **out, struct scn_error *err)
{
    struct scn_error unwanted = {""};
    FILE *f = fopen(path, "re");
    char *text;
    size_t n;
    int ret;

    err = err ? err : &unwanted;
    *out = NULL;
    if (!f)
        return load_fail(path, err, -errno, strerror(errno));
    text = malloc(SCN_FILE_MAX + 1);
    if (!text) {
        fclose(f);
        return load_fail(path, err, -ENOMEM, "out of memory");
    }
    n = fread(text, 1, SCN_FILE_MAX + 1, f);
    if (ferror(f))
        ret = load_fail(path, err, errno ? -errno : -EIO, strerror(errno ? errno : EIO));
    else if (n > SCN_FILE_MAX)
        ret = load_fail(path, err, -EFBIG, "too large for a scenario; expected at most 1 MiB");
    else
        ret = scenario_parse(path, text, n, out, err);
    free(text);
    fclose(f);
    return ret;
}

void scenario_free(struct scenario *s)
{
    if (!s)
        return;
    replay_free(s->replay);
    free(s->path);
    free(s->name);
    free(s->title);
    free(s->stmts);
    free(s->expects);
    free(s);
}
