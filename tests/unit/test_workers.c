/* The pool of workers: does each job come back once, whatever -j? Does one that dies or hangs take down its job alone?
 * Is a sign of life heard, and does nobody outlive the parent? */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/workers.h"

#define JOBS 40u

enum deed { WELL, BIG, SEGV, EXIT, HANG, SLOW };

struct bench {
    enum deed deeds[JOBS];
    size_t jobs, next, ended[3], beats;
    uint64_t sums[JOBS];
    char why[JOBS][120];
    unsigned seen[JOBS];
    size_t first_wave; /* the jobs behind these wait until they are done; 0: none does */
    size_t fail_at;    /* done() fails on this job */
    size_t ticks;
    int stop, stop_at;
};

static enum workers_more next(void *opaque, size_t *job, struct bytes *request)
{
    struct bench *b = opaque;
    if (b->next == b->jobs)
        return WORKERS_NONE;
    size_t done = b->ended[0] + b->ended[1] + b->ended[2];
    if (b->first_wave && b->next == b->first_wave && done < b->first_wave)
        return WORKERS_WAIT;
    *job = b->next++;
    bytes_put_u64(request, *job * 3);
    return WORKERS_JOB;
}

static void job(void *opaque, struct workers_self *self, size_t number, const uint8_t *request, size_t size,
                struct bytes *result)
{
    struct bench *b = opaque;
    struct bytes_reader r = {request, size, false};
    uint64_t three = bytes_take_u64(&r);
    switch (b->deeds[number]) {
    case WELL:
        break;
    case BIG:
        for (int i = 0; i < 300000; i++)
            bytes_put_u64(result, 0);
        break;
    case SEGV:
        signal(SIGSEGV, SIG_DFL); /* cmocka catches it */
        raise(SIGSEGV);
        break;
    case EXIT:
        _exit(7);
    case HANG:
        pause();
        break;
    case SLOW: /* longer than the timeout, with signs of life */
        for (int i = 0; i < 35; i++) {
            usleep(100000);
            workers_beat(self, (uint64_t)i);
        }
        break;
    }
    bytes_put_u64(result, three + number);
}

static int done(void *opaque, const struct workers_result *result)
{
    struct bench *b = opaque;
    b->seen[result->job]++;
    b->ended[result->end]++;
    snprintf(b->why[result->job], sizeof(b->why[0]), "%s", result->why);
    if (result->end == WORKERS_DONE) {
        struct bytes_reader r = {result->data, result->size, false};
        while (r.left && !r.bad)
            b->sums[result->job] = bytes_take_u64(&r);
        assert_false(r.bad);
    }
    if (b->stop_at && b->ended[0] == (size_t)b->stop_at)
        b->stop = 1;
    return b->fail_at && result->job == b->fail_at ? -ENOSPC : 0;
}

static void beat(void *opaque, size_t number, uint64_t progress)
{
    struct bench *b = opaque;
    assert_true(b->deeds[number] == SLOW && progress < 35);
    b->beats++;
}

static void tick(void *opaque)
{
    ((struct bench *)opaque)->ticks++;
}

static int run(struct bench *b, unsigned count, unsigned timeout_s)
{
    struct workers_options o = {.count = count,
                                .timeout_s = timeout_s,
                                .stop = &b->stop,
                                .opaque = b,
                                .next = next,
                                .job = job,
                                .done = done,
                                .beat = beat,
                                .tick = tick};
    return workers_run(&o);
}

/* All but the given number of jobs ended well, with the right result; each ended once. */
static void check(const struct bench *b, size_t died, size_t hung)
{
    assert_int_equal(b->ended[WORKERS_DIED], died);
    assert_int_equal(b->ended[WORKERS_HUNG], hung);
    assert_int_equal(b->ended[WORKERS_DONE], b->jobs - died - hung);
    for (size_t i = 0; i < b->jobs; i++) {
        assert_int_equal(b->seen[i], 1);
        if (!b->why[i][0])
            assert_int_equal(b->sums[i], i * 4);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
    assert_int_equal(errno, ECHILD);
}

static void each_job_comes_back_once(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= 7; count += 3) {
        struct bench b = {.jobs = JOBS};
        b.deeds[5] = b.deeds[6] = BIG; /* more than a socket holds */
        assert_int_equal(run(&b, count, 0), 0);
        check(&b, 0, 0);
        assert_true(b.ticks > 0);
    }
}

static void no_jobs_are_no_error(void **state)
{
    (void)state;
    struct bench b = {0};
    assert_int_equal(run(&b, 3, 0), 0);
    check(&b, 0, 0);
}

static void a_death_takes_its_job_alone(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= 4; count += 3) {
        struct bench b = {.jobs = JOBS};
        b.deeds[0] = b.deeds[1] = b.deeds[17] = b.deeds[JOBS - 1] = SEGV;
        b.deeds[9] = EXIT;
        assert_int_equal(run(&b, count, 0), 0);
        check(&b, 5, 0);
        assert_non_null(strstr(b.why[17], "was killed by signal 11"));
        assert_string_equal(b.why[9], "ended with exit status 7");
    }
}

static void a_hang_ends_and_signs_of_life_count(void **state)
{
    (void)state;
    struct bench b = {.jobs = 6};
    b.deeds[1] = HANG;
    b.deeds[2] = SLOW;
    assert_int_equal(run(&b, 3, 2), 0);
    check(&b, 0, 1);
    assert_string_equal(b.why[1], "gave no sign of life for 2 s and was killed");
    assert_true(b.beats >= 2);
}

static void a_job_may_wait_for_others(void **state)
{
    (void)state;
    struct bench b = {.jobs = JOBS, .first_wave = 3};
    b.deeds[2] = SEGV;
    assert_int_equal(run(&b, 4, 0), 0);
    check(&b, 1, 0);
}

static void stopping_leaves_nobody(void **state)
{
    (void)state;
    struct bench b = {.jobs = JOBS, .stop_at = 2};
    b.deeds[0] = b.deeds[3] = HANG;
    assert_int_equal(run(&b, 3, 0), -EINTR);
    assert_true(b.next < JOBS);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    struct bench f = {.jobs = JOBS, .fail_at = 4};
    f.deeds[0] = HANG;
    assert_int_equal(run(&f, 2, 0), -ENOSPC);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* The parent is killed with a worker at work: the worker's end of the pipe closes. */
static void workers_die_with_their_parent(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct bench b = {.jobs = 2};
        b.deeds[0] = b.deeds[1] = HANG;
        close(ends[0]);
        run(&b, 2, 0);
        _exit(0);
    }
    close(ends[1]);
    usleep(200000);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    alarm(20);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* at once, or the alarm tells */
    alarm(0);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_job_comes_back_once),      cmocka_unit_test(no_jobs_are_no_error),
        cmocka_unit_test(a_death_takes_its_job_alone),   cmocka_unit_test(a_hang_ends_and_signs_of_life_count),
        cmocka_unit_test(a_job_may_wait_for_others),     cmocka_unit_test(stopping_leaves_nobody),
        cmocka_unit_test(workers_die_with_their_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
