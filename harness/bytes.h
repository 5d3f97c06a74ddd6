/* bytes.h: a growing run of bytes, and a reader over one: little-endian numbers, doubles, and texts with their length.
 *
 * A reader that is given too few bytes, or a length that does not fit, says so once and for all (bad) and returns zeros.
 */
#ifndef HARNESS_BYTES_H
#define HARNESS_BYTES_H

#include <stdbool.h>
#include <string.h>

#include "simdisk/xalloc.h"

struct bytes {
    uint8_t *data;
    size_t size, cap;
};

static inline void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

static inline void bytes_put(struct bytes *b, const void *data, size_t size)
{
    if (size > b->cap - b->size) {
        while (size > b->cap - b->size)
            b->cap = b->cap ? b->cap * 2 : 256;
        b->data = xreallocarray(b->data, b->cap, 1);
    }
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void bytes_put_u64(struct bytes *b, uint64_t value)
{
    uint8_t raw[8];
    for (int i = 0; i < 8; i++)
        raw[i] = (uint8_t)(value >> (8 * i));
    bytes_put(b, raw, sizeof(raw));
}

static inline void bytes_put_double(struct bytes *b, double value)
{
    uint64_t raw;
    memcpy(&raw, &value, sizeof(raw));
    bytes_put_u64(b, raw);
}

/* NULL is another text than "". */
static inline void bytes_put_text(struct bytes *b, const char *text)
{
    bytes_put_u64(b, text ? strlen(text) + 1 : 0);
    if (text)
        bytes_put(b, text, strlen(text) + 1);
}

struct bytes_reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static inline const uint8_t *bytes_take(struct bytes_reader *r, uint64_t size)
{
    if (r->bad || size > r->left) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += size;
    r->left -= (size_t)size;
    return at;
}

static inline uint64_t bytes_take_u64(struct bytes_reader *r)
{
    const uint8_t *raw = bytes_take(r, 8);
    uint64_t value = 0;
    for (int i = 7; raw && i >= 0; i--)
        value = value << 8 | raw[i];
    return value;
}

static inline double bytes_take_double(struct bytes_reader *r)
{
    uint64_t raw = bytes_take_u64(r);
    double value;
    memcpy(&value, &raw, sizeof(value));
    return value;
}

/* Points into the bytes; NULL for a NULL. */
static inline const char *bytes_take_text(struct bytes_reader *r)
{
    uint64_t size = bytes_take_u64(r);
    const uint8_t *text = size ? bytes_take(r, size) : NULL;
    if (text && text[size - 1]) {
        r->bad = true;
        return NULL;
    }
    return (const char *)text;
}

#endif
