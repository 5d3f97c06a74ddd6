/* afl_edge_glue.c: fuzz_feature for AFL++, which has no counters but those of edges: a case of a switch for each feature, and
 * so an edge. The empty asm keeps the cases apart: each has a number of its own.
 */
#include "tests/fuzz/fuzz.h"

#define E1(n)                                                                                                          \
    case n:                                                                                                            \
        __asm__ volatile("# %0" : : "i"(n));                                                                           \
        break;
#define E4(n)    E1(n) E1((n) + 1) E1((n) + 2) E1((n) + 3)
#define E16(n)   E4(n) E4((n) + 4) E4((n) + 8) E4((n) + 12)
#define E64(n)   E16(n) E16((n) + 16) E16((n) + 32) E16((n) + 48)
#define E256(n)  E64(n) E64((n) + 64) E64((n) + 128) E64((n) + 192)
#define E1024(n) E256(n) E256((n) + 256) E256((n) + 512) E256((n) + 768)

void fuzz_feature(uint32_t feature)
{
    switch (feature) {
        E1024(0)
        E1024(1024)
        E1024(2048)
        E1024(3072)
    default:
        break;
    }
}

_Static_assert(FUZZ_FEATURES == 4096, "a case for each feature");
