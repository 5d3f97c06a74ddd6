/* guest_states.c: crash states of a recording, each shown to somebody who knows the file system.
 *
 *     guest_states DIR COUNT SEED SCRATCH CHECKER...   samples COUNT states a crash space; our engine (design upstream)
 *                                                      recovers, the guest's disk is written to SCRATCH, and "CHECKER...
 *                                                      SCRATCH ENTRIES" is run, ENTRIES of the log having completed
 *     guest_states --count LOG                         the entries of a log that is still being written
 *     guest_states --drop-flushes LOG                  makes marks of its flushes: the planted bug
 *
 * A state whose tables stay broken after recovery is named and counted apart: that is a finding of the structure, which replay has.
 * Exit: 0 all states are fine; 1 some are not; 2 usage, or what cannot be read.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/qed.h"
#include "scenarios/replay.h"
#include "scenarios/runner.h"
#include "simdisk/crash_sample.h"
#include "simdisk/crash_space.h"
#include "simdisk/dm_log.h"
#include "simdisk/xalloc.h"

#define PIECE 65536u

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "guest_states: %s: %s\n", what, why);
    return 2;
}

/* --- logs ---------------------------------------------------------------------------------------------------------- */

static int walk_log(const char *path, bool drop, uint64_t *entries)
{
    uint8_t head[BLK_SECTOR_BYTES];
    FILE *f = fopen(path, drop ? "r+" : "r");
    if (!f)
        return complain(path, strerror(errno));
    if (drop)
        dm_log_drop_flushes(f);
    for (long at = BLK_SECTOR_BYTES; !fseek(f, at, SEEK_SET) && fread(head, sizeof(head), 1, f) == 1;
         at += (long)dm_log_entry_bytes(head))
        ++*entries;
    return fclose(f) ? complain(path, strerror(errno)) : 0;
}

/* --- states -------------------------------------------------------------------------------------------------------- */

struct showing {
    const struct recording *recording;
    struct crash_disk *disk;
    const char *scratch;
    char **checker; /* its words, with room for two more */
    size_t words;
    uint64_t states, broken, bad; /* broken: tables that recovery left so, which replay reports */
};

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

/* The guest's disk as a file. 0 or -errno. */
static int write_disk(struct qed *q, const char *path)
{
    static const uint8_t zeros[PIECE];
    uint8_t bytes[PIECE];
    FILE *f = fopen(path, "w");
    if (!f)
        return -errno;
    int ret = ftruncate(fileno(f), (off_t)qed_image_bytes(q)) ? -errno : 0;
    for (uint64_t at = 0; !ret && at < qed_image_bytes(q); at += PIECE) {
        struct iovec iov = {bytes, PIECE};
        qed_readv(q, at, &iov, 1, take_ret, &ret);
        if (!ret && memcmp(bytes, zeros, PIECE) != 0 &&
            (fseeko(f, (off_t)at, SEEK_SET) || fwrite(bytes, PIECE, 1, f) != 1))
            ret = -EIO;
    }
    return fclose(f) || ret ? -EIO : 0;
}

static bool check(struct showing *s, uint32_t when)
{
    char entries[24];
    int status;
    snprintf(entries, sizeof(entries), "%" PRIu32,
             when / 2); /* each entry is an event when it begins and one when it ends */
    s->checker[s->words] = (char *)s->scratch;
    s->checker[s->words + 1] = entries;
    pid_t child = fork();
    if (child == 0) {
        execvp(s->checker[0], s->checker);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status);
}

static void show(struct showing *s, const struct crash_space *space, const struct crash_state *state)
{
    struct qed *q;
    struct qed_error err = {""};
    const struct qed_open_options options = {.design = qed_design_find("upstream"),
                                             .backing_host = (void *)&s->recording->backing.host};
    uint32_t when = crash_state_when(space, state);
    int ret = qed_open(crash_disk_blk(s->disk), &options, &q, &err);
    s->states++;
    struct qed_check_result checked = {0};
    bool broken = !ret && !qed_check(q, false, &checked) && checked.corruptions;
    bool good = broken || (!ret && !write_disk(q, s->scratch) && check(s, when));
    s->broken += broken;
    if (!ret)
        qed_abandon(q);
    if (good && !broken)
        return;
    char *text = crash_state_text(space, state);
    printf("%s: crash point %" PRIu32 ", %" PRIu32 " entries, survivors %.100s %s\n", broken ? "broken tables" : "bad",
           when, when / 2, text, err.text);
    free(text);
    s->bad += !good;
}

static int show_all(struct showing *s, const struct scenario *scenario, uint64_t count, uint64_t seed)
{
    const struct run_options options = {.design = qed_design_find("upstream"), .disk = sim_disk_model_find("ssd")};
    struct recording recording;
    struct crash_space *space;
    if (scenario_record(scenario, &options, &recording, NULL))
        return complain(scenario->path, "cannot be played");
    s->recording = &recording;
    s->disk = crash_disk_create();
    struct crash_walk *walk = crash_walk_create(recording.history, options.disk, false);
    while ((space = crash_walk_next(walk))) {
        crash_disk_load(s->disk, space, NULL);
        struct crash_sample *e = crash_sample_create(space, s->disk, seed++, count);
        do
            show(s, space, crash_sample_state(e));
        while (crash_sample_next(e));
        crash_sample_destroy(e);
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    crash_disk_destroy(s->disk);
    recording_free(&recording);
    printf("%" PRIu64 " states: %" PRIu64 " with broken tables, of the others %" PRIu64 " bad\n", s->states, s->broken,
           s->bad);
    return s->bad ? 1 : 0;
}

int main(int argc, char **argv)
{
    uint64_t entries = 0;
    if (argc == 3 && !strcmp(argv[1], "--drop-flushes"))
        return walk_log(argv[2], true, &entries);
    if (argc == 3 && !strcmp(argv[1], "--count")) {
        int code = walk_log(argv[2], false, &entries);
        printf("%" PRIu64 "\n", entries);
        return code;
    }
    if (argc < 6)
        return complain("usage", "guest_states DIR COUNT SEED SCRATCH CHECKER... | --count LOG | --drop-flushes LOG");
    struct scenario *scenario;
    struct scn_error err = {""};
    if (replay_load(argv[1], &scenario, &err))
        return complain(argv[1], err.text);
    struct showing s = {.scratch = argv[4], .words = (size_t)argc - 5};
    s.checker = xcalloc(s.words + 3, sizeof(*s.checker));
    memcpy(s.checker, argv + 5, s.words * sizeof(*s.checker));
    int code = show_all(&s, scenario, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    free(s.checker);
    scenario_free(scenario);
    return code;
}
