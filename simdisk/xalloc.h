/* xalloc.h: allocation for the simulator, where running out of memory is no state to be simulated: it aborts with a
 * message. Sizes are checked against overflow.
 */
#ifndef SIMDISK_XALLOC_H
#define SIMDISK_XALLOC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline void *xalloc_check(void *p)
{
    if (!p) {
        fputs("qedcrash: out of memory\n", stderr);
        abort();
    }
    return p;
}

/* Never NULL, not even for 0 bytes. */
static inline void *xmalloc(size_t size)
{
    return xalloc_check(malloc(size ? size : 1));
}

/* Zeroed; never NULL. */
static inline void *xcalloc(size_t count, size_t size)
{
    return xalloc_check(calloc(count ? count : 1, size ? size : 1));
}

static inline void *xreallocarray(void *p, size_t count, size_t size)
{
    return xalloc_check(reallocarray(p, count ? count : 1, size ? size : 1));
}

/* Room for one more element in an array of `count` elements with room for *cap; the array, possibly moved. */
static inline void *xgrow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 16;
    return xreallocarray(array, *cap, size);
}

#endif
