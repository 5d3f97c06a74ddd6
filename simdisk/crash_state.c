/* crash_state.c: crash states as data and as text; see crash_state.h. */
#include "simdisk/crash_state.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "simdisk/xalloc.h"

void crash_state_init(struct crash_state *st, const struct crash_space *space)
{
    *st = (struct crash_state){.unit_count = space->unit_count, .atom_count = space->atom_count};
    st->own = xcalloc(space->unit_count, sizeof(*st->own));
    st->atom = xcalloc(space->atom_count, sizeof(*st->atom));
}

void crash_state_free(struct crash_state *st)
{
    free(st->own);
    free(st->atom);
    *st = (struct crash_state){0};
}

void crash_state_copy(struct crash_state *to, const struct crash_state *from)
{
    assert(to->unit_count == from->unit_count && to->atom_count == from->atom_count);
    memcpy(to->own, from->own, from->unit_count * sizeof(*from->own));
    memcpy(to->atom, from->atom, from->atom_count * sizeof(*from->atom));
    to->length = from->length;
}

uint32_t crash_state_version(const struct crash_space *space, const struct crash_state *st, size_t unit)
{
    if (!space->atom_count)
        return st->own[unit];
    for (uint32_t v = space->units[unit].version_count - 1; v > st->own[unit]; v--) {
        uint32_t atom = crash_unit_version(space, unit, v)->atom;
        if (atom != CRASH_NO_ATOM && st->atom[atom])
            return v;
    }
    return st->own[unit];
}

uint32_t crash_state_when(const struct crash_space *space, const struct crash_state *st)
{
    uint32_t when = space->first_point;
    for (size_t u = 0; u < st->unit_count; u++) {
        uint32_t w = crash_unit_version(space, u, st->own[u])->when;
        when = w > when ? w : when;
    }
    for (size_t a = 0; a < st->atom_count; a++)
        if (st->atom[a] && space->atoms[a].when > when)
            when = space->atoms[a].when;
    if (space->lengths && space->lengths[st->length].when > when)
        when = space->lengths[st->length].when;
    return when;
}

uint32_t crash_state_survivors(const struct crash_space *space, const struct crash_state *st)
{
    uint32_t n = space->lengths && st->length ? 1 : 0;
    for (size_t u = 0; u < st->unit_count; u++)
        n += crash_state_version(space, st, u) != 0;
    for (size_t a = 0; a < st->atom_count; a++)
        n += st->atom[a] && !space->atoms[a].unit_count; /* an atom that shows nowhere still survived */
    return n + space->prefix_ops;
}

int crash_state_compare(const struct crash_space *space, const struct crash_state *a, const struct crash_state *b)
{
    uint32_t x = crash_state_survivors(space, a), y = crash_state_survivors(space, b);
    if (x == y) {
        x = crash_state_when(space, a);
        y = crash_state_when(space, b);
    }
    if (x != y)
        return x < y ? -1 : 1;
    for (size_t u = 0; u < a->unit_count; u++)
        if (a->own[u] != b->own[u])
            return a->own[u] < b->own[u] ? -1 : 1;
    int order = memcmp(a->atom, b->atom, a->atom_count);
    return order ? order : a->length < b->length ? -1 : a->length > b->length;
}

void crash_state_apply(const struct crash_space *space, const struct crash_state *st, struct crash_disk *disk)
{
    for (size_t a = 0; a < st->atom_count; a++)
        crash_disk_set_atom(disk, a, st->atom[a]);
    for (size_t u = 0; u < st->unit_count; u++)
        crash_disk_set_unit(disk, u, crash_state_version(space, st, u));
    if (space->lengths)
        crash_disk_set_length(disk, st->length);
}

void crash_state_from_disk(struct crash_state *st, const struct crash_space *space, const struct crash_disk *disk)
{
    for (size_t a = 0; a < st->atom_count; a++)
        st->atom[a] = crash_disk_atom_in(disk, a);
    for (size_t u = 0; u < st->unit_count; u++) {
        uint32_t v = crash_disk_unit(disk, u);
        st->own[u] = v != CRASH_OPEN && crash_unit_version(space, u, v)->atom == CRASH_NO_ATOM ? v : 0;
    }
    uint32_t length = crash_disk_length_choice(disk);
    st->length = length == CRASH_OPEN ? 0 : length;
}

/* --- text ---------------------------------------------------------------------------------------------------------- */

static void op_sectors(const struct crash_space *s, const struct hist_op *op, size_t unit, uint64_t *from, uint64_t *to)
{
    uint64_t start = op->offset_bytes / BLK_SECTOR_BYTES;
    uint64_t end = (op->offset_bytes + op->length_bytes + BLK_SECTOR_BYTES - 1) / BLK_SECTOR_BYTES;
    uint64_t lo = s->units[unit].first_sector, hi = lo + s->unit_sectors;
    *from = (lo > start ? lo : start) - start;
    *to = (hi < end ? hi : end) - start;
}

struct text {
    FILE *out;
    uint64_t from, to; /* sectors of the operation not printed yet; from == to: none */
    bool first;
};

static void print_range(struct text *t)
{
    if (t->from == t->to)
        return;
    fprintf(t->out, "%c%" PRIu64, t->first ? '.' : ',', t->from);
    if (t->to - t->from > 1)
        fprintf(t->out, "-%" PRIu64, t->to - 1);
    t->first = false;
}

/* The sectors of op that survived; nothing more than its name if that is all it has pending here. */
static void print_op(const struct crash_space *s, const struct crash_state *st, uint32_t op, FILE *out)
{
    size_t pending = 0, survived = 0;
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 1; v < s->units[u].version_count; v++)
            if (crash_unit_version(s, u, v)->op == op && crash_unit_version(s, u, v)->atom == CRASH_NO_ATOM) {
                pending++;
                survived += st->own[u] == v;
            }
    if (!survived)
        return;
    char name[24];
    history_op_name(s->history, op, name, sizeof(name));
    fprintf(out, "+%s", name);
    if (survived == pending)
        return;
    struct text t = {.out = out, .first = true};
    for (size_t u = 0; u < s->unit_count; u++) {
        const struct crash_version *v = crash_unit_version(s, u, st->own[u]);
        if (!st->own[u] || v->op != op)
            continue;
        uint64_t from, to;
        op_sectors(s, &s->history->ops[op], u, &from, &to);
        if (from != t.to || t.from == t.to) {
            print_range(&t);
            t.from = from;
        }
        t.to = to;
    }
    print_range(&t);
}

static void print_name(const struct crash_space *s, uint32_t op, FILE *out)
{
    char name[24];
    history_op_name(s->history, op, name, sizeof(name));
    fprintf(out, "+%s", name);
}

char *crash_state_text(const struct crash_space *space, const struct crash_state *st)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    for (uint32_t i = 0; i < space->prefix_ops; i++)
        print_name(space, space->prefix[i], out);
    for (size_t a = 0; a < st->atom_count; a++)
        if (st->atom[a])
            print_name(space, space->atoms[a].op, out);
    for (uint32_t op = 0; op < space->history->op_count; op++)
        print_op(space, st, op, out);
    if (space->lengths && st->length)
        fprintf(out, "+len=%" PRIu64, space->lengths[st->length].bytes);
    fclose(out);
    return text;
}

/* --- and back ------------------------------------------------------------------------------------------------------ */

static bool parse_number(const char **at, const char *end, uint64_t *value)
{
    const char *start = *at;
    *value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        if (__builtin_mul_overflow(*value, UINT64_C(10), value) ||
            __builtin_add_overflow(*value, (uint64_t)(**at - '0'), value))
            return false;
    return *at > start;
}

/* Sets those units whose sectors of op lie in [from, to]; false if there is none. */
static bool set_sectors(const struct crash_space *s, struct crash_state *st, uint32_t op, uint64_t from, uint64_t to)
{
    bool any = false;
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 1; v < s->units[u].version_count; v++) {
            const struct crash_version *version = crash_unit_version(s, u, v);
            if (version->op != op || version->atom != CRASH_NO_ATOM)
                continue;
            uint64_t lo, hi;
            op_sectors(s, &s->history->ops[op], u, &lo, &hi);
            if (lo <= to && hi > from) {
                st->own[u] = v;
                any = true;
            }
        }
    return any;
}

static bool set_whole(const struct crash_space *s, struct crash_state *st, uint32_t op, uint32_t *prefix_seen)
{
    for (size_t a = 0; a < s->atom_count; a++)
        if (s->atoms[a].op == op) {
            st->atom[a] = 1;
            return true;
        }
    for (uint32_t i = 0; i < s->prefix_ops; i++)
        if (s->prefix[i] == op) {
            ++*prefix_seen;
            return true;
        }
    return set_sectors(s, st, op, 0, UINT64_MAX);
}

static bool parse_length(const struct crash_space *s, const char *at, const char *end, struct crash_state *st)
{
    uint64_t bytes;
    if (!parse_number(&at, end, &bytes) || at != end)
        return false;
    for (size_t i = 0; i < s->length_count; i++)
        if (s->lengths[i].bytes == bytes) {
            st->length = (uint32_t)i;
            return true;
        }
    return false;
}

static bool parse_survivor(const struct crash_space *s, const char *at, const char *end, struct crash_state *st,
                           uint32_t *prefix_seen)
{
    if (end - at > 4 && !memcmp(at, "len=", 4))
        return parse_length(s, at + 4, end, st);
    const char *dot = memchr(at, '.', (size_t)(end - at));
    uint32_t op = history_op_find(s->history, at, (size_t)((dot ? dot : end) - at));
    if (op == HIST_NEVER)
        return false;
    if (!dot)
        return set_whole(s, st, op, prefix_seen);
    for (at = dot; at < end;) {
        uint64_t from, to;
        at++; /* the dot or a comma */
        if (!parse_number(&at, end, &from))
            return false;
        to = from;
        if (at < end && *at == '-' && (at++, !parse_number(&at, end, &to)))
            return false;
        if ((at < end && *at != ',') || !set_sectors(s, st, op, from, to))
            return false;
    }
    return true;
}

size_t crash_state_named_twice(const struct history *history, const char *text, size_t length)
{
    bool *seen = xcalloc(history->op_count, sizeof(*seen));
    size_t at = 0;
    while (at < length) {
        size_t begin = at + 1, end = begin; /* behind the plus */
        while (end < length && text[end] != '+' && text[end] != '.')
            end++;
        uint32_t op = begin < end ? history_op_find(history, text + begin, end - begin) : HIST_NEVER;
        if (op != HIST_NEVER && seen[op])
            break;
        if (op != HIST_NEVER)
            seen[op] = true;
        const char *plus = end < length ? memchr(text + end, '+', length - end) : NULL;
        at = plus ? (size_t)(plus - text) : length;
    }
    free(seen);
    return at;
}

bool crash_state_parse(const struct crash_space *space, const char *text, size_t length, struct crash_state *st)
{
    crash_state_init(st, space);
    const char *end = text + length;
    uint32_t prefix_seen = 0;
    bool good = crash_state_named_twice(space->history, text, length) == length;
    while (good && text < end) {
        if (*text++ != '+') {
            good = false;
            break;
        }
        const char *plus = memchr(text, '+', (size_t)(end - text));
        const char *stop = plus ? plus : end;
        good = parse_survivor(space, text, stop, st, &prefix_seen);
        text = stop;
    }
    if (good && prefix_seen == space->prefix_ops)
        return true;
    crash_state_free(st);
    return false;
}
