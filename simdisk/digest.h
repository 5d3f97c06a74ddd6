/* digest.h: a 128-bit digest, for telling equal from different where keeping the originals would take too much memory.
 *
 * Two lanes of 64 bits, each word mixed in by a multiplication and its high half folded back. Not for secrets: nobody
 * here has an interest in a collision. Among a million different inputs two are taken for equal with a probability below
 * 1e-26.
 */
#ifndef SIMDISK_DIGEST_H
#define SIMDISK_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct digest {
    uint64_t lane[2];
};

#define DIGEST_INIT                                                                                                    \
    {                                                                                                                  \
        {                                                                                                              \
            0x243f6a8885a308d3u, 0x13198a2e03707344u                                                                   \
        }                                                                                                              \
    }

static inline uint64_t digest_mix(uint64_t lane, uint64_t word, uint64_t factor)
{
    uint64_t x = (lane ^ word) * factor;

    x ^= x >> 32;
    x *= factor;
    return (x ^ (x >> 29)) + 0x9e3779b97f4a7c15u;
}

static inline void digest_add(struct digest *d, uint64_t word)
{
    d->lane[0] = digest_mix(d->lane[0], word, 0xa0761d6478bd642fu);
    d->lane[1] = digest_mix(d->lane[1], word, 0xe7037ed1a0b428dbu);
}

static inline void digest_bytes(struct digest *d, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t word;

    digest_add(d, length);
    for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        digest_add(d, word);
    }
    if (length) {
        word = 0;
        memcpy(&word, at, length);
        digest_add(d, word);
    }
}

static inline void digest_text(struct digest *d, const char *text)
{
    digest_bytes(d, text, strlen(text));
}

/* Adds one member of a set: the order of the members does not matter. */
static inline void digest_member(struct digest *set, struct digest member)
{
    set->lane[0] += member.lane[0];
    set->lane[1] += member.lane[1];
}

static inline bool digest_equal(struct digest a, struct digest b)
{
    return a.lane[0] == b.lane[0] && a.lane[1] == b.lane[1];
}

/* A set of digests seen. Zeroed is empty; not for more than memory holds. */
struct digest_set {
    struct digest *slots; /* open addressing; all-zero is free */
    size_t count, cap;
};

/* True if it was not in the set before. */
bool digest_set_add(struct digest_set *set, struct digest d);
void digest_set_free(struct digest_set *set);

#endif
