/* generate_internal.h: what the generator is made of; for generate*.c alone. */
#ifndef SCENARIOS_GENERATE_INTERNAL_H
#define SCENARIOS_GENERATE_INTERNAL_H

#include "scenarios/generate.h"

#define GEN_PLACES "pabcejtul"
enum { GEN_PLACE_COUNT = sizeof(GEN_PLACES) - 1 };

/* What the words so far have done, as far as it matters for what may follow. */
struct gen_state {
    char touched[GEN_PLACE_COUNT]; /* 0: never; else the shape of what touched it last */
    unsigned ops, events;
    unsigned beside; /* requests of the group that the last word is in; 0: it is no request */
    bool fresh;      /* since the image was opened nobody has asked for anything */
    bool flushed;    /* nothing was asked for since the last flush or close */
    bool crashed, rebased, grown, read_only;
    bool failed; /* an error was injected: what seems done may have failed */
    bool armed;  /* the last word waits for the next: an error was injected */
};

void gen_state_begin(struct gen_state *s, const struct gen_workload *w);
/* May the word follow? `beside`: before the last one is done. */
bool gen_may_follow(const struct gen_bound *bound, const struct gen_workload *w, const struct gen_state *s,
                    const struct gen_word *word, bool beside);
void gen_state_step(struct gen_state *s, const struct gen_word *word, bool beside);
/* May the workload end here? */
bool gen_may_end(const struct gen_bound *bound, const struct gen_state *s);

bool gen_is_request(enum gen_kind kind);
/* Index of a place, or of the cluster behind it. */
unsigned gen_place_index(char place);
/* The place of the cluster behind; 0 if it has none. */
char gen_place_next(char place);

#endif
