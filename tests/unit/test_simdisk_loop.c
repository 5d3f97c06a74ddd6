/* The deterministic loop: which completion comes next, and when a timer fires. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "simdisk/sim_loop.h"

/* Each delivery appends its letter. */
static char order[512];

static void note(void *opaque)
{
    size_t n = strlen(order);

    assert_true(n + 1 < sizeof(order));
    order[n] = *(const char *)opaque;
    order[n + 1] = 0;
}

static struct sim_loop *loop_with(struct sim_schedule schedule)
{
    order[0] = 0;
    return sim_loop_create(&schedule);
}

static void post_all(struct sim_loop *loop, void *owner, const char *letters)
{
    for (; *letters; letters++)
        sim_loop_post(loop, owner, note, (void *)letters);
}

static void run(struct sim_loop *loop)
{
    struct blk_loop *blk = sim_loop_blk(loop);

    while (blk->ops->poll(blk))
        ;
}

static void test_fifo_delivers_in_order_of_submission(void **state)
{
    struct sim_loop *loop = loop_with((struct sim_schedule){.number = 1, .seed = 99});
    const uint8_t *alternatives;
    size_t count;

    (void)state;
    assert_false(sim_loop_poll(loop));
    post_all(loop, NULL, "abcde");
    assert_int_equal(sim_loop_pending(loop), 5);
    run(loop);
    assert_string_equal(order, "abcde");
    assert_int_equal(sim_loop_pending(loop), 0);
    sim_loop_choices(loop, &alternatives, &count);
    assert_int_equal(count, 4); /* the last one was no choice */
    assert_int_equal(alternatives[0], 5);
    assert_int_equal(alternatives[3], 2);
    sim_loop_destroy(loop);
}

static void run_seeded(uint64_t seed, uint64_t number, char *result, uint64_t *rng)
{
    struct sim_loop *loop = loop_with((struct sim_schedule){.number = number, .seed = seed});

    post_all(loop, NULL, "abcdefghijklmnop");
    run(loop);
    strcpy(result, order);
    *rng = sim_loop_rng_state(loop);
    sim_loop_destroy(loop);
}

static void test_seeded_schedules_repeat_and_differ(void **state)
{
    char a[64], b[64];
    uint64_t rng_a, rng_b;

    (void)state;
    run_seeded(1, 2, a, &rng_a);
    run_seeded(1, 2, b, &rng_b);
    assert_string_equal(a, b);
    assert_int_equal(rng_a, rng_b);
    run_seeded(1, 3, b, &rng_b);
    assert_string_not_equal(a, b);
    assert_true(rng_a != rng_b);
    run_seeded(2, 2, b, &rng_b);
    assert_string_not_equal(a, b);
}

/* The mixing must not make (seed, number) and its neighbours the same run. */
static void test_seed_and_number_do_not_cancel_out(void **state)
{
    uint64_t states[64];
    size_t n = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        for (uint64_t number = 2; number < 10; number++) {
            struct sim_loop *loop = loop_with((struct sim_schedule){.number = number, .seed = seed});

            states[n++] = sim_loop_rng_state(loop);
            sim_loop_destroy(loop);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            assert_true(states[i] != states[j]);
    }
}

static void test_a_run_replays_from_its_choices(void **state)
{
    struct sim_loop *seeded = loop_with((struct sim_schedule){.number = 7, .seed = 3});
    struct sim_loop *scripted;
    const uint8_t *choices, *alternatives;
    char expected[64];
    size_t count;

    (void)state;
    post_all(seeded, NULL, "abcdefgh");
    run(seeded);
    strcpy(expected, order);
    choices = sim_loop_choices(seeded, &alternatives, &count);
    scripted = loop_with((struct sim_schedule){.script = choices, .script_len = count});
    sim_loop_destroy(seeded);
    post_all(scripted, NULL, "abcdefgh");
    run(scripted);
    assert_string_equal(order, expected);
    sim_loop_destroy(scripted);
}

static void test_a_script_goes_on_with_zeros_and_stays_in_range(void **state)
{
    static const uint8_t script[] = {2, 201}; /* 201 is out of range, and no multiple of 3 away from 2 */
    struct sim_loop *loop = loop_with((struct sim_schedule){.script = script, .script_len = 2});
    const uint8_t *choices, *alternatives;
    size_t count;

    (void)state;
    post_all(loop, NULL, "abcd");
    run(loop);
    assert_string_equal(order, "cdab");
    choices = sim_loop_choices(loop, &alternatives, &count);
    assert_int_equal(count, 3);
    assert_int_equal(choices[0], 2);
    assert_int_equal(choices[1], 2); /* what was really chosen */
    assert_int_equal(choices[2], 0);
    sim_loop_destroy(loop);
}

/* An explorer walks all schedules by the alternatives alone: 3 completions have 3! orders. */
static void test_scripts_reach_every_order(void **state)
{
    uint8_t script[8] = {0};
    size_t length = 0, runs = 0;
    char seen[16][8];

    (void)state;
    for (;;) {
        struct sim_loop *loop = loop_with((struct sim_schedule){.script = script, .script_len = length});
        const uint8_t *choices, *alternatives;

        post_all(loop, NULL, "abc");
        run(loop);
        strcpy(seen[runs++], order);
        choices = sim_loop_choices(loop, &alternatives, &length);
        memcpy(script, choices, length);
        while (length > 0 && script[length - 1] + 1 == alternatives[length - 1])
            length--;
        if (length > 0)
            script[length - 1]++;
        sim_loop_destroy(loop);
        if (length == 0)
            break;
    }
    assert_int_equal(runs, 6);
    for (size_t i = 0; i < runs; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

static void test_choices_are_capped(void **state)
{
    struct sim_loop *loop = loop_with((struct sim_schedule){.number = 5});
    const uint8_t *alternatives;
    size_t count;
    bool high = false;

    (void)state;
    assert_int_equal(sim_loop_choose(loop, 1), 0);
    for (int i = 0; i < 2000; i++) {
        unsigned choice = sim_loop_choose(loop, 100000);

        assert_true(choice < 255);
        high |= choice > 200;
    }
    assert_true(high);
    sim_loop_choices(loop, &alternatives, &count);
    assert_int_equal(count, 2000);
    assert_int_equal(alternatives[0], 255);
    for (int i = 0; i < 300; i++)
        sim_loop_post(loop, NULL, note, (void *)"x");
    run(loop);
    assert_int_equal(strlen(order), 300);
    sim_loop_destroy(loop);
}

static void test_drop_forgets_one_owner_only(void **state)
{
    struct sim_loop *loop = loop_with((struct sim_schedule){.number = 1});
    int mine, yours;

    (void)state;
    post_all(loop, &mine, "ab");
    post_all(loop, &yours, "xy");
    post_all(loop, &mine, "c");
    sim_loop_drop(loop, &mine, note);
    assert_string_equal(order, "abc");
    assert_int_equal(sim_loop_pending(loop), 2);
    run(loop);
    assert_string_equal(order, "abcxy");
    post_all(loop, &yours, "z");
    sim_loop_drop(loop, &yours, NULL);
    assert_false(sim_loop_poll(loop));
    assert_string_equal(order, "abcxy");
    post_all(loop, &mine, "q"); /* destroy drops it */
    sim_loop_destroy(loop);
}

/* ---- time ---- */

struct test_timer {
    struct blk_timer timer; /* first */
    struct sim_loop *loop;
    const char *letter;
    uint64_t again_ns; /* 0: do not arm again */
    uint64_t fired_at;
};

static void fire(void *opaque)
{
    struct test_timer *t = opaque;
    struct blk_loop *blk = sim_loop_blk(t->loop);

    assert_false(t->timer.armed);
    t->fired_at = sim_loop_now_ns(t->loop);
    note((void *)t->letter);
    sim_loop_post(t->loop, t, note, (void *)"."); /* I/O the timer starts */
    if (t->again_ns)
        blk->ops->timer_set(blk, &t->timer, t->again_ns);
}

static void init_timer(struct test_timer *t, struct sim_loop *loop, const char *letter)
{
    *t = (struct test_timer){.timer = {.fire = fire, .opaque = t}, .loop = loop, .letter = letter};
}

static void test_timers_fire_by_deadline_then_arming(void **state)
{
    struct sim_loop *loop = loop_with((struct sim_schedule){.number = 1});
    struct blk_loop *blk = sim_loop_blk(loop);
    struct test_timer a, b, c, d;

    (void)state;
    init_timer(&a, loop, "a");
    init_timer(&b, loop, "b");
    init_timer(&c, loop, "c");
    init_timer(&d, loop, "d");
    blk->ops->timer_set(blk, &a.timer, 30);
    blk->ops->timer_set(blk, &b.timer, 10);
    blk->ops->timer_set(blk, &c.timer, 10);
    blk->ops->timer_set(blk, &d.timer, 11);
    blk->ops->timer_cancel(blk, &d.timer);
    blk->ops->timer_cancel(blk, &d.timer); /* twice is harmless */
    post_all(loop, NULL, "0");
    assert_true(sim_loop_poll(loop)); /* poll never fires a timer */
    assert_string_equal(order, "0");
    post_all(loop, NULL, "1");
    sim_loop_sleep(loop, 9);
    assert_string_equal(order, "01"); /* what was pending comes first */
    sim_loop_sleep(loop, 1);
    assert_string_equal(order, "01b.c.");
    assert_int_equal(b.fired_at, 10);
    blk->ops->timer_set(blk, &a.timer, 5); /* re-armed: earlier now */
    sim_loop_sleep(loop, 100);
    assert_string_equal(order, "01b.c.a.");
    assert_int_equal(a.fired_at, 15);
    assert_int_equal(sim_loop_now_ns(loop), 110);
    sim_loop_destroy(loop);
}

static void test_a_timer_may_arm_itself_again(void **state)
{
    struct sim_loop *loop = loop_with((struct sim_schedule){.number = 1});
    struct blk_loop *blk = sim_loop_blk(loop);
    struct test_timer a;

    (void)state;
    init_timer(&a, loop, "a");
    a.again_ns = 10;
    blk->ops->timer_set(blk, &a.timer, 10);
    sim_loop_sleep(loop, 35);
    assert_string_equal(order, "a.a.a.");
    assert_true(a.timer.armed);
    sim_loop_drop_timers(loop);
    assert_false(a.timer.armed);
    sim_loop_sleep(loop, 100);
    assert_string_equal(order, "a.a.a.");
    blk->ops->timer_set(blk, &a.timer, 10);
    sim_loop_destroy(loop); /* disarms */
    assert_false(a.timer.armed);
}

static void test_time_does_not_wrap(void **state)
{
    struct sim_loop *loop = loop_with((struct sim_schedule){.number = 1});
    struct blk_loop *blk = sim_loop_blk(loop);
    struct test_timer a;

    (void)state;
    init_timer(&a, loop, "a");
    sim_loop_sleep(loop, 100);
    blk->ops->timer_set(blk, &a.timer, UINT64_MAX);
    sim_loop_sleep(loop, 1000);
    assert_string_equal(order, "");
    sim_loop_sleep(loop, UINT64_MAX);
    assert_string_equal(order, "a.");
    sim_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifo_delivers_in_order_of_submission),
        cmocka_unit_test(test_seeded_schedules_repeat_and_differ),
        cmocka_unit_test(test_seed_and_number_do_not_cancel_out),
        cmocka_unit_test(test_a_run_replays_from_its_choices),
        cmocka_unit_test(test_a_script_goes_on_with_zeros_and_stays_in_range),
        cmocka_unit_test(test_scripts_reach_every_order),
        cmocka_unit_test(test_choices_are_capped),
        cmocka_unit_test(test_drop_forgets_one_owner_only),
        cmocka_unit_test(test_timers_fire_by_deadline_then_arming),
        cmocka_unit_test(test_a_timer_may_arm_itself_again),
        cmocka_unit_test(test_time_does_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
