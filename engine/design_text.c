/* design_text.c: see design_text.h. */
#include "engine/design_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_WORDS 8

struct field_words {
    const char *name;
    bool is_set; /* words are bits, the value is their union */
    const char *words[MAX_WORDS];
    const char *summary;
};

#define ON_OFF                                                                                                         \
    {                                                                                                                  \
        "off", "on"                                                                                                    \
    }

static const struct field_words fields[QED_FIELD_COUNT] = {
    [QED_FIELD_data_flush] =
        {"data_flush",
         false,
         {"never", "cow", "partial", "reuse", "backing", "always"},
         "flush between a chunk's data and the L2 entry that names it: never, after a copy from the "
         "backing file, after any fill, for space used before, with a backing file, always"},
    [QED_FIELD_l1_flush] = {"l1_flush", false, ON_OFF, "flush between a new L2 table and the L1 entry that links it"},
    [QED_FIELD_need_check] = {"need_check",
                              false,
                              {"off", "written", "flushed"},
                              "the needs-check mark before the first allocation: none, written, written and flushed"},
    [QED_FIELD_need_check_with_backing] = {"need_check_with_backing", false, ON_OFF,
                                           "mark images that have a backing file too"},
    [QED_FIELD_clear_on] = {"clear_on",
                            true,
                            {"close", "guest-flush", "l1-update", "timer", "quiet"},
                            "when the mark is cleared"},
    [QED_FIELD_clear_order] = {"clear_order",
                               false,
                               {"without-flush", "before-flush", "after-flush-if-written", "after-flush"},
                               "the header write that clears the mark, against the flush of what it vouches for"},
    [QED_FIELD_clear_corrupt] = {"clear_corrupt", false, ON_OFF,
                                 "clear the mark even where the repair at open left corruptions"},
    [QED_FIELD_publish] = {"publish",
                           false,
                           {"before-write", "after-write"},
                           "when other requests see a changed table entry"},
    [QED_FIELD_failed_table] = {"failed_table",
                                false,
                                {"keep", "roll-back"},
                                "what memory holds after the write of a table sector failed"},
    [QED_FIELD_tail] = {"tail",
                        false,
                        {"round-down", "truncate", "round-up"},
                        "a file length that is no multiple of the cluster size, at a read-write open"},
    [QED_FIELD_zero_fill] = {"zero_fill",
                             false,
                             {"written", "skip-all-zero", "skip-new-space"},
                             "fills of zeros: written, left out, left out only beyond the file's end at open"},
    [QED_FIELD_zero_cluster_fill] = {"zero_cluster_fill",
                                     false,
                                     {"backing", "zeros"},
                                     "what surrounds a partial write into a cluster that reads zero"},
    [QED_FIELD_lock] = {"lock",
                        false,
                        {"none", "entry", "table", "gate"},
                        "what an allocating request holds while it is under way"},
    [QED_FIELD_reuse] = {"reuse",
                         false,
                         {"never", "at-once", "after-flush"},
                         "when a cluster that a discard freed is handed out again"},
    [QED_FIELD_evict_referenced] = {"evict_referenced", false, ON_OFF,
                                    "the L2 cache may drop tables that requests still use"},
    [QED_FIELD_backing_name_flush] = {"backing_name_flush", false, ON_OFF,
                                      "flush before the backing file's name changes"},
    [QED_FIELD_repair_flush] = {"repair_flush", false, ON_OFF,
                                "a real flush before repair clears the mark, even where the repair wrote nothing"},
    [QED_FIELD_backing_clip] = {"backing_clip", false, ON_OFF,
                                "beyond the backing file's end are zeros; off: an I/O error, as in the 2010 patch"},
    [QED_FIELD_native_zero] = {"native_zero", false, ON_OFF, "write-zeroes uses zero entries; off: zeros are written"},
    [QED_FIELD_check_on_reopen] = {"check_on_reopen", false, ON_OFF,
                                   "a reopen from read-only to read-write checks a marked image"},
    [QED_FIELD_phys_size] = {"phys_size",
                             false,
                             {"none", "header-field", "autoclear-bit"},
                             "how far allocation came, noted in the header: not at all, along with the mark, under an "
                             "autoclear bit that stands for the mark"},
    [QED_FIELD_size_check] = {"size_check",
                              false,
                              {"never", "marked", "always"},
                              "at open the file's length is held against phys_size: never, to leave out the scan of a "
                              "marked image if they are equal, to scan any image if they differ"},
    [QED_FIELD_close_flush] = {"close_flush",
                               false,
                               {"if-written", "always"},
                               "the flush of a close, and a guest's flush of a read-only image: left out where this "
                               "session wrote nothing, or always made"},
    [QED_FIELD_failed_flush] = {"failed_flush",
                                false,
                                {"go-on", "fail-stop"},
                                "after a flush has failed: go on, or fail every later flush and write until the image "
                                "is closed"},
};

static const unsigned value_counts[QED_FIELD_COUNT] = {
#define X(field, values) [QED_FIELD_##field] = (values),
    QED_DESIGN_FIELDS(X)
#undef X
};

const char *qed_design_field_name(enum qed_design_field field)
{
    return fields[field].name;
}

const char *qed_design_field_summary(enum qed_design_field field)
{
    return fields[field].summary;
}

unsigned qed_design_field_values(enum qed_design_field field)
{
    return value_counts[field];
}

bool qed_design_field_is_set(enum qed_design_field field)
{
    return fields[field].is_set;
}

const char *qed_design_value_name(enum qed_design_field field, unsigned value, char buf[64])
{
    const struct field_words *f = &fields[field];
    if (!f->is_set)
        return f->words[value];
    size_t used = 0;
    snprintf(buf, 64, "never");
    for (unsigned i = 0; i < MAX_WORDS && f->words[i]; i++)
        if (value >> i & 1)
            used += (size_t)snprintf(buf + used, 64 - used, "%s%s", used ? "+" : "", f->words[i]);
    return buf;
}

enum qed_design_field qed_design_field_find(const char *name, size_t length)
{
    for (unsigned i = 0; i < QED_FIELD_COUNT; i++)
        if (strlen(fields[i].name) == length && !memcmp(fields[i].name, name, length))
            return (enum qed_design_field)i;
    return QED_FIELD_COUNT;
}

static int find_word(const struct field_words *f, const char *word, size_t length)
{
    for (int i = 0; i < MAX_WORDS && f->words[i]; i++)
        if (strlen(f->words[i]) == length && !memcmp(f->words[i], word, length))
            return i;
    return -1;
}

int qed_design_value_find(enum qed_design_field field, const char *word, size_t length)
{
    const struct field_words *f = &fields[field];
    unsigned value = 0;
    if (!f->is_set)
        return find_word(f, word, length);
    if (length == 5 && !memcmp(word, "never", 5))
        return 0;
    for (const char *end = word + length; word <= end;) {
        const char *plus = memchr(word, '+', (size_t)(end - word));
        size_t part = (size_t)((plus ? plus : end) - word);
        int bit = find_word(f, word, part);
        if (bit < 0)
            return -1;
        value |= 1u << bit;
        word += part + 1;
    }
    return (int)value;
}

__attribute__((format(printf, 2, 3))) static int wrong(struct qed_design_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (err)
        vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return -EINVAL;
}

static void list_words(enum qed_design_field field, char *buf, size_t size)
{
    const struct field_words *f = &fields[field];
    size_t used = (size_t)snprintf(buf, size, "%s", f->is_set ? "never, or some of " : "");
    for (unsigned i = 0; i < MAX_WORDS && f->words[i] && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? (f->is_set ? "+" : ", ") : "", f->words[i]);
}

/* At most nine digits, and nothing else. */
static bool take_milliseconds(const char *word, size_t length, uint32_t *ms)
{
    uint32_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (length > 9 || !isdigit((unsigned char)word[i]))
            return false;
        value = value * 10 + (uint32_t)(word[i] - '0');
    }
    if (length)
        *ms = value;
    return length > 0;
}

static int set_field(struct qed_design *d, const char *name, size_t name_length, const char *word, size_t length,
                     struct qed_design_error *err)
{
    if (name_length == 14 && !memcmp(name, "clear_timer_ms", 14))
        return take_milliseconds(word, length, &d->clear_timer_ms)
                   ? 0
                   : wrong(err, "clear_timer_ms is a number of milliseconds, not '%.*s'", (int)length, word);
    enum qed_design_field field = qed_design_field_find(name, name_length);
    if (field == QED_FIELD_COUNT)
        return wrong(err, "a design has no field '%.*s'; `qedcrash designs --fields' lists them", (int)name_length,
                     name);
    int value = qed_design_value_find(field, word, length);
    if (value < 0) {
        char words[160];
        list_words(field, words, sizeof(words));
        return wrong(err, "%s cannot be '%.*s'; it is one of: %s", fields[field].name, (int)length, word, words);
    }
    d->value[field] = (uint8_t)value;
    return 0;
}

static const struct qed_design *find_base(const char *name, size_t length)
{
    for (size_t i = 0; i < qed_design_count; i++)
        if (strlen(qed_designs[i].name) == length && !memcmp(qed_designs[i].name, name, length))
            return &qed_designs[i];
    return NULL;
}

int qed_design_parse(const char *text, struct qed_design *out, struct qed_design_error *err)
{
    size_t length = strcspn(text, ",");
    const struct qed_design *base = find_base(text, length);
    if (!base)
        return wrong(err, "there is no design '%.*s'", (int)length, text);
    *out = *base;
    out->name = text;
    for (const char *at = text + length; *at;) {
        const char *field = at + 1;
        size_t part = strcspn(field, ","), name = strcspn(field, "=,");
        at = field + part;
        if (name >= part)
            return wrong(err, "'%.*s' is not FIELD=VALUE", (int)part, field);
        int ret = set_field(out, field, name, field + name + 1, part - name - 1, err);
        if (ret)
            return ret;
    }
    return 0;
}

/* --- files --------------------------------------------------------------------------------------------------------- */

struct line {
    const char *word, *rest;
    size_t word_length, rest_length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Word and rest of a line, both without blanks around and without the comment. */
static struct line split(const char *text, size_t length)
{
    const char *hash = memchr(text, '#', length);
    struct line l = {0};
    if (hash)
        length = (size_t)(hash - text);
    while (length && is_blank(*text))
        text++, length--;
    while (length && is_blank(text[length - 1]))
        length--;
    l.word = text;
    while (l.word_length < length && !is_blank(text[l.word_length]))
        l.word_length++;
    l.rest = text + l.word_length;
    l.rest_length = length - l.word_length;
    while (l.rest_length && is_blank(*l.rest))
        l.rest++, l.rest_length--;
    return l;
}

static bool is(const struct line *l, const char *word)
{
    return strlen(word) == l->word_length && !memcmp(word, l->word, l->word_length);
}

static int take_line(struct qed_design *d, const struct line *l, bool *based, struct qed_design_error *err)
{
    if (!l->word_length || is(l, "summary"))
        return 0;
    if (!l->rest_length)
        return wrong(err, "'%.*s' wants a value", (int)l->word_length, l->word);
    if (!is(l, "base"))
        return set_field(d, l->word, l->word_length, l->rest, l->rest_length, err);
    const struct qed_design *base = find_base(l->rest, l->rest_length);
    if (!base)
        return wrong(err, "there is no design '%.*s' to start from", (int)l->rest_length, l->rest);
    if (*based)
        return wrong(err, "'base' stands twice, or behind a field");
    *based = true;
    const char *name = d->name;
    *d = *base;
    d->name = name;
    return 0;
}

int qed_design_parse_file(const char *name, const char *text, size_t length, struct qed_design *out,
                          struct qed_design_error *err)
{
    bool based = false;
    *out = *qed_design_find("careful");
    out->name = name;
    for (unsigned number = 1; length; number++) {
        const char *newline = memchr(text, '\n', length);
        size_t size = newline ? (size_t)(newline - text) : length;
        struct line l = split(text, size);
        struct qed_design_error inner;
        if (take_line(out, &l, &based, &inner))
            return wrong(err, "%s:%u: %s", name, number, inner.text);
        based |= l.word_length && !is(&l, "summary");
        size += newline != NULL;
        text += size;
        length -= size;
    }
    return 0;
}

/* --- printing ------------------------------------------------------------------------------------------------------ */

static unsigned distance(const struct qed_design *a, const struct qed_design *b)
{
    unsigned n = a->clear_timer_ms != b->clear_timer_ms;
    for (unsigned i = 0; i < QED_FIELD_COUNT; i++)
        n += a->value[i] != b->value[i];
    return n;
}

void qed_design_format(const struct qed_design *d, char buf[QED_DESIGN_TEXT_MAX])
{
    const struct qed_design *base = &qed_designs[0];
    for (size_t i = 1; i < qed_design_count; i++)
        if (distance(d, &qed_designs[i]) < distance(d, base))
            base = &qed_designs[i];
    size_t used = (size_t)snprintf(buf, QED_DESIGN_TEXT_MAX, "%s", base->name);
    for (unsigned i = 0; i < QED_FIELD_COUNT; i++) {
        char word[64];
        if (d->value[i] != base->value[i])
            used += (size_t)snprintf(buf + used, QED_DESIGN_TEXT_MAX - used, ",%s=%s", fields[i].name,
                                     qed_design_value_name((enum qed_design_field)i, d->value[i], word));
    }
    if (d->clear_timer_ms != base->clear_timer_ms)
        snprintf(buf + used, QED_DESIGN_TEXT_MAX - used, ",clear_timer_ms=%u", d->clear_timer_ms);
}
