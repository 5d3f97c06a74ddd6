/* words.c: see words.h. */
#include "scenarios/words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

struct op_info {
    const char *word;
    const char *usage;
    bool request;
};

static const struct op_info op_infos[SCN_OP_COUNT] = {
    [SCN_WRITE] = {"write", "write OFFSET LENGTH", true},
    [SCN_READ] = {"read", "read OFFSET LENGTH", true},
    [SCN_FLUSH] = {"flush", "flush", true},
    [SCN_ZERO] = {"zero", "zero OFFSET LENGTH", true},
    [SCN_DISCARD] = {"discard", "discard OFFSET LENGTH", true},
    [SCN_TRUNCATE] = {"truncate", "truncate SIZE", false},
    [SCN_WAIT] = {"wait", "wait NAME... or wait all", false},
    [SCN_SLEEP] = {"sleep", "sleep DURATION", false},
    [SCN_CANCEL] = {"cancel", "cancel NAME", false},
    [SCN_INJECT] = {"inject", "inject EVENT ERRNO [once|always] [after=N]", false},
    [SCN_REBASE] = {"rebase", "rebase none", false},
    [SCN_CLOSE] = {"close", "close", false},
    [SCN_OPEN] = {"open", "open rw|ro|check [as=DESIGN]", false},
    [SCN_REOPEN] = {"reopen", "reopen rw|ro", false},
    [SCN_KILL] = {"kill", "kill", false},
    [SCN_CRASH] = {"crash", "crash", false},
};

const char *scn_op_word(enum scn_op op)
{
    return op_infos[op].word;
}

const char *scn_op_usage(enum scn_op op)
{
    return op_infos[op].usage;
}

bool scn_op_is_request(enum scn_op op)
{
    return op_infos[op].request;
}

const char *scn_mode_word(enum scn_mode mode)
{
    switch (mode) {
    case SCN_MODE_RW:
        return "rw";
    case SCN_MODE_RO:
        return "ro";
    case SCN_MODE_CHECK:
        return "check";
    }
    return "?";
}

/* Errors a disk plausibly answers. Parallel to errno_values. */
static const char *const errno_words[] = {
    "EIO",    "ENOSPC",  "ENOMEM", "EACCES", "EPERM",     "EROFS",     "EDQUOT",  "EFBIG",     "EBUSY",  "EAGAIN",
    "EINVAL", "ENOTSUP", "ENODEV", "ENXIO",  "ENOMEDIUM", "ETIMEDOUT", "EBADMSG", "EREMOTEIO", "ESTALE", NULL,
};
static const int errno_values[] = {
    EIO,    ENOSPC,  ENOMEM, EACCES, EPERM,     EROFS,     EDQUOT,  EFBIG,     EBUSY,  EAGAIN,
    EINVAL, ENOTSUP, ENODEV, ENXIO,  ENOMEDIUM, ETIMEDOUT, EBADMSG, EREMOTEIO, ESTALE,
};

int scn_errno_parse(const char *word)
{
    for (size_t i = 0; errno_words[i]; i++) {
        if (strcmp(errno_words[i], word) == 0)
            return errno_values[i];
    }
    return 0;
}

const char *scn_errno_word(int error)
{
    for (size_t i = 0; errno_words[i]; i++) {
        if (errno_values[i] == error)
            return errno_words[i];
    }
    return NULL;
}

const char *const *scn_errno_words(void)
{
    return errno_words;
}

/* Reads decimal or 0x digits; *used is how many characters they took (0: no number). false on overflow. */
static bool parse_digits(const char *text, size_t length, uint64_t *value, size_t *used)
{
    unsigned base = 10;
    size_t i = 0, start;

    if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        i = 2;
    }
    start = i;
    *value = 0;
    for (; i < length; i++) {
        char c = text[i];
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (base == 16 && c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            break;
        if (__builtin_mul_overflow(*value, (uint64_t)base, value) ||
            __builtin_add_overflow(*value, (uint64_t)digit, value))
            return false;
    }
    *used = i == start ? 0 : i;
    return true;
}

bool scn_parse_size(const char *text, size_t length, uint64_t *bytes)
{
    uint64_t value, unit = 1;
    size_t used;

    if (!parse_digits(text, length, &value, &used) || used == 0)
        return false;
    if (used + 1 == length) {
        switch (text[used]) {
        case 'k':
        case 'K':
            unit = 1ull << 10;
            break;
        case 'm':
        case 'M':
            unit = 1ull << 20;
            break;
        case 'g':
        case 'G':
            unit = 1ull << 30;
            break;
        case 't':
        case 'T':
            unit = 1ull << 40;
            break;
        default:
            return false;
        }
    } else if (used != length) {
        return false;
    }
    return !__builtin_mul_overflow(value, unit, bytes);
}

struct time_unit {
    const char *word;
    uint64_t nanoseconds;
};

/* Largest first: the printer takes the first that divides. */
static const struct time_unit time_units[] = {
    {"m", 60000000000ull}, {"s", 1000000000ull}, {"ms", 1000000ull}, {"us", 1000ull}, {"ns", 1ull},
};
#define TIME_UNIT_COUNT (sizeof(time_units) / sizeof(time_units[0]))

bool scn_parse_duration(const char *text, size_t length, uint64_t *nanoseconds)
{
    uint64_t value;
    size_t used;

    if (!parse_digits(text, length, &value, &used) || used == 0)
        return false;
    for (size_t i = 0; i < TIME_UNIT_COUNT; i++) {
        const struct time_unit *u = &time_units[i];

        if (strlen(u->word) == length - used && memcmp(u->word, text + used, length - used) == 0)
            return !__builtin_mul_overflow(value, u->nanoseconds, nanoseconds);
    }
    return false;
}

char *scn_format_size(uint64_t bytes, char *buf, size_t size)
{
    static const char units[] = "KMGT";
    uint64_t value = bytes;
    int unit = -1;

    while (value && value % 1024 == 0 && unit < 3) {
        value /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(buf, size, "%" PRIu64, value);
    else
        snprintf(buf, size, "%" PRIu64 "%c", value, units[unit]);
    return buf;
}

char *scn_format_duration(uint64_t nanoseconds, char *buf, size_t size)
{
    size_t i = 0;

    while (i + 1 < TIME_UNIT_COUNT && (nanoseconds == 0 || nanoseconds % time_units[i].nanoseconds))
        i++;
    snprintf(buf, size, "%" PRIu64 "%s", nanoseconds / time_units[i].nanoseconds, time_units[i].word);
    return buf;
}

/* Text that grows to the right and remembers whether it was cut. */
struct line {
    char *buf;
    size_t size, used;
    bool cut;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(l->buf + l->used, l->size - l->used, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= l->size - l->used) {
        l->cut = true;
        l->used = l->size - 1;
    } else {
        l->used += (size_t)n;
    }
}

static void add_inject(struct line *l, const struct scn_stmt *stmt)
{
    const char *error = scn_errno_word(-stmt->error);

    add(l, " %s %s %s", blk_event_name(stmt->event), error ? error : "EIO", stmt->once ? "once" : "always");
    if (stmt->after)
        add(l, " after=%" PRIu32, stmt->after);
}

static void add_wait(struct line *l, const struct scn_stmt *stmt)
{
    if (stmt->wait_all)
        add(l, " all");
    for (unsigned i = 0; i < stmt->wait_count; i++)
        add(l, " %s", stmt->wait_names[i]);
}

static void add_operands(struct line *l, const struct scn_stmt *stmt)
{
    char a[24], b[24];

    switch (stmt->op) {
    case SCN_WRITE:
    case SCN_READ:
    case SCN_ZERO:
    case SCN_DISCARD:
        add(l, " %s %s", scn_format_size(stmt->offset, a, sizeof(a)), scn_format_size(stmt->length, b, sizeof(b)));
        break;
    case SCN_TRUNCATE:
        add(l, " %s", scn_format_size(stmt->length, a, sizeof(a)));
        break;
    case SCN_SLEEP:
        add(l, " %s", scn_format_duration(stmt->length, a, sizeof(a)));
        break;
    case SCN_WAIT:
        add_wait(l, stmt);
        break;
    case SCN_CANCEL:
        add(l, " %s", stmt->name);
        break;
    case SCN_INJECT:
        add_inject(l, stmt);
        break;
    case SCN_REBASE:
        add(l, " none");
        break;
    case SCN_OPEN:
    case SCN_REOPEN:
        add(l, " %s", scn_mode_word(stmt->mode));
        if (stmt->program[0])
            add(l, " as=%s", stmt->program);
        break;
    case SCN_FLUSH:
    case SCN_CLOSE:
    case SCN_KILL:
    case SCN_CRASH:
    case SCN_OP_COUNT:
        break;
    }
}

char *scn_format_stmt(const struct scn_stmt *stmt, char *buf, size_t size)
{
    struct line l = {.buf = buf, .size = size};

    if (stmt->prepare)
        add(&l, "prepare ");
    if (stmt->aio)
        add(&l, "aio %s ", stmt->name);
    add(&l, "%s", scn_op_word(stmt->op));
    add_operands(&l, stmt);
    if (l.cut && size > 4)
        memcpy(buf + size - 4, "...", 4);
    return buf;
}

#define NEAREST_MAX_CHARS 63

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Edits (insert, drop, replace, swap two neighbours) from a to b; letter case costs nothing. */
static unsigned edit_distance(const char *a, size_t an, const char *b, size_t bn)
{
    unsigned rows[3][NEAREST_MAX_CHARS + 2];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= bn; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        unsigned *t;

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= bn; j++) {
            unsigned differ = lower(a[i - 1]) != lower(b[j - 1]);

            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + differ);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        t = before;
        before = last;
        last = now;
        now = t;
    }
    return last[bn];
}

const char *scn_nearest_word(const char *word, const char *const *words)
{
    size_t wn = strlen(word);
    const char *best = NULL;
    unsigned best_distance = 0;

    if (wn == 0 || wn > NEAREST_MAX_CHARS)
        return NULL;
    for (size_t i = 0; words[i]; i++) {
        size_t n = strlen(words[i]);
        unsigned d, allowed;

        if (n == 0 || n > NEAREST_MAX_CHARS)
            continue;
        d = edit_distance(word, wn, words[i], n);
        allowed = (unsigned)(n > wn ? n : wn) / 3;
        if (allowed == 0)
            allowed = 1;
        /* A word of which nothing is right is not near, however short. */
        if (d > allowed || d >= n)
            continue;
        if (!best || d < best_distance) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}
