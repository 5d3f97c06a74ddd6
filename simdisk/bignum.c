/* bignum.c: counting crash states exactly; see bignum.h. */
#include "simdisk/bignum.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "simdisk/xalloc.h"

#define LIMB 1000000000u

static void push_limb(struct bignum *n, uint32_t limb)
{
    n->limbs = xgrow(n->limbs, n->count, &n->cap, sizeof(*n->limbs));
    n->limbs[n->count++] = limb;
}

void bignum_init(struct bignum *n, uint64_t value)
{
    memset(n, 0, sizeof(*n));
    for (; value; value /= LIMB)
        push_limb(n, (uint32_t)(value % LIMB));
}

void bignum_free(struct bignum *n)
{
    free(n->limbs);
    memset(n, 0, sizeof(*n));
}

void bignum_mul_small(struct bignum *n, uint32_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < n->count; i++) {
        carry += (uint64_t)n->limbs[i] * factor;
        n->limbs[i] = (uint32_t)(carry % LIMB);
        carry /= LIMB;
    }
    for (; carry; carry /= LIMB)
        push_limb(n, (uint32_t)(carry % LIMB));
    while (n->count && !n->limbs[n->count - 1])
        n->count--;
}

void bignum_add(struct bignum *n, const struct bignum *other)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < other->count || carry; i++) {
        if (i == n->count)
            push_limb(n, 0);
        carry += (uint64_t)n->limbs[i] + (i < other->count ? other->limbs[i] : 0);
        n->limbs[i] = (uint32_t)(carry % LIMB);
        carry /= LIMB;
    }
}

char *bignum_string(const struct bignum *n)
{
    size_t size = n->count * 9 + 2;
    char *s = xmalloc(size);
    size_t at = (size_t)snprintf(s, size, "%u", n->count ? n->limbs[n->count - 1] : 0);
    for (size_t i = n->count; i-- > 1;)
        at += (size_t)snprintf(s + at, size - at, "%09u", n->limbs[i - 1]);
    return s;
}

double bignum_log2(const struct bignum *n)
{
    if (!n->count)
        return -1;
    /* The top three limbs carry more precision than a double has. */
    double top = 0;
    size_t used = n->count < 3 ? n->count : 3;
    for (size_t i = 0; i < used; i++)
        top = top * LIMB + n->limbs[n->count - 1 - i];
    assert(top > 0); /* the highest limb is not zero */
    return log2(top) + (double)(n->count - used) * log2(LIMB);
}

uint64_t bignum_clamp(const struct bignum *n)
{
    uint64_t value = 0;
    for (size_t i = n->count; i-- > 0;)
        if (__builtin_mul_overflow(value, (uint64_t)LIMB, &value) || __builtin_add_overflow(value, n->limbs[i], &value))
            return UINT64_MAX;
    return value;
}
