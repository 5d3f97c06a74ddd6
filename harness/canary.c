/* canary.c: see canary.h. Each canary is a small scenario, the careful design with one thing taken away (or a disk that
 * lies), and the class that must come of it. */
#include "harness/canary.h"

#include <string.h>

#include "harness/cell.h"

static const char cow[] = "image size=1M cluster=4K table=2\n"
                          "backing size=1M\n"
                          "prepare write 0 4K\n"
                          "write 4608 512\n"
                          "flush\n"
                          "expect unsafe lost-cow\n";
static const char new_table[] = "image size=1M cluster=4K table=2\n"
                                "write 0 4K\n"
                                "flush\n"
                                "expect unsafe corrupt\n";
static const char second[] = "image size=1M cluster=4K table=2\n"
                             "prepare write 0 4K\n"
                             "write 4K 4K\n"
                             "flush\n"
                             "expect unsafe corrupt\n";
static const char overwrite[] = "image size=1M cluster=4K table=2\n"
                                "prepare write 0 4K\n"
                                "write 0 512\n"
                                "flush\n"
                                "expect disk=liar unsafe lost-flushed\n";

static void no_data_flush(struct qed_design *d)
{
    d->data_flush = QED_DATA_FLUSH_NEVER;
}

static void no_l1_flush(struct qed_design *d)
{
    d->l1_flush = false;
    d->need_check = QED_NEED_CHECK_OFF; /* or a repair would find the loss, and hide it */
}

static void mark_not_flushed(struct qed_design *d)
{
    d->data_flush = QED_DATA_FLUSH_NEVER;
    d->need_check = QED_NEED_CHECK_WRITTEN;
}

static void nothing(struct qed_design *d)
{
    (void)d;
}

static const struct canary {
    const char *what;
    const char *scenario;
    void (*plant)(struct qed_design *d);
    const char *disk;
} canaries[] = {
    {"no flush between the copied bytes and the L2 entry", cow, no_data_flush, "ssd"},
    {"no flush between a new L2 table and the L1 entry", new_table, no_l1_flush, "ssd"},
    {"a mark that is written and not flushed", second, mark_not_flushed, "ssd"},
    {"a disk whose flush does nothing", overwrite, nothing, "liar"},
};

static int run_one(const struct canary *c, bool *caught)
{
    struct scenario *s;
    struct scn_error err;
    struct store_error store_err;
    struct store *store;
    struct store_campaign campaign = {.version = "canary", .seed = 1, .command = "canary"};
    int ret = scenario_parse("canary.scn", c->scenario, strlen(c->scenario), &s, &err);
    if (ret)
        return ret;
    struct qed_design design = *qed_design_find("careful");
    c->plant(&design);
    ret = store_open(NULL, &campaign, &store, &store_err);
    if (!ret) {
        struct cell_options o = {.explore = EXPLORE_COMPLETE,
                                 .limit = 100000,
                                 .nested = 1,
                                 .schedule = 1,
                                 .seed = 1,
                                 .id_scenario = "canary"};
        struct store_summary sum = {0};
        ret = cell_run(s, &design, sim_disk_model_find(c->disk), &o, store, caught, &err);
        if (!ret)
            ret = store_summarize(store, &sum, &store_err);
        *caught &= !sum.unexpected; /* the class that was planted, not just any */
        store_close(store, &store_err);
    }
    scenario_free(s);
    return ret;
}

unsigned canary_count(void)
{
    return sizeof(canaries) / sizeof(canaries[0]);
}

bool canary_caught(unsigned number)
{
    bool caught = false;
    return !run_one(&canaries[number], &caught) && caught;
}

const char *canary_what(unsigned number)
{
    return canaries[number].what;
}

int canary_run(unsigned *caught, unsigned *of, const char **missed)
{
    *caught = 0;
    *of = sizeof(canaries) / sizeof(canaries[0]);
    *missed = NULL;
    for (unsigned i = 0; i < *of; i++) {
        bool one = false;
        int ret = run_one(&canaries[i], &one);
        if (ret)
            return ret;
        *caught += one;
        if (!one && !*missed)
            *missed = canaries[i].what;
    }
    return 0;
}
