/* test_explore_differential.c: is the clever explorer equal to the simple one?
 *
 * Small random scenarios x designs x disk models x schedules. In every crash space the complete explorer and plain
 * enumeration must report the same set of (class, guest sector), and so must the explorer that judges many clusters at once
 * (harness/sweep.c); data varied side by side must show what it shows one by one; and enumeration by epoch the same as
 * enumeration point by point. A case that ever differed stays below as a regression.
 *
 *     test_explore_differential [CASES [FIRST_SEED]]       (or QEDCRASH_DIFFERENTIAL_CASES=N)
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/judge.h"
#include "simdisk/crash_state.h"
#include "simdisk/xalloc.h"

#define MAX_STATES       2000u
#define MAX_STATES_LIVES 24u /* each of them has hundreds of second failures */

static uint64_t case_count = 400, first_seed = 1;
static bool lives_only; /* every scenario goes on after a crash */

/* --- sets of what was found ---------------------------------------------------------------------------------------- */

struct found {
    uint32_t epoch;
    enum verdict_class class;
    uint64_t sector;
};

struct found_set {
    struct found *items;
    size_t count, cap;
    uint32_t epoch;
};

static void add_found(void *opaque, const struct violation *v)
{
    struct found_set *set = opaque;
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].epoch == set->epoch && set->items[i].class == v->class &&
            set->items[i].sector == v->guest_sector)
            return;
    set->items = xgrow(set->items, set->count, &set->cap, sizeof(*set->items));
    set->items[set->count++] = (struct found){.epoch = set->epoch, .class = v->class, .sector = v->guest_sector};
}

static int compare(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->epoch != y->epoch)
        return x->epoch < y->epoch ? -1 : 1;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return x->sector < y->sector ? -1 : x->sector > y->sector;
}

static void sort_set(struct found_set *set)
{
    if (set->count)
        qsort(set->items, set->count, sizeof(*set->items), compare);
}

static void print_set(const char *name, const struct found_set *set)
{
    fprintf(stderr, "  %s:", name);
    for (size_t i = 0; i < set->count; i++)
        fprintf(stderr, " %" PRIu32 "/%s/%" PRId64, set->items[i].epoch, verdict_class_name(set->items[i].class),
                (int64_t)set->items[i].sector);
    fputc('\n', stderr);
}

static bool same_set(struct found_set *a, struct found_set *b)
{
    sort_set(a);
    sort_set(b);
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (compare(&a->items[i], &b->items[i]))
            return false;
    return true;
}

/* --- the ways through a space -------------------------------------------------------------------------------------- */

static bool go_on(void *opaque)
{
    (void)opaque;
    return true;
}

static void by_explorer(struct judge *j, struct crash_disk *disk, const struct crash_space *space,
                        struct found_set *set)
{
    struct explorer *x = explorer_create();
    crash_disk_load(disk, space, explorer_chooser(x));
    assert_true(judge_space(j, x, disk, add_found, go_on, set));
    explorer_destroy(x);
}

static void by_enumeration(struct judge *j, struct crash_disk *disk, const struct crash_space *space,
                           struct found_set *set)
{
    crash_disk_load(disk, space, NULL);
    struct crash_enum *e = crash_enum_create(space, disk);
    do
        judge_state(j, disk, crash_state_when(space, crash_enum_state(e)), add_found, set);
    while (crash_enum_next(e));
    crash_enum_destroy(e);
}

/* --- data side by side --------------------------------------------------------------------------------------------- */

/* What a reader for the guest saw of a sector, at which length of the file; and the earliest point at which. */
struct sight {
    uint64_t sector, length_bytes, bytes, when;
};

struct sights {
    struct sight *items;
    size_t count, cap;
    uint64_t first, count_wanted; /* sectors of the units from here on are read */
};

static void add_sight(struct sights *set, const struct sight *seen)
{
    for (size_t i = 0; i < set->count; i++) {
        struct sight *s = &set->items[i];
        if (s->sector == seen->sector && s->length_bytes == seen->length_bytes && s->bytes == seen->bytes) {
            s->when = seen->when < s->when ? seen->when : s->when;
            return;
        }
    }
    set->items = xgrow(set->items, set->count, &set->cap, sizeof(*set->items));
    set->items[set->count++] = *seen;
}

static void ignore_ret(void *opaque, int ret)
{
    (void)opaque;
    assert_int_equal(ret, 0);
}

static uint64_t sum_of(const uint8_t *bytes)
{
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < BLK_SECTOR_BYTES; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

static bool look_at_units(void *opaque, struct crash_disk *disk)
{
    struct sights *set = opaque;
    const struct crash_space *space = crash_disk_space(disk);
    struct blockdev *blk = crash_disk_blk(disk);
    struct sight seen[64];
    uint64_t length;
    blk->ops->event(blk, BLK_EVENT_HEADER_READ);
    assert_int_equal(blk->ops->length(blk, 4096, &length), 0);
    blk->ops->event(blk, BLK_EVENT_READ_AIO);
    for (uint64_t i = 0; i < set->count_wanted; i++) {
        uint8_t bytes[BLK_SECTOR_BYTES];
        struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
        seen[i] = (struct sight){.sector = space->units[set->first + i].first_sector, .length_bytes = length};
        blk->ops->readv(blk, seen[i].sector * BLK_SECTOR_BYTES, &iov, 1, ignore_ret, NULL);
        seen[i].bytes = sum_of(bytes);
    }
    for (uint64_t i = 0; i < set->count_wanted; i++) {
        seen[i].when = crash_disk_when(disk);
        add_sight(set, &seen[i]);
    }
    return true;
}

/* All units read in one run with data apart, against each read by itself: the same sights, as early. */
static bool same_sights(struct crash_disk *disk, const struct crash_space *space)
{
    struct sights together = {.count_wanted = space->unit_count < 64 ? space->unit_count : 64}, alone = {0};
    struct explorer *x = explorer_create();
    bool stopped, same;
    crash_disk_load(disk, space, explorer_chooser(x));
    explorer_load(x, disk, 4096);
    explorer_run(x, (struct explore_mode){.prune = true, .data_apart = true}, look_at_units, &together, &stopped);
    for (alone.count_wanted = 1; alone.first < together.count_wanted; alone.first++)
        explorer_run(x, (struct explore_mode){0}, look_at_units, &alone, &stopped);
    same = together.count == alone.count;
    for (size_t i = 0, k; same && i < alone.count; i++) {
        for (k = 0; k < together.count; k++)
            if (!memcmp(&together.items[k], &alone.items[i], sizeof(struct sight)))
                break;
        same = k < together.count;
    }
    explorer_destroy(x);
    free(together.items);
    free(alone.items);
    return same;
}

/* --- random scenarios ---------------------------------------------------------------------------------------------- */

static uint64_t below(uint64_t *rng, uint64_t n)
{
    return sim_rng_next(rng) % n;
}

/* A place that collides often: a few clusters in the first table, a few in the second. */
static uint64_t random_place(uint64_t *rng, bool two_tables)
{
    static const uint64_t clusters[] = {0, 1, 1, 2, 3, 63, 64, 65};
    uint64_t cluster = clusters[below(rng, 8)] + (two_tables && !below(rng, 3) ? 1024 : 0);
    return cluster * 4096 + below(rng, 8) * 512;
}

static void print_op(FILE *out, uint64_t *rng, bool two_tables)
{
    static const unsigned lengths[] = {512, 512, 1024, 4096, 8192};
    uint64_t at = random_place(rng, two_tables);
    switch (below(rng, 8)) {
    case 0:
        fprintf(out, "zero %" PRIu64 " 4K\n", at & ~UINT64_C(4095));
        return;
    case 1:
        fprintf(out, "discard %" PRIu64 " 4K\n", at & ~UINT64_C(4095));
        return;
    case 2:
        fprintf(out, "flush\n");
        return;
    default:
        fprintf(out, "write %" PRIu64 " %u\n", at, lengths[below(rng, 5)]);
    }
}

static char *random_scenario(uint64_t *rng)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool two_tables = !below(rng, 3);
    fprintf(out, "image size=%s cluster=4K table=2\n", two_tables ? "8M" : "1M");
    if (below(rng, 2))
        fprintf(out, "backing size=%s\n", below(rng, 4) ? (two_tables ? "8M" : "1M") : "8K");
    for (uint64_t n = below(rng, 4); n; n--)
        fprintf(out, "prepare write %" PRIu64 " 4K\n", random_place(rng, two_tables) & ~UINT64_C(4095));
    uint64_t ops = 1 + below(rng, 4);
    for (uint64_t i = 0; i < ops; i++) {
        uint64_t kind = below(rng, 12);
        if (kind < 3) {
            fprintf(out, "aio r%" PRIu64 " ", i);
            print_op(out, rng, two_tables);
        } else if (kind == 3) {
            fprintf(out, "close\nopen rw\n");
        } else if (kind == 4) {
            fprintf(out, "sleep 6s\n");
        } else {
            print_op(out, rng, two_tables);
        }
    }
    if (lives_only || !below(rng, 8)) { /* a later life, perhaps with its own power failure */
        fprintf(out, "crash\n%s", below(rng, 4) ? "" : "open rw as=v2\n");
        fprintf(out, "write %" PRIu64 " 1K\n", random_place(rng, two_tables) & ~UINT64_C(1023));
        if (below(rng, 2))
            fprintf(out, "flush\n");
        if (below(rng, 3))
            fprintf(out, "crash\n");
    }
    fclose(out);
    return text;
}

/* Designs with one field changed at random: the bugs the explorer must not lose. */
static struct qed_design random_design(uint64_t *rng)
{
    struct qed_design d = qed_designs[below(rng, qed_design_count)];
    switch (below(rng, 10)) {
    case 0:
        d.data_flush = (enum qed_data_flush)below(rng, QED_DATA_FLUSH_ALWAYS + 1);
        break;
    case 1:
        d.l1_flush = false;
        break;
    case 2:
        d.need_check = (enum qed_need_check)below(rng, 3);
        break;
    case 3:
        d.tail = (enum qed_tail)below(rng, 3);
        break;
    case 4:
        d.zero_fill = (enum qed_zero_fill)below(rng, 3);
        break;
    case 5:
        d.reuse = (enum qed_reuse)below(rng, 3);
        break;
    case 6:
        d.clear_on = (uint8_t)below(rng, 32);
        d.clear_order = (uint8_t)below(rng, 4);
        break;
    case 7:
        d.publish = (enum qed_publish)below(rng, 2);
        d.lock = (enum qed_lock)below(rng, 4);
        break;
    default:
        break;
    }
    return d;
}

/* --- one case ------------------------------------------------------------------------------------------------------ */

struct setting {
    struct scenario *scenario;
    struct qed_design design;
    const struct sim_disk_model *model;
    struct recording recording;
};

static bool small_enough(const struct setting *s, const struct crash_space *space)
{
    struct bignum n;
    crash_space_count(space, &n);
    bool lives = s->recording.crash_stmt < s->scenario->stmt_count;
    bool small = bignum_clamp(&n) <= (lives ? MAX_STATES_LIVES : MAX_STATES);
    bignum_free(&n);
    return small;
}

/* Every space of the run by both ways. Returns the number of spaces compared. */
static unsigned compare_spaces(const struct setting *s, bool *equal)
{
    struct found_set clever = {0}, swept = {0}, simple = {0};
    struct judge *j = judge_create(&s->recording, &s->design), *sweeper = judge_create(&s->recording, &s->design);
    struct crash_disk *disk = crash_disk_create();
    struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
    struct crash_space *space;
    unsigned compared = 0;
    bool sights = true;
    judge_sweeps_from(sweeper, 0);
    while ((space = crash_walk_next(walk))) {
        if (small_enough(s, space)) {
            clever.epoch = swept.epoch = simple.epoch = space->first_point;
            by_explorer(j, disk, space, &clever);
            by_explorer(sweeper, disk, space, &swept);
            by_enumeration(j, disk, space, &simple);
            sights &= same_sights(disk, space);
            compared++;
        }
        crash_space_free(space);
    }
    *equal = same_set(&clever, &simple) && same_set(&swept, &simple) && sights;
    if (!*equal) {
        print_set("complete ", &clever);
        print_set("swept    ", &swept);
        print_set("enumerate", &simple);
        fprintf(stderr, "  data side by side: %s\n", sights ? "the same" : "different");
    }
    crash_walk_destroy(walk);
    crash_disk_destroy(disk);
    judge_destroy(j);
    judge_destroy(sweeper);
    free(clever.items);
    free(swept.items);
    free(simple.items);
    return compared;
}

/* By epoch against point by point, over the whole run: what is found somewhere. */
static bool compare_points(const struct setting *s, bool *skipped)
{
    struct found_set sets[2] = {{0}, {0}};
    struct judge *j = judge_create(&s->recording, &s->design);
    struct crash_disk *disk = crash_disk_create();
    *skipped = false;
    for (int every_point = 0; every_point < 2 && !*skipped; every_point++) {
        struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, every_point);
        struct crash_space *space;
        while ((space = crash_walk_next(walk))) {
            if (!small_enough(s, space))
                *skipped = true;
            else if (!*skipped)
                by_enumeration(j, disk, space, &sets[every_point]);
            crash_space_free(space);
        }
        crash_walk_destroy(walk);
    }
    bool equal = *skipped || same_set(&sets[0], &sets[1]);
    if (!equal) {
        print_set("by epoch", &sets[0]);
        print_set("by point", &sets[1]);
    }
    crash_disk_destroy(disk);
    judge_destroy(j);
    free(sets[0].items);
    free(sets[1].items);
    return equal;
}

static bool set_up(uint64_t seed, struct setting *s, char **text)
{
    uint64_t rng = seed * 0x9e3779b97f4a7c15u;
    struct scn_error err;
    *text = random_scenario(&rng);
    s->design = random_design(&rng);
    s->model = &sim_disk_models[below(&rng, sim_disk_model_count)];
    /* Where every sector chooses, one later failure alone has thousands of outcomes if clusters are copied, and enumeration
     * takes for ever. */
    bool lives = strstr(*text, "crash\n");
    if (lives && s->model->atom == SIM_ATOM_512 && strstr(*text, "backing "))
        s->model = sim_disk_model_find(seed % 2 ? "atom-4k" : "atomic-writes");
    if (lives && below(&rng, 2))
        s->design.tail = QED_TAIL_TRUNCATE; /* a later life cuts the file, and that is pending too */
    if (scenario_parse("random.scn", *text, strlen(*text), &s->scenario, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    struct run_options run = {.design = &s->design, .disk = s->model};
    run.schedule = (struct sim_schedule){.number = 1 + below(&rng, 3), .seed = seed};
    if (scenario_record(s->scenario, &run, &s->recording, &err)) {
        scenario_free(s->scenario);
        return false;
    }
    return true;
}

static void complain(uint64_t seed, const struct setting *s, const char *text, const char *what)
{
    fprintf(stderr, "seed %" PRIu64 " (%s, %s): %s\n%s\n", seed, s->design.name, s->model->name, what, text);
}

static void run_case(uint64_t seed, bool points, unsigned *compared, unsigned *different)
{
    struct setting s;
    char *text;
    if (set_up(seed, &s, &text)) {
        bool equal = true, skipped = false;
        if (points) {
            equal = compare_points(&s, &skipped);
            *compared += !skipped;
        } else {
            *compared += compare_spaces(&s, &equal);
        }
        if (!equal) {
            complain(seed, &s, text, points ? "epochs and points differ" : "complete and enumerate differ");
            ++*different;
        }
        recording_free(&s.recording);
        scenario_free(s.scenario);
    }
    free(text);
}

static void test_complete_equals_enumerate(void **state)
{
    (void)state;
    unsigned compared = 0, different = 0;
    for (uint64_t i = 0; i < case_count; i++)
        run_case(first_seed + i, false, &compared, &different);
    print_message("%" PRIu64 " random cases, %u crash spaces compared, %u cases differ\n", case_count, compared,
                  different);
    assert_int_equal(different, 0);
    assert_true(compared > case_count);
}

static void test_later_lives(void **state)
{
    (void)state;
    unsigned compared = 0, different = 0;
    lives_only = true;
    for (uint64_t i = 0; i < case_count / 8; i++)
        run_case(first_seed + i, false, &compared, &different);
    lives_only = false;
    print_message("%" PRIu64 " random cases with later lives, %u crash spaces compared, %u cases differ\n",
                  case_count / 8, compared, different);
    assert_int_equal(different, 0);
    assert_true(compared > case_count / 8);
}

static void test_epochs_equal_points(void **state)
{
    (void)state;
    unsigned compared = 0, different = 0;
    for (uint64_t i = 0; i < case_count / 4; i++)
        run_case(first_seed + i, true, &compared, &different);
    print_message("%" PRIu64 " random cases, %u compared whole, %u differ\n", case_count / 4, compared, different);
    assert_int_equal(different, 0);
    assert_true(compared > case_count / 16);
}

int main(int argc, char **argv)
{
    const char *cases = getenv("QEDCRASH_DIFFERENTIAL_CASES"); /* fewer for slow builds */
    if (cases)
        case_count = strtoull(cases, NULL, 10);
    if (argc > 1)
        case_count = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_equals_enumerate),
        cmocka_unit_test(test_later_lives),
        cmocka_unit_test(test_epochs_equal_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
