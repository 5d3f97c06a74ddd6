/* bench_states.c: how many crash states a second, by plain enumeration on one core.
 *
 *     bench_states [--json FILE] [--seconds S] [--qemu DIR] SCENARIO.scn
 *
 * One state is one full recovery by the real engine: open, both checks, every sector of every touched guest cluster (and
 * of one that nobody touched) read and held against its promise. States are those of the scenario's biggest crash space
 * in Gray order, each differing from the one before in one sector; the small space is gone through again and again, of
 * the big one (64 KiB clusters) a prefix is enough.
 *
 * Beside it, in the same run, what one does without a simulator: each state is written to a file in DIR, checked by
 * `qemu-img check`, and read back whole: `qemu-img convert` into a raw file, which is read. (qemu-io would not hand out
 * the bytes that are to be judged.)
 *
 * Allocations are counted by malloc itself. System calls are counted by not surviving one: the same loop is run in a
 * child under a seccomp filter that lets nothing but the exit through.
 */
#include "tests/bench/bench_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "simdisk/xalloc.h"

extern char **environ;

enum { ROUNDS = 10, BASELINE_STATES = 40, BASELINE_ROUNDS = 3 };

/* cow-partial.scn, moved to where the second cluster is now. */
static const char default_geometry[] = "image   size=1M cluster=64K table=4\n"
                                       "backing size=1M\n"
                                       "prepare write 0 64K\n"
                                       "write   66048 512\n"
                                       "flush\n";

static void count_violation(void *opaque, const struct violation *v)
{
    (void)v;
    ++*(uint64_t *)opaque;
}

/* --- the loop ------------------------------------------------------------------------------------------------------ */

typedef void judge_fn(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *report, void *opaque);

struct loop {
    struct bench_run *run;
    struct crash_enum *states;
    judge_fn *judge;
    uint64_t violations;
};

static void next_state(struct loop *l)
{
    if (!crash_enum_next(l->states))
        crash_enum_next(l->states); /* and back the way it came */
}

static void go_through(struct loop *l, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        l->judge(l->run->judge, l->run->disk, crash_state_when(l->run->space, crash_enum_state(l->states)),
                 count_violation, &l->violations);
        next_state(l);
    }
}

/* States in about so many seconds, known from a short run, which warms the pools up too. */
static uint64_t calibrate(struct loop *l, double seconds)
{
    uint64_t count = 64;
    for (;;) {
        double start = bench_now();
        go_through(l, count);
        double took = bench_now() - start;
        if (took > 0.05)
            return (uint64_t)((double)count * seconds / took) + 1;
        count *= 2;
    }
}

/* The best of some rounds: what disturbs a run only ever slows it down. */
static double best_rate(struct loop *l, double seconds, uint64_t *count, double *mallocs)
{
    double best = 0;
    *count = calibrate(l, seconds / ROUNDS);
    uint64_t before = bench_mallocs();
    for (int i = 0; i < ROUNDS; i++) {
        double start = bench_now();
        go_through(l, *count);
        double rate = (double)*count / (bench_now() - start);
        best = rate > best ? rate : best;
    }
    *mallocs = (double)(bench_mallocs() - before) / (double)(*count * ROUNDS);
    return best;
}

/* --- no system call ------------------------------------------------------------------------------------------------ */

static bool allow_only_exit(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

enum proof { PROOF_NONE, PROOF_CLEAN, PROOF_KILLED };

static enum proof run_without_syscalls(struct loop *l, uint64_t count)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return PROOF_NONE;
    if (!pid) {
        if (!allow_only_exit())
            _exit(2);
        go_through(l, count);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid)
        return PROOF_NONE;
    if (WIFSIGNALED(status))
        return PROOF_KILLED;
    return WEXITSTATUS(status) ? PROOF_NONE : PROOF_CLEAN;
}

/* --- the baseline -------------------------------------------------------------------------------------------------- */

static bool spawn_and_wait(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int ret = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    /* A broken image is checked with exit 2 or 3, which is an answer too. */
    return !ret && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) != 127;
}

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static bool write_file(const char *path, const uint8_t *bytes, uint64_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool good = write(fd, bytes, length) == (ssize_t)length;
    return !close(fd) && good;
}

/* A state that cannot be converted leaves a short file, or none. */
static bool read_file(const char *path, uint8_t *bytes, uint64_t length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    bool good = read(fd, bytes, length) >= 0;
    return !close(fd) && good;
}

/* The disk as it stands, into a file. */
static bool write_out(struct bench_run *b, const char *path)
{
    struct blockdev *blk = crash_disk_blk(b->disk);
    uint64_t length;
    int ret = blk->ops->length(blk, 1, &length);
    if (ret)
        return false;
    length = (length + BLK_SECTOR_BYTES - 1) & ~(uint64_t)(BLK_SECTOR_BYTES - 1);
    struct iovec iov = {.iov_base = xmalloc(length), .iov_len = length};
    blk->ops->readv(blk, 0, &iov, 1, take_ret, &ret);
    bool good = !ret && write_file(path, iov.iov_base, length);
    free(iov.iov_base);
    return good;
}

static bool write_backing(struct bench_run *b, const char *path)
{
    struct run_backing *from = &b->recording.backing;
    uint8_t *bytes = xmalloc(from->length_bytes);
    if (from->pages)
        sim_pages_read(from->pages, 0, bytes, from->length_bytes);
    bool good = !from->pages || write_file(path, bytes, from->length_bytes);
    free(bytes);
    return good;
}

/* States a second; 0 if QEMU's tools cannot be run. */
static double baseline_round(struct loop *l, const char *dir)
{
    char image[512], backing[512], raw[512];
    snprintf(image, sizeof(image), "%s/state.qed", dir);
    snprintf(backing, sizeof(backing), "%s/%s", dir, RUN_BACKING_NAME);
    snprintf(raw, sizeof(raw), "%s/state.raw", dir);
    char *check[] = {"qemu-img", "check", "-q", "-f", "qed", image, NULL};
    char *convert[] = {"qemu-img", "convert", "-f", "qed", "-O", "raw", image, raw, NULL};
    uint8_t *bytes = xmalloc(l->run->scenario->image_bytes);
    bool good = write_backing(l->run, backing);
    double start = bench_now();
    for (int i = 0; i < BASELINE_STATES && good; i++) {
        good = write_out(l->run, image) && spawn_and_wait(check) && spawn_and_wait(convert) &&
               read_file(raw, bytes, l->run->scenario->image_bytes);
        next_state(l);
    }
    double rate = BASELINE_STATES / (bench_now() - start);
    unlink(image);
    unlink(backing);
    unlink(raw);
    free(bytes);
    return good ? rate : 0;
}

static double baseline_rate(struct loop *l, const char *dir)
{
    double best = 0;
    for (int i = 0; i < BASELINE_ROUNDS; i++) {
        double rate = baseline_round(l, dir);
        best = rate > best ? rate : best;
    }
    return best;
}

/* --- saying -------------------------------------------------------------------------------------------------------- */

struct geometry {
    const char *name;
    const char *text; /* NULL: the scenario file as it is */
    double target_rate;
    bool target_ratio;
};

static void say_rate(const struct geometry *g, const char *what, double rate, double target, const struct loop *l,
                     uint64_t count)
{
    char name[96], text[32], how[320];
    snprintf(name, sizeof(name), "states/s %s %s", what, g->name);
    snprintf(text, sizeof(text), ">= %.0f", target);
    snprintf(how, sizeof(how),
             "cow-partial, design v2, disk ssd: its biggest epoch, 2^%.0f states; %" PRIu64
             " steps in Gray order, best of %d rounds; %" PRIu64 " violations seen",
             l->run->states_log2, count, ROUNDS, l->violations);
    bench_say(&(struct bench_number){.name = name,
                                     .value = rate,
                                     .unit = "1/s",
                                     .target = target > 0 ? text : NULL,
                                     .met = target > 0 ? rate >= target : -1,
                                     .how = how});
}

static void say_nothing_used(const struct geometry *g, struct loop *l, uint64_t count, double mallocs)
{
    char name[96], how[200];
    snprintf(name, sizeof(name), "malloc+free per state %s", g->name);
    bench_say(&(struct bench_number){.name = name,
                                     .value = mallocs,
                                     .unit = "calls",
                                     .target = "0",
                                     .met = mallocs == 0,
                                     .how = "counted by the program's own malloc, over all rounds above"});
    enum proof proof = run_without_syscalls(l, count);
    snprintf(name, sizeof(name), "system calls per state %s", g->name);
    snprintf(how, sizeof(how), "%" PRIu64 " states in a child under a seccomp filter that kills at any call: %s", count,
             proof == PROOF_CLEAN    ? "it lived"
             : proof == PROOF_KILLED ? "KILLED"
                                     : "seccomp is not available here, NOT MEASURED");
    bench_say(&(struct bench_number){.name = name,
                                     .value = proof == PROOF_KILLED,
                                     .unit = "calls",
                                     .target = "0",
                                     .met = proof == PROOF_NONE ? -1 : proof == PROOF_CLEAN,
                                     .how = how});
}

static void say_baseline(const struct geometry *g, struct loop *l, double rate, const char *dir)
{
    char name[96], how[200];
    double baseline = baseline_rate(l, dir);
    if (baseline <= 0) {
        printf("  baseline %s: skipped, qemu-img does not run\n", g->name);
        return;
    }
    snprintf(name, sizeof(name), "baseline states/s %s", g->name);
    snprintf(how, sizeof(how),
             "%d states, best of %d rounds: file written to %s, qemu-img check, qemu-img convert to raw, that read",
             BASELINE_STATES, BASELINE_ROUNDS, dir);
    bench_say(&(struct bench_number){.name = name, .value = baseline, .unit = "1/s", .met = -1, .how = how});
    snprintf(name, sizeof(name), "ratio to baseline %s", g->name);
    bench_say(&(struct bench_number){.name = name,
                                     .value = rate / baseline,
                                     .unit = "x",
                                     .target = g->target_ratio ? ">= 4000" : NULL,
                                     .met = g->target_ratio ? rate / baseline >= 4000 : -1,
                                     .how = "the two rates above, measured in this run"});
}

static void bench_geometry(const struct geometry *g, const char *path, double seconds, const char *dir)
{
    struct bench_run run;
    if (g->text)
        bench_open_text(&run, g->text, "v2", NULL);
    else
        bench_open_file(&run, path, "v2", NULL);
    struct loop l = {.run = &run, .states = crash_enum_create(run.space, run.disk), .judge = judge_state_once};
    uint64_t count;
    double mallocs, rate = best_rate(&l, seconds, &count, &mallocs);
    say_rate(g, "once", rate, g->target_rate, &l, count);
    say_nothing_used(g, &l, count, mallocs);
    if (dir)
        say_baseline(g, &l, rate, dir);
    l.judge = judge_state;
    l.violations = 0;
    rate = best_rate(&l, seconds, &count, &mallocs);
    say_rate(g, "with second lives", rate, 0, &l, count);
    crash_enum_destroy(l.states);
    bench_close(&run);
}

int main(int argc, char **argv)
{
    static const struct geometry geometries[] = {{"4K/2", NULL, 200000, true},
                                                 {"64K/4", default_geometry, 10000, false}};
    const char *path = NULL, *dir = NULL;
    double seconds = 4;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--json") && i + 1 < argc)
            bench_json_open(argv[++i]);
        else if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (!strcmp(argv[i], "--qemu") && i + 1 < argc)
            dir = argv[++i];
        else
            path = argv[i];
    if (!path) {
        fprintf(stderr, "usage: bench_states [--json FILE] [--seconds S] [--qemu DIR] SCENARIO.scn\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(geometries) / sizeof(geometries[0]); i++)
        bench_geometry(&geometries[i], path, seconds, dir);
    return bench_all_met() ? 0 : 1;
}
