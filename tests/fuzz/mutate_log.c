/* mutate_log.c: a recording changed in one of its parts, as log_bytes.h has them: the base image, the log's entries, or a line of
 * guest.jsonl.
 */
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/log_bytes.h"
#include "tests/fuzz/mutate_kit.h"

/* The image's own mutator, under another name. */
#define fuzz_mutate    mutate_image
#define fuzz_crossover cross_images
#include "tests/fuzz/mutate_image.c"
#undef fuzz_mutate
#undef fuzz_crossover

struct parts {
    size_t image, log, guest; /* bytes */
};

static struct parts parts_of(const uint8_t *data, size_t size)
{
    size_t left = size - LOG_HEAD_BYTES, log = data[2] | (size_t)data[3] << 8;
    struct parts p = {.image = data[1] < left ? data[1] : left};
    left -= p.image;
    p.log = log < left ? log : left;
    p.guest = left - p.log;
    return p;
}

static void put_sizes(uint8_t *data, const struct parts *p)
{
    data[1] = (uint8_t)p->image;
    data[2] = (uint8_t)p->log;
    data[3] = (uint8_t)(p->log >> 8);
}

/* --- the log ------------------------------------------------------------------------------------------------------- */

static void new_entry(struct mutate_rng *rng, uint8_t *r)
{
    static const uint8_t kinds[] = {0, 0, 0, 0, 1, 1, 2, 3, 4, 8, 16, LOG_WHAT_TABLE, LOG_WHAT_TABLE, LOG_WHAT_TABLE};
    r[0] = kinds[mutate_below(rng, sizeof(kinds))];
    if (!mutate_below(rng, 24))
        r[0] |= (uint8_t)(LOG_WHAT_FAR << mutate_below(rng, 2));
    r[1] = (uint8_t)(mutate_below(rng, 4) ? 8 * mutate_below(rng, 16) : mutate_below(rng, 256));
    r[2] = (uint8_t)(mutate_below(rng, 8) ? 0 : mutate_below(rng, 256));
    r[3] = (uint8_t)(r[0] == 1 ? 0 : (mutate_below(rng, 2) ? 1 : mutate_below(rng, 12)) | mutate_below(rng, 4) << 5);
    r[4] = (uint8_t)mutate_below(rng, 32);
}

/* Of `*size` bytes at `log`, which may become `max`. */
static void mutate_log(struct mutate_rng *rng, uint8_t *log, size_t *size, size_t max)
{
    if (*size < LOG_CHOICES) {
        if (max < LOG_CHOICES)
            return;
        memset(log + *size, 0, LOG_CHOICES - *size);
        *size = LOG_CHOICES;
    }
    size_t records = (*size - LOG_CHOICES) / LOG_RECORD_BYTES;
    size_t at = LOG_CHOICES + mutate_below(rng, (uint32_t)records) * LOG_RECORD_BYTES;
    switch (mutate_below(rng, records ? 8 : 3)) {
    case 0:
        log[mutate_below(rng, LOG_CHOICES)] = (uint8_t)(mutate_below(rng, 2) ? 0 : mutate_below(rng, 256));
        break;
    case 1:
    case 2:
        if (mutate_open_gap(log, size, max, at, LOG_RECORD_BYTES))
            new_entry(rng, log + at);
        break;
    case 3:
        mutate_close_gap(log, size, at, LOG_RECORD_BYTES);
        break;
    case 4:
        log[at] ^= (uint8_t)(1u << mutate_below(rng, 8));
        break;
    default:
        log[at + mutate_below(rng, LOG_RECORD_BYTES)] = (uint8_t)mutate_below(rng, mutate_below(rng, 2) ? 256 : 16);
    }
}

static void mutate_bytes(struct mutate_rng *rng, uint8_t *bytes, size_t *size, size_t max)
{
    size_t at = mutate_below(rng, (uint32_t)*size + 1);
    if (mutate_below(rng, 3) == 0 && mutate_open_gap(bytes, size, max, at, 1))
        bytes[at] = (uint8_t)mutate_below(rng, 256);
    else if (at < *size)
        bytes[at] = (uint8_t)(mutate_below(rng, 2) ? bytes[at] ^ 1u << mutate_below(rng, 8) : mutate_below(rng, 256));
}

/* --- guest.jsonl --------------------------------------------------------------------------------------------------- */

static size_t new_line(struct mutate_rng *rng, char *text, size_t size, size_t entries)
{
    static const char *const ops[] = {"write",   "write",    "write", "zero", "flush", "flush",
                                      "discard", "truncate", "close", "open", "trim"};
    const char *op = ops[mutate_below(rng, sizeof(ops) / sizeof(ops[0]))];
    unsigned start = mutate_below(rng, (uint32_t)entries + 1), more = mutate_below(rng, 4);
    if (mutate_below(rng, 3) == 0 && (op[0] == 'f' || op[0] == 'c' || op[0] == 'o'))
        return (size_t)snprintf(text, size, "{\"op\":\"%s\",\"log_start\":%u,\"log_end\":%u}\n", op, start,
                                start + more);
    return (size_t)snprintf(
        text, size, "{\"op\":\"%s\",\"offset\":%u,\"length\":%u,\"byte\":%u,\"log_start\":%u,\"log_end\":%u}\n", op,
        mutate_below(rng, 48) * 512, (1 + mutate_below(rng, 10)) * 512, mutate_below(rng, 32), start, start + more);
}

static size_t line_start(const uint8_t *text, size_t at)
{
    while (at && text[at - 1] != '\n')
        at--;
    return at;
}

/* Some run of digits becomes another number. */
static void change_number(struct mutate_rng *rng, uint8_t *text, size_t *size, size_t max)
{
    static const char *const numbers[] = {
        "0",  "1",   "2",    "512",   "4096", "65536", "4294967296", "18446744073709551104", "18446744073709551616",
        "-1", "1.5", "null", "\"x\"", "[]"};
    const char *number = numbers[mutate_below(rng, sizeof(numbers) / sizeof(numbers[0]))];
    size_t at = mutate_below(rng, (uint32_t)*size), end;
    while (at < *size && (text[at] < '0' || text[at] > '9'))
        at++;
    for (end = at; end < *size && text[end] >= '0' && text[end] <= '9';)
        end++;
    if (end == at || strlen(number) > max - *size)
        return;
    mutate_close_gap(text, size, at, end - at);
    mutate_open_gap(text, size, max, at, strlen(number));
    memcpy(text + at, number, strlen(number));
}

static void mutate_guest(struct mutate_rng *rng, uint8_t *text, size_t *size, size_t max, size_t entries)
{
    char line[160];
    size_t at = line_start(text, mutate_below(rng, (uint32_t)*size + 1)), end = at, length;
    while (end < *size && text[end++] != '\n')
        continue;
    switch (mutate_below(rng, *size ? 6 : 2)) {
    case 0:
    case 1:
        length = new_line(rng, line, sizeof(line), entries);
        at = mutate_below(rng, 2) ? at : *size;
        if (mutate_open_gap(text, size, max, at, length))
            memcpy(text + at, line, length);
        break;
    case 2:
        mutate_close_gap(text, size, at, end - at);
        break;
    case 3:
    case 4:
        change_number(rng, text, size, max);
        break;
    default:
        mutate_bytes(rng, text, size, max);
    }
}

/* --- all ----------------------------------------------------------------------------------------------------------- */

static size_t plain(uint8_t *data, size_t max)
{
    static const uint8_t head[LOG_HEAD_BYTES] = {LOG_GUEST, 0, 0, 0};
    memcpy(data, head, max < sizeof(head) ? max : sizeof(head));
    return max < sizeof(head) ? max : sizeof(head);
}

/* A part is changed in a buffer of its own, and put back. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t max, uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    uint8_t part[4096];
    if (size < LOG_HEAD_BYTES || max < 2 * LOG_HEAD_BYTES)
        return plain(data, max);
    struct parts p = parts_of(data, size);
    size_t *sizes[3] = {&p.image, &p.log, &p.guest}, starts[3] = {LOG_HEAD_BYTES};
    starts[1] = starts[0] + p.image;
    starts[2] = starts[1] + p.log;
    uint32_t which = mutate_below(&rng, 16), i = which < 4 ? 0 : which < 10 ? 1 : 2;
    if (which == 15) {
        data[0] ^= (uint8_t)(mutate_below(&rng, 3) ? 1u << mutate_below(&rng, 5) : LOG_RAW);
        return size;
    }
    size_t old = *sizes[i], now = old, room = max - size + old;
    if (old > sizeof(part))
        return size;
    room = room < sizeof(part) ? room : sizeof(part);
    memcpy(part, data + starts[i], old);
    if (i == 0)
        now = mutate_image(part, old, room < 255 ? room : 255, seed);
    else if (i == 1 && data[0] & LOG_RAW)
        mutate_bytes(&rng, part, &now, room);
    else if (i == 1)
        mutate_log(&rng, part, &now, room);
    else
        mutate_guest(&rng, part, &now, room, p.log / LOG_RECORD_BYTES);
    mutate_close_gap(data, &size, starts[i], old);
    mutate_open_gap(data, &size, max, starts[i], now);
    memcpy(data + starts[i], part, now);
    *sizes[i] = now;
    put_sizes(data, &p);
    return size;
}

/* Each part from one of the two. */
size_t fuzz_crossover(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t max,
                      uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    if (a_size < LOG_HEAD_BYTES || b_size < LOG_HEAD_BYTES || max < LOG_HEAD_BYTES)
        return plain(out, max);
    struct parts of[2] = {parts_of(a, a_size), parts_of(b, b_size)}, p;
    const uint8_t *from[2] = {a, b}, *at;
    unsigned pick = mutate_below(&rng, 2);
    size_t size = LOG_HEAD_BYTES;
    out[0] = from[pick][0];
#define TAKE(part, start)                                                                                              \
    do {                                                                                                               \
        pick = mutate_below(&rng, 2);                                                                                  \
        p.part = of[pick].part < max - size ? of[pick].part : max - size;                                              \
        at = from[pick] + LOG_HEAD_BYTES + (start);                                                                    \
        memcpy(out + size, at, p.part);                                                                                \
        size += p.part;                                                                                                \
    } while (0)
    TAKE(image, 0);
    TAKE(log, of[pick].image);
    TAKE(guest, of[pick].image + of[pick].log);
#undef TAKE
    put_sizes(out, &p);
    return size;
}
