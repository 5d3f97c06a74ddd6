/* What the engine asks is all that its design can change: another design of the box it leaves behind does the same.
 *
 * A random story, requests one after the other or in flight together, crashes, devices that grow or do not, is played
 * under one design with its answers noted, and again under a random design of the resulting box. Writes, flushes, changes
 * of length and the bytes in the end must be equal.
 */
#include "engine/design_box.h"
#include "engine/design_text.h"
#include "tests/unit/test_engine_kit.h"

#define IMAGE   (8u << 20)
#define STORIES 1500

static uint64_t next_random(uint64_t *rng)
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return *rng >> 11;
}

static uint64_t below(uint64_t *rng, uint64_t n)
{
    return next_random(rng) % n;
}

static struct qed_design any_design(uint64_t *rng)
{
    struct qed_design d = qed_designs[below(rng, qed_design_count)];
    for (unsigned changes = (unsigned)below(rng, 5); changes; changes--) {
        enum qed_design_field f = (enum qed_design_field)below(rng, QED_FIELD_COUNT);
        d.value[f] = (uint8_t)below(rng, qed_design_field_values(f));
    }
    if (below(rng, 2)) { /* both matter only where they meet */
        d.phys_size = (uint8_t)below(rng, 3);
        d.size_check = (uint8_t)below(rng, 3);
    }
    return d;
}

static struct qed_design any_of_box(const struct qed_design *like, const struct qed_design_box *box, uint64_t *rng)
{
    struct qed_design d = *like;
    d.asked = NULL;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        do
            d.value[f] = (uint8_t)below(rng, qed_design_field_values((enum qed_design_field)f));
        while (!(box->allowed[f] >> d.value[f] & 1));
    return d;
}

static uint64_t somewhere(uint64_t *rng)
{
    static const uint64_t at[] = {0, 512, 4096, 8192, 12288, 65536, 2u << 20, (2u << 20) - 4096, 4u << 20, 6u << 20};
    return at[below(rng, sizeof(at) / sizeof(at[0]))];
}

static uint64_t some_length(uint64_t *rng)
{
    static const uint64_t lengths[] = {512, 4096, 8192, 12288};
    return lengths[below(rng, 4)];
}

static void one_step(struct kit *k, uint64_t *rng)
{
    uint64_t pos = somewhere(rng), length = some_length(rng), what = below(rng, 12);
    if (what < 5)
        kit_start_write(k, pos, length, (uint8_t)below(rng, 256));
    else if (what == 5)
        kit_start_zero(k, pos, length);
    else if (what == 6)
        kit_start_discard(k, pos, length);
    else if (what == 7)
        kit_start_read(k, pos, length);
    else if (what < 10)
        kit_start_flush(k);
    else if (what == 10)
        test_world_advance(k->world, 1000 * below(rng, 8));
    else
        test_world_run(k->world);
}

/* One life of the image: false when it cannot be opened any more. */
static bool live(struct kit *k, uint64_t *rng)
{
    k->options.read_only = false;
    k->options.check_mode = below(rng, 16) == 0;
    k->world->delayed = false;
    k->file->logged = true;
    if (kit_try_open(k))
        return false;
    if (below(rng, 8) == 0) {
        qed_reopen(k->q, true, NULL);
        if (below(rng, 2))
            kit_start_flush(k);
        qed_reopen(k->q, false, NULL);
    }
    k->world->delayed = below(rng, 2);
    for (unsigned steps = (unsigned)below(rng, 9); steps; steps--)
        one_step(k, rng);
    if (below(rng, 4) == 0)
        qed_truncate(k->q, qed_image_bytes(k->q), NULL);
    if (below(rng, 8) == 0)
        qed_change_backing(k->q, NULL, false, NULL);
    if (below(rng, 2)) {
        struct qed *q = k->q;
        k->q = NULL;
        qed_close(q);
    } else {
        kit_abandon(k);
    }
    return true;
}

static void play(struct kit *k, const struct qed_design *design, uint64_t seed)
{
    uint64_t rng = seed;
    bool backed = below(&rng, 2);
    kit_begin(k, "v2");
    k->world->log_events = true;
    k->world->order = (enum test_order)below(&rng, 3);
    k->world->random += seed;
    kit_backing(k, "base.raw", IMAGE, 0xbb);
    kit_create(k, IMAGE, 4096, 1, backed ? "base.raw" : NULL);
    k->design = *design;
    if (below(&rng, 3) == 0)
        test_dev_fix(k->file, 1u << 20);
    else if (below(&rng, 3) == 0)
        test_dev_set_length(k->file, k->file->length + 1024);
    if (below(&rng, 4) == 0)
        test_world_fail(k->world, (enum blk_event)(1 + below(&rng, BLK_EVENT_COUNT - 1)), 1 + (unsigned)below(&rng, 4),
                        EIO);
    for (unsigned lives = 1 + (unsigned)below(&rng, 4); lives && live(k, &rng); lives--)
        if (!k->file->fixed && below(&rng, 4) == 0)
            test_dev_set_length(k->file, k->file->length + 512 * below(&rng, 16));
}

static void test_designs_of_a_box_do_the_same(void **state)
{
    unsigned others = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= STORIES; seed++) {
        uint64_t rng = seed * 0x9e3779b97f4a7c15u;
        struct qed_design design = any_design(&rng);
        struct qed_design_asked asked;
        struct kit a, b;

        qed_asked_begin(&asked);
        design.asked = &asked;
        play(&a, &design, seed * 0xd1342543de82ef95u);
        struct qed_design other = any_of_box(&design, &asked.box, &rng);
        others += memcmp(other.value, design.value, sizeof(other.value)) != 0;
        play(&b, &other, seed * 0xd1342543de82ef95u);
        if (strcmp(test_world_log(a.world), test_world_log(b.world)) || a.file->length != b.file->length ||
            memcmp(a.file->bytes, b.file->bytes, a.file->length)) {
            char text[QED_DESIGN_TEXT_MAX];
            qed_design_format(&design, text);
            print_message("story %llu\n%s\n  %s\n", (unsigned long long)seed, text, test_world_log(a.world));
            qed_design_format(&other, text);
            print_message("%s\n  %s\n", text, test_world_log(b.world));
            fail_msg("two designs of one box differ");
        }
        kit_end(&a);
        kit_end(&b);
    }
    assert_true(others > STORIES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_designs_of_a_box_do_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
