/* mutate_scenario.c: text changed by words and lines: statements of the language put in, taken out, moved and doubled, words
 * replaced by others of the language, numbers by others and by the same with another unit.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutate_kit.h"

static const char *const lines[] = {
    "image size=1M cluster=4K table=2",
    "image size=64K cluster=4K table=1 tail=512",
    "backing size=1M",
    "backing size=32K fill=zero",
    "backing none",
    "title what is asked",
    "ledger A7 A10b",
    "schedules all",
    "schedules 7",
    "prepare write 0 4K",
    "prepare zero 4K 4K",
    "prepare discard 0 4K",
    "prepare truncate 2M",
    "write 4608 512",
    "read 0 4K",
    "aio a write 8K 512",
    "aio b write 9K 512",
    "aio f flush",
    "aio z zero 4K 4K",
    "aio d discard 0 4K",
    "wait a",
    "wait a b",
    "wait all",
    "flush",
    "zero 16K 4K",
    "discard 0 4K",
    "truncate 2M",
    "sleep 6s",
    "sleep 250ms",
    "cancel a",
    "inject l2_update EIO once",
    "inject flush ENOSPC always after=3",
    "rebase none",
    "close",
    "open rw",
    "open ro",
    "open check",
    "open rw as=upstream,lock=none",
    "reopen ro",
    "reopen rw",
    "kill",
    "crash",
    "expect design=v2 disk=ssd unsafe lost-cow",
    "expect data_flush=never|cow safe",
    "expect clear_on=close|timer+quiet disk=ssd|liar unsafe torn corrupt",
    "expect safe",
    "expect unsafe",
};

static const char *const words[] = {
    "image",
    "backing",
    "title",
    "ledger",
    "schedules",
    "prepare",
    "aio",
    "write",
    "read",
    "flush",
    "zero",
    "discard",
    "truncate",
    "wait",
    "all",
    "sleep",
    "cancel",
    "inject",
    "rebase",
    "none",
    "close",
    "open",
    "reopen",
    "rw",
    "ro",
    "check",
    "kill",
    "crash",
    "expect",
    "safe",
    "unsafe",
    "size=",
    "cluster=",
    "table=",
    "tail=",
    "fill=",
    "tagged",
    "design=",
    "disk=",
    "as=",
    "after=",
    "once",
    "always",
    "v2",
    "upstream",
    "careful",
    "cow-flush",
    "autoclear",
    "size-check",
    "ssd",
    "ordered",
    "hostdev",
    "liar",
    "atomic-writes",
    "lost-cow",
    "lost-flushed",
    "disclosure",
    "torn",
    "corrupt",
    "stuck",
    "data_flush=never",
    "l1_flush=off",
    "need_check=flushed",
    "clear_on=close+timer",
    "clear_on=never",
    "lock=table",
    "reuse=at-once",
    "zero_fill=skip-all-zero",
    "tail=round-up",
    "phys_size=autoclear-bit",
    "clear_timer_ms=100",
    "data_flush",
    "base",
    "summary",
    "EIO",
    "ENOSPC",
    "ENOTSUP",
    "EOPNOTSUPP",
    "l2_update",
    "l1_update",
    "write_aio",
    "flush_to_disk",
    "read_backing",
    "cow_read",
    "|",
    "+",
    ",",
    "=",
    ":",
    "#",
    "a",
    "b",
    "0x200",
    "4K",
    "1M",
    "3G",
    "1T",
    "6s",
    "250ms",
    "10us",
    "5ns",
    "2m",
    "18446744073709551615",
    "9223372036854775808",
    "4294967295",
    "4294967296",
    "hdr",
    "L1",
    "L2",
    "NEWL2",
    "C",
    "D",
    "+L2",
    "+C#2.6",
    "+D.0-3,5",
    "+len=12288",
    "+R",
    "/1.0.1.0",
    ":@14",
    ":s2",
    ":sall",
    ":x0102",
    ":seed=3",
    "%3A",
    "%20",
    "gen/",
    "gen/b1",
    ".wma",
    ".f",
    ".x",
    ".zfp",
    "-wta",
    ".c",
    ".k",
    "cow-partial",
};

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static bool is_joint(uint8_t c)
{
    return is_blank(c) || c == ':' || c == ',' || c == '|' || c == '+' || c == '=' || c == '.' || c == '-' || c == '/';
}

/* Replaces [at, at + old) by text. */
static size_t put(uint8_t *data, size_t size, size_t max, size_t at, size_t old, const char *text)
{
    size_t length = strlen(text);
    if (length > old && !mutate_open_gap(data, &size, max, at, length - old))
        return size;
    if (length < old)
        mutate_close_gap(data, &size, at, old - length);
    memcpy(data + at, text, length);
    return size;
}

struct span {
    size_t at, length;
};

/* The line around a place, with its newline. Line 0 begins behind the kind. */
static struct span line_around(const uint8_t *data, size_t size, size_t at)
{
    size_t end = at;
    while (at > 1 && data[at - 1] != '\n')
        at--;
    while (end < size && data[end] != '\n')
        end++;
    return (struct span){at, (end < size ? end + 1 : end) - at};
}

static struct span word_around(const uint8_t *data, size_t size, size_t at)
{
    size_t end;
    while (at < size && is_joint(data[at]))
        at++;
    end = at;
    while (at > 1 && !is_joint(data[at - 1]))
        at--;
    while (end < size && !is_joint(data[end]))
        end++;
    return (struct span){at, end - at};
}

static size_t some_place(struct mutate_rng *rng, size_t size)
{
    return 1 + mutate_below(rng, (uint32_t)(size > 1 ? size - 1 : 1));
}

static size_t insert_line(struct mutate_rng *rng, uint8_t *data, size_t size, size_t max)
{
    char text[128];
    struct span l = line_around(data, size, some_place(rng, size));
    size_t at = mutate_below(rng, 4) ? l.at + l.length : l.at;
    snprintf(text, sizeof(text), "%s%s\n", at > 1 && data[at - 1] != '\n' ? "\n" : "",
             lines[mutate_below(rng, COUNT(lines))]);
    return put(data, size, max, at, 0, text);
}

/* Takes a line out, or puts it elsewhere too. */
static size_t move_line(struct mutate_rng *rng, uint8_t *data, size_t size, size_t max)
{
    uint8_t copy[256];
    struct span l = line_around(data, size, some_place(rng, size)), to;
    size_t length = l.length < sizeof(copy) ? l.length : sizeof(copy);
    uint32_t how = mutate_below(rng, 3); /* remove, move, double */
    memcpy(copy, data + l.at, length);
    if (how < 2)
        mutate_close_gap(data, &size, l.at, l.length);
    if (how == 0 || size < 2)
        return size ? size : 1;
    to = line_around(data, size, some_place(rng, size));
    if (mutate_open_gap(data, &size, max, to.at, length))
        memcpy(data + to.at, copy, length);
    return size;
}

/* A number becomes its neighbour, half, double, or the same with another unit; others, one of the table. */
static size_t change_word(struct mutate_rng *rng, uint8_t *data, size_t size, size_t max)
{
    static const char *const units[] = {"", "K", "M", "G", "T", "k", "s", "ms", "0"};
    struct span w = word_around(data, size, some_place(rng, size));
    char text[48];
    unsigned long long value = 0;
    size_t digits = 0;
    for (; digits < w.length && digits < 18 && isdigit(data[w.at + digits]); digits++)
        value = value * 10 + (data[w.at + digits] - '0');
    if (!digits || mutate_below(rng, 4) == 0)
        return put(data, size, max, w.at, w.length, words[mutate_below(rng, COUNT(words))]);
    switch (mutate_below(rng, 6)) {
    case 0:
        value++;
        break;
    case 1:
        value -= value > 0;
        break;
    case 2:
        value *= 2;
        break;
    case 3:
        value /= 2;
        break;
    case 4:
        value *= 512;
        break;
    default:
        snprintf(text, sizeof(text), "%llu%s", value, units[mutate_below(rng, COUNT(units))]);
        return put(data, size, max, w.at, w.length, text);
    }
    snprintf(text, sizeof(text), "%llu", value);
    return put(data, size, max, w.at, digits, text);
}

static size_t insert_word(struct mutate_rng *rng, uint8_t *data, size_t size, size_t max)
{
    static const char *const joints[] = {" ", " ", "", "|", ",", "+", ":", "\n", "=", "."};
    char text[64];
    struct span w = word_around(data, size, some_place(rng, size));
    snprintf(text, sizeof(text), "%s%s", joints[mutate_below(rng, COUNT(joints))],
             words[mutate_below(rng, COUNT(words))]);
    return put(data, size, max, w.at + w.length, 0, text);
}

static size_t change_byte(struct mutate_rng *rng, uint8_t *data, size_t size, size_t max)
{
    static const uint8_t edges[] = {0, '\n', '\r', '\t', ' ', '#', '=', '|', '%', 0x7f, 0xc3, 0xbf, 0xef, 0xff};
    size_t at = some_place(rng, size);
    uint8_t byte = mutate_below(rng, 2) ? edges[mutate_below(rng, sizeof(edges))] : (uint8_t)mutate_below(rng, 256);
    if (mutate_below(rng, 2) && at < size)
        data[at] = byte;
    else if (mutate_open_gap(data, &size, max, at < size ? at : size, 1))
        data[at < size ? at : size - 1] = byte;
    return size;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max, uint32_t seed)
{
    static const char kinds[] = "siwdfgsss";
    struct mutate_rng rng = mutate_rng(seed);
    if (!max)
        return 0;
    if (!size) {
        data[0] = (uint8_t)kinds[mutate_below(&rng, sizeof(kinds) - 1)];
        size = 1;
    }
    for (unsigned changes = 1 + mutate_below(&rng, 4); changes; changes--) {
        switch (mutate_below(&rng, 10)) {
        case 0:
        case 1:
            size = data[0] == 's' ? insert_line(&rng, data, size, max) : insert_word(&rng, data, size, max);
            break;
        case 2:
        case 3:
            size = move_line(&rng, data, size, max);
            break;
        case 4:
        case 5:
        case 6:
            size = change_word(&rng, data, size, max);
            break;
        case 7:
        case 8:
            size = insert_word(&rng, data, size, max);
            break;
        default:
            size = change_byte(&rng, data, size, max);
        }
    }
    return size;
}

/* Lines of one up to a place, then lines of the other. */
size_t fuzz_crossover(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t max,
                      uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    struct span head = a_size > 1 ? line_around(a, a_size, some_place(&rng, a_size)) : (struct span){0, a_size};
    struct span tail = b_size > 1 ? line_around(b, b_size, some_place(&rng, b_size)) : (struct span){0, 0};
    size_t size = head.at + head.length < max ? head.at + head.length : max, rest = b_size > 1 ? b_size - tail.at : 0;
    memcpy(out, a, size);
    if (rest > max - size)
        rest = max - size;
    if (rest)
        memcpy(out + size, b + tail.at, rest);
    size += rest;
    if (!size && max)
        out[size++] = 's';
    return size;
}
