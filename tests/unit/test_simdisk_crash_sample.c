/* test_simdisk_crash_sample.c: is a sample what it says, do equal images get equal hashes (and only they), and is nothing
 * lost when equal images are judged once? */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/coverage.h"
#include "harness/finding.h"
#include "harness/library.h"
#include "simdisk/crash_sample.h"
#include "simdisk/crash_seen.h"
#include "simdisk/xalloc.h"

#define MAX_STATES 600u

struct setting {
    struct scenario *scenario;
    const struct qed_design *design;
    const struct sim_disk_model *model;
    struct recording recording;
};

static void record(struct setting *s)
{
    struct run_options run = {.design = s->design, .disk = s->model, .schedule = {.number = 1, .seed = 1}};
    struct scn_error err;
    assert_int_equal(scenario_record(s->scenario, &run, &s->recording, &err), 0);
}

typedef void cell_fn(struct setting *s);

static void over_library(const char *const *designs, const char *const *models, cell_fn *fn)
{
    char **paths, *dir = library_dir();
    assert_non_null(dir);
    long count = library_list(dir, &paths);
    for (long i = 0; i < count; i++) {
        struct setting s = {0};
        struct scn_error err;
        assert_int_equal(scenario_load(paths[i], &s.scenario, &err), 0);
        for (size_t d = 0; designs[d]; d++)
            for (size_t m = 0; models[m]; m++) {
                s.design = qed_design_find(designs[d]);
                s.model = sim_disk_model_find(models[m]);
                record(&s);
                fn(&s);
                recording_free(&s.recording);
            }
        scenario_free(s.scenario);
    }
    library_list_free(paths, count);
    free(dir);
}

static const char *const all_models[] = {"ssd",     "own-length", "atomic-writes", "atom-4k",
                                         "hostdev", "ordered",    "writethrough",  NULL};
static const char *const two_designs[] = {"v2", "upstream", NULL};

static uint64_t states_of(const struct crash_space *space)
{
    struct bignum n;
    crash_space_count(space, &n);
    uint64_t count = bignum_clamp(&n);
    bignum_free(&n);
    return count;
}

/* --- the sample ---------------------------------------------------------------------------------------------------- */

static bool same_state(const struct crash_state *a, const struct crash_state *b)
{
    return !memcmp(a->own, b->own, a->unit_count * sizeof(*a->own)) && !memcmp(a->atom, b->atom, a->atom_count) &&
           a->length == b->length;
}

/* Every state of a space that is small comes, if the sample is long; the first is the one where nothing survived. */
static void sample_space(const struct crash_space *space, struct crash_disk *disk, uint64_t seed, unsigned *missed)
{
    uint64_t states = states_of(space), count = 0;
    struct crash_state *seen = xcalloc(states, sizeof(*seen));
    size_t seen_count = 0;
    crash_disk_load(disk, space, NULL);
    struct crash_sample *x = crash_sample_create(space, disk, seed, states * 12 + 30);
    struct crash_sample *y = crash_sample_create(space, disk, seed, states * 12 + 30);
    assert_int_equal(crash_state_survivors(space, crash_sample_state(x)), space->prefix_ops);
    do {
        bool known = false;
        assert_true(same_state(crash_sample_state(x), crash_sample_state(y)));
        for (size_t i = 0; i < seen_count && !known; i++)
            known = same_state(&seen[i], crash_sample_state(x));
        if (!known) {
            assert_true(seen_count < states);
            crash_state_init(&seen[seen_count], space);
            crash_state_copy(&seen[seen_count++], crash_sample_state(x));
        }
        count++;
        crash_sample_next(y);
    } while (crash_sample_next(x));
    assert_int_equal(count, states * 12 + 30);
    *missed += (unsigned)(states - seen_count);
    for (size_t i = 0; i < seen_count; i++)
        crash_state_free(&seen[i]);
    free(seen);
    crash_sample_destroy(x);
    crash_sample_destroy(y);
}

static unsigned missed, sampled;

static void sample_cell(struct setting *s)
{
    struct crash_disk *disk = crash_disk_create();
    struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
    struct crash_space *space;
    while ((space = crash_walk_next(walk))) {
        if (states_of(space) <= 64) {
            sample_space(space, disk, 7, &missed);
            sampled += (unsigned)states_of(space);
        }
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    crash_disk_destroy(disk);
}

static void test_sample_reaches_everything(void **state)
{
    (void)state;
    missed = sampled = 0;
    over_library(two_designs, all_models, sample_cell);
    print_message("%u states in small spaces, %u missed by a sample of twelve times as many\n", sampled, missed);
    assert_true(sampled > 1000 && missed * 1000 < sampled);
}

/* --- the budget ---------------------------------------------------------------------------------------------------- */

static void share_cell(struct setting *s)
{
    for (uint64_t limit = 1; limit < 1u << 20; limit *= 8) {
        size_t count, index = 0;
        uint64_t sum = 0, *shares = coverage_share(s->recording.history, s->model, limit, &count);
        struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
        struct crash_space *space;
        while ((space = crash_walk_next(walk))) {
            assert_true(index < count && shares[index] >= 1 && shares[index] <= states_of(space));
            sum += shares[index++];
            crash_space_free(space);
        }
        crash_walk_destroy(walk);
        assert_int_equal(index, count);
        assert_true(sum <= limit + count);
        free(shares);
    }
}

static void test_shares(void **state)
{
    (void)state;
    over_library(two_designs, all_models, share_cell);
}

/* --- the hash ------------------------------------------------------------------------------------------------------ */

#define IMAGE_SECTORS 2048u /* more than any image of the library has in use */

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

/* What the disk shows, byte for byte, with its length. */
static uint8_t *whole_image(struct crash_disk *disk, uint64_t *length)
{
    static uint8_t image[IMAGE_SECTORS * BLK_SECTOR_BYTES];
    struct blockdev *blk = crash_disk_blk(disk);
    struct iovec iov = {.iov_base = image, .iov_len = sizeof(image)};
    assert_int_equal(blk->ops->length(blk, 1, length), 0);
    int ret = -1;
    blk->ops->readv(blk, 0, &iov, 1, take_ret, &ret);
    assert_int_equal(ret, 0);
    crash_disk_rewind(disk, 0);
    return image;
}

/* An independent sum of the image: FNV-1a. */
static uint64_t fnv(const uint8_t *bytes, uint64_t length)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ length;
    for (size_t i = 0; i < (size_t)IMAGE_SECTORS * BLK_SECTOR_BYTES && i < length; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

struct pair {
    struct crash_hash hash;
    uint64_t sum;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->sum != y->sum)
        return x->sum < y->sum ? -1 : 1;
    if (x->hash.low != y->hash.low)
        return x->hash.low < y->hash.low ? -1 : 1;
    return 0;
}

static unsigned hashed, equal_images;

/* All images of a cell's small spaces: equal bytes if and only if equal hashes, across spaces too. */
static void hash_cell(struct setting *s)
{
    struct crash_disk *disk = crash_disk_create();
    struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
    struct crash_space *space;
    struct pair *pairs = NULL;
    size_t count = 0, cap = 0;
    while ((space = crash_walk_next(walk))) {
        if (states_of(space) <= 300 && count < 1500) {
            crash_disk_load(disk, space, NULL);
            struct crash_hasher *h = crash_hasher_create(space), *again = crash_hasher_create(space);
            struct crash_enum *e = crash_enum_create(space, disk);
            crash_enum_hash(e, h);
            do {
                uint64_t length;
                struct crash_hash hash = crash_hasher_value(h, crash_enum_state(e));
                crash_hasher_set(again, crash_enum_state(e));
                assert_int_equal(hash.high, crash_hasher_value(again, crash_enum_state(e)).high);
                uint8_t *image = whole_image(disk, &length);
                assert_int_equal(length, crash_state_length(space, crash_enum_state(e)));
                pairs = xgrow(pairs, count, &cap, sizeof(*pairs));
                pairs[count++] = (struct pair){.hash = hash, .sum = fnv(image, length)};
            } while (crash_enum_next(e));
            crash_enum_destroy(e);
            crash_hasher_destroy(h);
            crash_hasher_destroy(again);
        }
        crash_space_free(space);
    }
    if (count)
        qsort(pairs, count, sizeof(*pairs), compare_pairs);
    for (size_t i = 1; i < count; i++) {
        bool same = pairs[i].sum == pairs[i - 1].sum;
        if (same != (pairs[i].hash.low == pairs[i - 1].hash.low && pairs[i].hash.high == pairs[i - 1].hash.high))
            fail_msg("%s %s %s: %s images", s->scenario->name, s->design->name, s->model->name,
                     same ? "one hash for two" : "two hashes for one");
        equal_images += same;
    }
    hashed += (unsigned)count;
    free(pairs);
    crash_walk_destroy(walk);
    crash_disk_destroy(disk);
}

static void test_hash_is_the_image(void **state)
{
    (void)state;
    static const char *const one_design[] = {"v2", NULL};
    hashed = equal_images = 0;
    over_library(one_design, all_models, hash_cell);
    print_message("%u states, %u with the image of another\n", hashed, equal_images);
    assert_true(hashed > 1000 && equal_images > 100);
}

/* --- judged once --------------------------------------------------------------------------------------------------- */

struct once {
    struct finding_set findings;
    struct judge *judge;
    const struct crash_space *space;
    const struct crash_state *state;
    uint64_t judged;
};

static void take(void *opaque, const struct violation *v)
{
    struct once *o = opaque;
    finding_add(&o->findings, o->space, o->state, judge_cluster_sectors(o->judge), v);
}

static void judge_space_once(struct once *o, struct crash_disk *disk, struct crash_seen *seen)
{
    crash_disk_load(disk, o->space, NULL);
    struct crash_hasher *h = crash_hasher_create(o->space);
    struct crash_enum *e = crash_enum_create(o->space, disk);
    crash_enum_hash(e, h);
    do {
        bool distinct;
        o->state = crash_enum_state(e);
        uint32_t when = crash_state_when(o->space, o->state);
        if (seen && crash_seen_before(seen, crash_hasher_value(h, o->state), when, &distinct))
            continue;
        o->findings.state_number++;
        o->judged++;
        judge_state(o->judge, disk, when, take, o);
    } while (crash_enum_next(e));
    crash_enum_destroy(e);
    crash_hasher_destroy(h);
}

static void judge_cell(struct setting *s, struct once *o, struct crash_seen *seen)
{
    struct crash_disk *disk = crash_disk_create();
    struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
    struct crash_space *space;
    uint32_t epoch = UINT32_MAX;
    o->judge = judge_create(&s->recording, s->design);
    while ((space = crash_walk_next(walk))) {
        if (seen && space->epoch != epoch)
            crash_seen_clear(seen);
        epoch = space->epoch;
        o->space = space;
        if (states_of(space) <= MAX_STATES) {
            judge_space_once(o, disk, seen);
            finding_settle(&o->findings, space, disk, o->judge, &s->recording, true);
        }
        crash_space_free(space);
    }
    finding_sort(&o->findings);
    crash_walk_destroy(walk);
    crash_disk_destroy(disk);
    judge_destroy(o->judge);
}

static uint64_t judged_all, judged_once, found;

static void once_cell(struct setting *s)
{
    struct once all = {0}, one = {0}, tight = {0};
    struct crash_seen *seen = crash_seen_create(1u << 22), *small = crash_seen_create(64 * 24);
    judge_cell(s, &all, NULL);
    judge_cell(s, &one, seen);
    judge_cell(s, &tight, small); /* soon full: it must only cost time */
    assert_false(crash_seen_full(seen));
    assert_true(one.judged <= tight.judged && tight.judged <= all.judged);
    assert_int_equal(all.findings.count, one.findings.count);
    assert_int_equal(all.findings.count, tight.findings.count);
    for (size_t i = 0; i < all.findings.count; i++) {
        const struct finding *a = &all.findings.items[i], *b = &one.findings.items[i];
        assert_int_equal(a->key.class, b->key.class);
        assert_int_equal(a->key.cluster, b->key.cluster);
        assert_int_equal(a->key.lost, b->key.lost);
        assert_int_equal(a->key.survivor, b->key.survivor);
    }
    judged_all += all.judged;
    judged_once += one.judged;
    found += all.findings.count;
    finding_set_free(&all.findings);
    finding_set_free(&one.findings);
    finding_set_free(&tight.findings);
    crash_seen_destroy(seen);
    crash_seen_destroy(small);
}

static void test_judged_once_finds_the_same(void **state)
{
    (void)state;
    judged_all = judged_once = found = 0;
    over_library(two_designs, all_models, once_cell);
    print_message("%" PRIu64 " states judged, %" PRIu64 " images; %" PRIu64 " findings either way\n", judged_all,
                  judged_once, found);
    assert_true(judged_once < judged_all && found > 20);
}

static void test_seen_is_bounded(void **state)
{
    (void)state;
    struct crash_seen *seen = crash_seen_create(1024 * 24);
    bool distinct;
    unsigned kept = 0;
    for (uint64_t i = 0; i < 4096; i++) {
        assert_false(crash_seen_before(seen, (struct crash_hash){.low = i * 64, .high = i}, 5, &distinct));
        kept += distinct;
    }
    assert_true(crash_seen_full(seen));
    assert_int_equal(kept, 512);
    assert_true(crash_seen_before(seen, (struct crash_hash){.low = 64, .high = 1}, 5, &distinct));
    assert_false(
        crash_seen_before(seen, (struct crash_hash){.low = 64, .high = 1}, 4, &distinct)); /* a tighter promise */
    assert_true(crash_seen_before(seen, (struct crash_hash){.low = 64, .high = 1}, 4, &distinct));
    crash_seen_clear(seen);
    assert_false(crash_seen_before(seen, (struct crash_hash){.low = 64, .high = 1}, 9, &distinct));
    assert_true(distinct);
    crash_seen_destroy(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_reaches_everything), cmocka_unit_test(test_shares),
        cmocka_unit_test(test_hash_is_the_image),         cmocka_unit_test(test_judged_once_finds_the_same),
        cmocka_unit_test(test_seen_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
