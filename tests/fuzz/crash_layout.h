/* crash_layout.h: the bytes of an input of fuzz_crash. Decoder (crash_case.c) and mutator (mutate_crash.c) share it.
 *
 *     | head, 8 bytes | words, 2 bytes each | schedule, 1 each | picks, 1 each | survivors, 1 per pending operation |
 *
 * Every string of bytes is a case: numbers are taken modulo what there is, missing bytes are 0, a word that cannot follow
 * is left out.
 *
 *     head      setup, design, disk model, epoch, focus; then how many words, schedule choices and picks there are
 *     word      kind (with CRASH_BESIDE: begins before the one before it is done), and what it is about: for requests,
 *               place + 16 * shape; for others, which of its kind
 *     schedule  one choice each, as in an id (xHEX)
 *     picks     answers about a second power failure (harness/judge.h, judge_nested)
 *     survivor  of one operation: 0 lost, 1 all of it survives, 2 + 2 * n only piece n, 3 + 2 * n all but piece n
 */
#ifndef TESTS_FUZZ_CRASH_LAYOUT_H
#define TESTS_FUZZ_CRASH_LAYOUT_H

enum crash_head {
    CRASH_SETUP, /* backing file (none, full, short) * 2 + is cluster p in the image already? */
    CRASH_DESIGN,
    CRASH_DISK,
    CRASH_EPOCH, /* which of the run's crash spaces; too large: the last */
    CRASH_FOCUS, /* the guest's second life is lived in the touched cluster of this number (judge_state_in_part) */
    CRASH_WORDS,
    CRASH_CHOICES,
    CRASH_PICKS,
    CRASH_HEAD
};

#define CRASH_WORDS_MAX     16
#define CRASH_CHOICES_MAX   32
#define CRASH_PICKS_MAX     32
#define CRASH_SURVIVORS_MAX 64
#define CRASH_INPUT_MAX     (CRASH_HEAD + 2 * CRASH_WORDS_MAX + CRASH_CHOICES_MAX + CRASH_PICKS_MAX + CRASH_SURVIVORS_MAX)

#define CRASH_BESIDE 0x80

/* As in enum gen_kind, in its order. */
enum crash_kind {
    CRASH_WRITE,
    CRASH_ZERO,
    CRASH_DISCARD,
    CRASH_READ,
    CRASH_FLUSH,
    CRASH_CLOSE,
    CRASH_TRUNCATE,
    CRASH_REBASE,
    CRASH_MODE,
    CRASH_CRASH,
    CRASH_KILL,
    CRASH_SLEEP,
    CRASH_CANCEL,
    CRASH_INJECT,
    CRASH_KINDS
};

#define CRASH_PLACES 9 /* p a b c e j t u l */
#define CRASH_SHAPES 5 /* m f h t d */

#endif
