/* replay_guest.c: guest.jsonl, what the guest did, one operation a line. A strict reader for flat JSON objects of numbers
 * and strings: more than that is in no recording, and what is else is refused.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "scenarios/replay_internal.h"
#include "simdisk/xalloc.h"

enum member { M_OP, M_OFFSET, M_LENGTH, M_BYTE, M_LOG_START, M_LOG_END, M_COUNT };

static const char *const member_names[] = {"op", "offset", "length", "byte", "log_start", "log_end", NULL};

/* What each operation must say, as bits; NULL-terminated by name. */
static const struct op_word {
    const char *name;
    enum scn_op op;
    unsigned needs;
} op_words[] = {
    {"write", SCN_WRITE, 1u << M_OFFSET | 1u << M_LENGTH | 1u << M_BYTE},
    {"zero", SCN_ZERO, 1u << M_OFFSET | 1u << M_LENGTH},
    {"discard", SCN_DISCARD, 1u << M_OFFSET | 1u << M_LENGTH},
    {"flush", SCN_FLUSH, 0},
    {"truncate", SCN_TRUNCATE, 1u << M_LENGTH},
    {"close", SCN_CLOSE, 0},
    {"open", SCN_OPEN, 0},
};

struct line {
    const char *name; /* of the file */
    unsigned number;
    const char *at, *end;
    char word[40]; /* the last string */
    struct scn_error *err;
};

static int bad(const struct line *l, const char *why)
{
    return replay_fail(l->err, "%.150s:%u: %.140s", l->name, l->number, why);
}

static void skip_space(struct line *l)
{
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\t' || *l->at == '\r'))
        l->at++;
}

static bool take(struct line *l, char c)
{
    skip_space(l);
    if (l->at == l->end || *l->at != c)
        return false;
    l->at++;
    return true;
}

/* What is longer than any word here is cut, and so unknown. */
static int take_string(struct line *l)
{
    size_t used = 0;
    if (!take(l, '"'))
        return bad(l, "a string in quotes was expected");
    for (; l->at < l->end && *l->at != '"'; l->at++) {
        if ((unsigned char)*l->at < 0x20)
            return bad(l, "a control character stands in a string");
        if (*l->at == '\\' && ++l->at == l->end)
            break;
        if (used + 1 < sizeof(l->word))
            l->word[used++] = *l->at;
    }
    l->word[used] = 0;
    return take(l, '"') ? 0 : bad(l, "a string does not end");
}

static int take_number(struct line *l, uint64_t *value)
{
    *value = 0;
    skip_space(l);
    if (l->at == l->end || *l->at < '0' || *l->at > '9')
        return bad(l, "a number of digits alone was expected");
    for (; l->at < l->end && *l->at >= '0' && *l->at <= '9'; l->at++) {
        unsigned digit = (unsigned)(*l->at - '0');
        if (*value > (UINT64_MAX - digit) / 10)
            return bad(l, "a number is too large");
        *value = *value * 10 + digit;
    }
    return 0;
}

/* A member that is none of ours: a string, a number, true, false or null. */
static int skip_value(struct line *l)
{
    skip_space(l);
    if (l->at < l->end && *l->at == '"')
        return take_string(l);
    const char *from = l->at;
    while (l->at < l->end && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *l->at))
        l->at++;
    return l->at > from ? 0 : bad(l, "a value was expected; one inside another is not read");
}

static const struct op_word *find_op(const char *word)
{
    for (size_t i = 0; i < sizeof(op_words) / sizeof(op_words[0]); i++)
        if (!strcmp(op_words[i].name, word))
            return &op_words[i];
    return NULL;
}

struct members {
    const struct op_word *op;
    uint64_t value[M_COUNT];
    unsigned seen;
};

static int take_member(struct line *l, struct members *m)
{
    unsigned i = 0;
    int ret = take_string(l);
    if (ret)
        return ret;
    while (member_names[i] && strcmp(member_names[i], l->word) != 0)
        i++;
    if (!take(l, ':'))
        return bad(l, "a ':' was expected after a member's name");
    if (!member_names[i])
        return skip_value(l);
    if (m->seen & 1u << i)
        return bad(l, "a member stands twice");
    m->seen |= 1u << i;
    if (i != M_OP)
        return take_number(l, &m->value[i]);
    ret = take_string(l);
    if (!ret && !(m->op = find_op(l->word)))
        return replay_fail(l->err,
                           "%.150s:%u: unknown op '%.30s'; expected write, zero, flush, discard, truncate, close "
                           "or open",
                           l->name, l->number, l->word);
    return ret;
}

static int take_object(struct line *l, struct members *m)
{
    if (!take(l, '{'))
        return bad(l, "a JSON object was expected");
    if (!take(l, '}')) {
        do {
            int ret = take_member(l, m);
            if (ret)
                return ret;
        } while (take(l, ','));
        if (!take(l, '}'))
            return bad(l, "',' or '}' was expected");
    }
    skip_space(l);
    return l->at == l->end ? 0 : bad(l, "something stands behind the object");
}

static int check_members(const struct line *l, const struct members *m, const struct replay *r)
{
    uint64_t end = m->value[M_OFFSET] + m->value[M_LENGTH];
    if (!m->op)
        return bad(l, "the operation has no \"op\"");
    unsigned missing = (m->op->needs | 1u << M_LOG_START | 1u << M_LOG_END) & ~m->seen;
    if (missing)
        return replay_fail(l->err, "%.150s:%u: a %s needs a \"%s\"", l->name, l->number, m->op->name,
                           member_names[__builtin_ctz(missing)]);
    if (m->value[M_BYTE] > 255)
        return bad(l, "\"byte\" is beyond 255");
    if (m->value[M_LOG_END] < m->value[M_LOG_START])
        return bad(l, "\"log_end\" is before \"log_start\"");
    if (m->value[M_OFFSET] % BLK_SECTOR_BYTES || m->value[M_LENGTH] % BLK_SECTOR_BYTES)
        return bad(l, "offset and length must be whole sectors of 512 bytes");
    if (m->op->op != SCN_TRUNCATE && (end < m->value[M_OFFSET] || end > r->max_bytes))
        return bad(l, "the operation lies beyond any image of this geometry");
    if (r->guest_count && m->value[M_LOG_START] < r->guest[r->guest_count - 1].log_start)
        return bad(l, "\"log_start\" is before that of the line above");
    return 0;
}

int replay_parse_guest(struct replay *r, const char *name, const char *text, size_t length, struct scn_error *err)
{
    struct line l = {.name = name, .at = text, .end = text, .err = err};
    const char *end = text + length;
    uint32_t write_id = 2;
    for (; l.end < end; text = l.end + 1) {
        struct members m = {0};
        l.number++;
        l.at = text;
        l.end = memchr(text, '\n', (size_t)(end - text));
        l.end = l.end ? l.end : end;
        skip_space(&l);
        if (l.at == l.end) {
            if (l.end == end)
                break;
            continue;
        }
        int ret = take_object(&l, &m);
        ret = ret ? ret : check_members(&l, &m, r);
        if (ret)
            return ret;
        assert(m.op); /* or check_members() has complained */
        r->guest = xgrow(r->guest, r->guest_count, &r->guest_cap, sizeof(*r->guest));
        struct replay_guest *g = &r->guest[r->guest_count++];
        *g = (struct replay_guest){.op = m.op->op,
                                   .offset_bytes = m.value[M_OFFSET],
                                   .length_bytes = m.value[M_LENGTH],
                                   .byte = (uint8_t)m.value[M_BYTE],
                                   .log_start = m.value[M_LOG_START],
                                   .log_end = m.value[M_LOG_END]};
        if (g->op == SCN_WRITE && !g->byte)
            g->op = SCN_ZERO; /* it cannot be told from one */
        if (g->op == SCN_WRITE)
            g->write_id = write_id++;
    }
    return 0;
}
