/* bignum.h: numbers of crash states. They outgrow 64 bits at once, and people want them exact.
 *
 * A non-negative integer in base 10^9, least significant limb first. Only what counting needs.
 */
#ifndef SIMDISK_BIGNUM_H
#define SIMDISK_BIGNUM_H

#include <stddef.h>
#include <stdint.h>

struct bignum {
    uint32_t *limbs;
    size_t count, cap;
};

void bignum_init(struct bignum *n, uint64_t value);
void bignum_free(struct bignum *n);
void bignum_mul_small(struct bignum *n, uint32_t factor);
void bignum_add(struct bignum *n, const struct bignum *other);
/* Decimal digits; the caller frees. */
char *bignum_string(const struct bignum *n);
/* log2, exact to about 1e-9 relative; -1 for zero. */
double bignum_log2(const struct bignum *n);
/* The value, or UINT64_MAX if it does not fit. */
uint64_t bignum_clamp(const struct bignum *n);

#endif
