/* generate.h: all small workloads, one after the other.
 *
 * A workload is a setup and a few words. Its name is all there is to it:
 *
 *     gen/b1.wma.f.x.zfp-wta
 *         │  │   │ │ └─────── two requests side by side: zeros over the whole prepared cluster, and a write at the end of a
 *         │  │   │ └───────── the power fails, and somebody goes on
 *         │  │   └─────────── flush
 *         │  └─────────────── a write in the middle of cluster a
 *         └────────────────── with a backing file; cluster p is in the image already
 *
 *   setup      n b s: no backing file; one as large as the image; one that ends inside cluster a
 *              0 1:   a new image; one with cluster p written (so its L2 table exists)
 *   requests   w z d r + shape + place: write, zeros, discard, read; f: flush
 *   shape      h m t f d: the first sector, one in the middle, the last, the whole cluster, it and the next
 *   place      p a b c: the first clusters; e: the last one whose entry shares a sector with theirs; j: the last one of
 *              their table; t u: the first of the next table; l: the last cluster of the image, which is cut short
 *   others     c: close and open, x: crash, k: kill and open, ... (docs/scenarios.md)
 *
 * Words are joined by '.', and by '-' where the second begins before the first is done.
 *
 * The enumeration is canonical: of workloads that differ by a symmetry, or by a word that changes nothing, one is made.
 * generate_rules.c has each reduction with its reason.
 */
#ifndef SCENARIOS_GENERATE_H
#define SCENARIOS_GENERATE_H

#include "scenarios/scenario.h"

#define GEN_WORDS_MAX 16
#define GEN_NAME_MAX  (16 + GEN_WORDS_MAX * 24)

/* What may occur: one bit each. */
enum gen_class {
    GEN_WRITE = 1 << 0,
    GEN_MORE = 1 << 1, /* shapes h and t, zeros over a part or over two clusters; places c and u */
    GEN_TWO = 1 << 2,  /* requests over two clusters */
    GEN_ZERO = 1 << 3,
    GEN_DISCARD = 1 << 4,
    GEN_FLUSH = 1 << 5,
    GEN_CLOSE = 1 << 6,
    GEN_BESIDE = 1 << 7, /* two requests side by side */
    GEN_CRASH = 1 << 8,  /* another life after the power failed */
    GEN_EDGE = 1 << 9,   /* places e and j: requests over two table sectors, over two tables */
    GEN_LAST = 1 << 10,  /* place l */
    GEN_SHORT = 1 << 11, /* setups with a short backing file */
    GEN_READ = 1 << 12,
    GEN_INJECT = 1 << 13,
    GEN_KILL = 1 << 14,
    GEN_TRUNCATE = 1 << 15,
    GEN_REBASE = 1 << 16,
    GEN_REOPEN = 1 << 17, /* other modes: read-only, and without repair */
    GEN_CANCEL = 1 << 18,
    GEN_SLEEP = 1 << 19, /* timers */
};
#define GEN_CLASS_COUNT 20u
#define GEN_ALL         ((1u << GEN_CLASS_COUNT) - 1)
#define GEN_BASIC                                                                                                      \
    (GEN_WRITE | GEN_TWO | GEN_ZERO | GEN_DISCARD | GEN_FLUSH | GEN_CLOSE | GEN_BESIDE | GEN_CRASH | GEN_SLEEP)

struct gen_bound {
    unsigned ops;     /* what changes something: writes, zeros, discards; truncate, rebase, another mode; and reads */
    unsigned events;  /* what comes between: flush, close, crash, inject, kill, cancel, sleep */
    unsigned classes; /* enum gen_class, or-ed */
    bool unreduced;   /* everything that can be played, symmetric or not: to test the reductions */
};
#define GEN_DEFAULT ((struct gen_bound){.ops = 2, .events = 1, .classes = GEN_BASIC})

enum gen_kind {
    GEN_KIND_WRITE,
    GEN_KIND_ZERO,
    GEN_KIND_DISCARD,
    GEN_KIND_READ,
    GEN_KIND_FLUSH,
    GEN_KIND_CLOSE,
    GEN_KIND_TRUNCATE,
    GEN_KIND_REBASE,
    GEN_KIND_MODE,
    GEN_KIND_CRASH,
    GEN_KIND_KILL,
    GEN_KIND_SLEEP,
    GEN_KIND_CANCEL,
    GEN_KIND_INJECT,
};

struct gen_word {
    const char *text;
    enum gen_kind kind;
    char shape, place; /* requests; 0 elsewhere */
    unsigned classes;  /* all of them are needed */
};
extern const struct gen_word gen_words[];
extern const size_t gen_word_count;

enum gen_backing { GEN_BACKING_NONE, GEN_BACKING_FULL, GEN_BACKING_SHORT };

struct gen_step {
    uint8_t word; /* of gen_words */
    bool beside;  /* starts before the one before it is done */
};

struct gen_workload {
    enum gen_backing backing;
    bool prepared;
    unsigned count;
    struct gen_step steps[GEN_WORDS_MAX];
};

/* "gen/..." Returns buf, of at least GEN_NAME_MAX bytes. */
char *gen_name(const struct gen_workload *w, char *buf, size_t size);
bool gen_is_name(const char *text);
/* The inverse. 0, or -EINVAL with one sentence. */
int gen_parse_name(const char *text, struct gen_workload *w, struct scn_error *err);
/* It as text of the scenario language; the caller frees. */
char *gen_text(const struct gen_workload *w);
/* It as a scenario; its name is its name. 0, or -EINVAL with one sentence if its words cannot be played in this order. */
int gen_scenario(const struct gen_workload *w, struct scenario **out, struct scn_error *err);
/* Both: a scenario for a name. */
int gen_parse(const char *name, struct scenario **out, struct scn_error *err);

/* "flush,crash" or "all" or "basic" -> classes, added to *classes. False with one sentence. */
bool gen_parse_classes(const char *text, unsigned *classes, struct scn_error *err);
/* The word for one class. */
const char *gen_class_name(unsigned index);

/* All workloads within the bound, in a fixed order: few words first. */
struct gen;
struct gen *gen_begin(const struct gen_bound *bound);
/* NULL when there are no more; valid until the next call. */
const struct gen_workload *gen_next(struct gen *g);
void gen_end(struct gen *g);
uint64_t gen_count(const struct gen_bound *bound);

unsigned gen_ops(const struct gen_workload *w); /* words that are no events */
bool gen_is_event(enum gen_kind kind);

#endif
