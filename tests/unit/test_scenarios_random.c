/* test_scenarios_random.c: see test_scenarios_random.h. */
#include "tests/unit/test_scenarios_random.h"

#include <inttypes.h>
#include <string.h>

#include "engine/design_text.h"
#include "scenarios/scenario.h"
#include "scenarios/words.h"
#include "simdisk/sim_loop.h"

uint64_t scn_random_below(uint64_t *rng, uint64_t n)
{
    return sim_rng_next(rng) % n;
}

/* What a valid random scenario has to remember. */
struct random_text {
    FILE *f;
    uint64_t rng, size;
    bool crashed;
    bool flying[6];
};

static void random_range(struct random_text *r, const char *word)
{
    static const char *const forms[] = {"%s %" PRIu64 " %" PRIu64, "%s 0x%" PRIx64 "\t%" PRIu64};
    uint64_t first = scn_random_below(&r->rng, r->size / 512),
             count = 1 + scn_random_below(&r->rng, r->size / 512 - first);

    fprintf(r->f, forms[scn_random_below(&r->rng, 2)], word, first * 512, (count > 4096 ? 4096 : count) * 512);
}

static void random_request(struct random_text *r)
{
    static const char *const words[] = {"write", "read", "zero", "discard"};
    uint64_t pick = scn_random_below(&r->rng, 5);

    if (pick == 4)
        fprintf(r->f, "flush");
    else
        random_range(r, words[pick]);
}

static void random_aio(struct random_text *r)
{
    uint64_t n = scn_random_below(&r->rng, 6);

    if (r->flying[n]) {
        fprintf(r->f, scn_random_below(&r->rng, 2) ? "wait n%" PRIu64 : "cancel n%" PRIu64, n);
        r->flying[n] = false;
        return;
    }
    fprintf(r->f, "aio n%" PRIu64 " ", n);
    random_request(r);
    r->flying[n] = true;
}

static void random_statement(struct random_text *r)
{
    char size[24];

    switch (scn_random_below(&r->rng, 9)) {
    case 0:
        random_aio(r);
        break;
    case 1:
        fprintf(r->f, "wait all");
        memset(r->flying, 0, sizeof(r->flying));
        break;
    case 2:
        fprintf(r->f, "sleep %" PRIu64 "%s", 1 + scn_random_below(&r->rng, 5000),
                scn_random_below(&r->rng, 2) ? "ms" : "ns");
        break;
    case 3:
        r->size += 512 * scn_random_below(&r->rng, 3000);
        fprintf(r->f, "truncate %s", scn_format_size(r->size, size, sizeof(size)));
        break;
    case 4:
        if (r->crashed)
            random_request(r);
        else
            fprintf(r->f, "inject %s %s%s after=%" PRIu64,
                    blk_event_name((enum blk_event)(1 + scn_random_below(&r->rng, BLK_EVENT_COUNT - 1))),
                    scn_random_below(&r->rng, 2) ? "EIO" : "ENOSPC", scn_random_below(&r->rng, 2) ? " once" : "",
                    scn_random_below(&r->rng, 4));
        break;
    case 5:
        if (scn_random_below(&r->rng, 2)) {
            fprintf(r->f, "rebase none");
        } else {
            fprintf(r->f, "close\nopen ro%s", scn_random_below(&r->rng, 3) ? "" : " as=v2,lock=none");
            memset(r->flying, 0, sizeof(r->flying));
        }
        if (scn_random_below(&r->rng, 4) == 0)
            fprintf(r->f, "\nreopen rw");
        break;
    default:
        random_request(r);
        break;
    }
    fprintf(r->f, "%s\n", scn_random_below(&r->rng, 4) ? "" : " # why");
}

static void random_field(struct random_text *r)
{
    enum qed_design_field field = (enum qed_design_field)scn_random_below(&r->rng, QED_FIELD_COUNT);
    char word[64];

    fprintf(r->f, "%s=", qed_design_field_name(field));
    for (uint64_t n = scn_random_below(&r->rng, 3); n > 0; n--)
        fprintf(
            r->f, "%s|",
            qed_design_value_name(field, (unsigned)scn_random_below(&r->rng, qed_design_field_values(field)), word));
    fprintf(r->f, "%s ",
            qed_design_value_name(field, (unsigned)scn_random_below(&r->rng, qed_design_field_values(field)), word));
}

static void random_expect(struct random_text *r)
{
    if (scn_random_below(&r->rng, 2))
        fprintf(r->f, "expect design=%s ", qed_designs[scn_random_below(&r->rng, qed_design_count)].name);
    else
        fprintf(r->f, "expect ");
    if (scn_random_below(&r->rng, 2))
        random_field(r);
    if (scn_random_below(&r->rng, 2))
        fprintf(r->f, "disk=%s ", sim_disk_models[scn_random_below(&r->rng, sim_disk_model_count)].name);
    if (scn_random_below(&r->rng, 2))
        fprintf(r->f, "safe\n");
    else
        fprintf(r->f, "unsafe %s\n",
                scn_random_below(&r->rng, 2)
                    ? verdict_class_name((enum verdict_class)(1 + scn_random_below(&r->rng, VERDICT_CLASS_COUNT - 1)))
                    : "");
}

char *scn_random_text(uint64_t seed)
{
    struct random_text r = {.rng = seed};
    char *text;
    size_t size;
    uint64_t n;

    r.f = open_memstream(&text, &size);
    r.size = 512 * (1 + scn_random_below(&r.rng, 10000));
    if (scn_random_below(&r.rng, 2))
        fprintf(r.f, "title random %" PRIu64 "\n", seed);
    fprintf(r.f, "image size=%" PRIu64 " cluster=%u table=%u\n", r.size, 4096u << scn_random_below(&r.rng, 6),
            2u << scn_random_below(&r.rng, 4));
    if (scn_random_below(&r.rng, 2))
        fprintf(r.f, "backing size=%" PRIu64 " fill=%s\n", 512 * (1 + scn_random_below(&r.rng, 10000)),
                scn_random_below(&r.rng, 2) ? "zero" : "tagged");
    for (n = scn_random_below(&r.rng, 3); n > 0; n--) {
        random_range(&r, "prepare write");
        fputc('\n', r.f);
    }
    for (n = scn_random_below(&r.rng, 20); n > 0; n--)
        random_statement(&r);
    if (scn_random_below(&r.rng, 3) == 0) {
        fprintf(r.f, "kill\ncrash\n");
        r.crashed = true;
        memset(r.flying, 0, sizeof(r.flying));
        for (n = scn_random_below(&r.rng, 6); n > 0; n--)
            random_statement(&r);
    }
    for (n = scn_random_below(&r.rng, 4); n > 0; n--)
        random_expect(&r);
    fclose(r.f);
    return text;
}
