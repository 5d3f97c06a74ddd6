/* demonstrate.c: see demonstrate.h. */
#include "harness/demonstrate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/id.h"
#include "harness/qemu_bench.h"
#include "harness/qemu_io.h"
#include "harness/target.h"
#include "oracle/tag.h"
#include "scenarios/replay.h"

#define SECTOR      BLK_SECTOR_BYTES
#define NEAR_BYTE   0x33
#define BESIDE_BYTE 0x77

struct show {
    FILE *out;
    const struct scenario *scenario;
    uint64_t sector, beside, near; /* UINT64_MAX: none */
    struct qemu_bench *bench;
    struct qemu_io io;
    char path[PATH_MAX], options[QEMU_OPTIONS_MAX];
    struct scn_error *err;
};

/* What a read gave. */
struct seen {
    bool read;
    uint8_t bytes[SECTOR];
    char text[96];
};

/* --- QEMU ---------------------------------------------------------------------------------------------------------- */

/* Each line of what it said, but for the scratch file's name. */
static void print_answer(const struct show *s, const char *answer)
{
    for (const char *line = answer; *line;) {
        size_t length = strcspn(line, "\n");
        const char *name = length ? strstr(line, s->options) : NULL;
        if (name && name < line + length)
            fprintf(s->out, "      %.*scrashed%.*s\n", (int)(name - line), line,
                    (int)(line + length - name - strlen(s->options)), name + strlen(s->options));
        else if (length)
            fprintf(s->out, "      %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static int fail(const struct show *s, const char *what, int ret)
{
    snprintf(s->err->text, sizeof(s->err->text), "%s: %s", what, strerror(-ret));
    return ret;
}

static int check(struct show *s)
{
    char answer[4096];
    char *argv[] = {"qemu-img", "check", "-T", "unsafe", "--image-opts", s->options, NULL};
    int status = 0, ret = qemu_program(NULL, argv, answer, sizeof(answer), &status);
    if (ret)
        return fail(s, "qemu-img check", ret);
    char *statistics = strstr(answer, "Image end offset");
    if (statistics)
        *statistics = 0;
    fprintf(s->out, "    $ qemu-img check crashed      (exit status %d)\n", WEXITSTATUS(status));
    print_answer(s, answer);
    return 0;
}

/* 0; -EPIPE and so on when qemu-io is gone: then that is what there is to show. */
static int ask(struct show *s, const char *command)
{
    char line[QEMU_OPTIONS_MAX + 64];
    snprintf(line, sizeof(line), "%s\n", command);
    int ret = s->io.child ? qemu_io_ask(&s->io, line) : -EPIPE;
    return ret;
}

static int command(struct show *s, const char *words)
{
    int ret = ask(s, words);
    fprintf(s->out, "    qemu-io> %s\n", words);
    if (ret)
        fputs("      (qemu-io died)\n", s->out);
    char *statistics = ret ? NULL : strstr(s->io.answer, " ops; ");
    while (statistics && statistics > s->io.answer && statistics[-1] != '\n')
        statistics--;
    if (statistics)
        *statistics = 0; /* how long it took differs from time to time */
    if (!ret)
        print_answer(s, s->io.answer);
    return ret;
}

static void describe(const struct show *s, uint64_t sector, struct seen *seen)
{
    uint8_t tagged[SECTOR];
    struct tag tag;
    if (seen->bytes[0] && !memcmp(seen->bytes, seen->bytes + 1, SECTOR - 1) &&
        (seen->bytes[0] == NEAR_BYTE || seen->bytes[0] == BESIDE_BYTE)) {
        snprintf(seen->text, sizeof(seen->text), "what it wrote to sector %" PRIu64 " just now",
                 seen->bytes[0] == NEAR_BYTE ? s->near : s->beside);
        return;
    }
    memcpy(tagged, seen->bytes, SECTOR);
    replay_tag_sector(s->scenario->replay, sector, tagged);
    tag_identify(tagged, &tag);
    tag_describe(&tag, seen->text, sizeof(seen->text));
}

static struct seen read_sector(struct show *s, uint64_t sector)
{
    struct seen seen = {.text = "an error"};
    char words[64];
    snprintf(words, sizeof(words), "read -v %" PRIu64 " %u", sector * SECTOR, SECTOR);
    int ret = ask(s, words);
    fprintf(s->out, "    qemu-io> %s\n", words);
    if (ret) {
        fputs("      (qemu-io died)\n", s->out);
        return seen;
    }
    seen.read = qemu_take_dump(s->io.answer, seen.bytes, SECTOR) == SECTOR;
    if (seen.read)
        describe(s, sector, &seen);
    char *end = strchr(s->io.answer, '\n');
    if (end)
        *end = 0; /* sixteen bytes are enough */
    print_answer(s, s->io.answer);
    if (seen.read)
        fprintf(s->out, "      sector %" PRIu64 ": %s\n", sector, seen.text);
    return seen;
}

static void write_sector(struct show *s, uint64_t sector, unsigned byte)
{
    char words[64];
    snprintf(words, sizeof(words), "write -P 0x%x %" PRIu64 " %u", byte, sector * SECTOR, SECTOR);
    command(s, words);
    command(s, "flush");
}

/* True if it opened. */
static bool open_again(struct show *s)
{
    char words[QEMU_OPTIONS_MAX + 32];
    snprintf(words, sizeof(words), "open -t unsafe -o %s", s->options);
    int ret = ask(s, words);
    fputs("    qemu-io> open crashed\n", s->out);
    if (ret)
        return false;
    print_answer(s, s->io.answer);
    return !strstr(s->io.answer, "can't open");
}

/* --- the second life ----------------------------------------------------------------------------------------------- */

static bool changed(const struct seen *was, const struct seen *is)
{
    return was->read != is->read || (was->read && memcmp(was->bytes, is->bytes, SECTOR) != 0);
}

static void tell_change(const struct show *s, uint64_t written, const struct seen *was, const struct seen *is)
{
    if (changed(was, is))
        fprintf(s->out,
                "    => A write to sector %" PRIu64 " changed sector %" PRIu64
                ": before the guest read there %s, now it reads "
                "%s.\n",
                written, s->sector, was->text, is->text);
}

/* Beside: somewhere else. Near: another sector of the same cluster. */
static void live(struct show *s)
{
    struct seen first = read_sector(s, s->sector), then = first, now, other;
    if (s->beside != UINT64_MAX) {
        write_sector(s, s->beside, BESIDE_BYTE);
        then = read_sector(s, s->sector);
        tell_change(s, s->beside, &first, &then);
    }
    write_sector(s, s->near, NEAR_BYTE);
    now = read_sector(s, s->sector);
    tell_change(s, s->near, &then, &now);
    if (s->beside != UINT64_MAX) {
        other = read_sector(s, s->beside);
        if (other.bytes[0] != BESIDE_BYTE)
            fprintf(s->out,
                    "    => A write to sector %" PRIu64 " changed sector %" PRIu64 ": the guest reads there %s.\n",
                    s->near, s->beside, other.text);
    }
    command(s, "close");
    if (!open_again(s))
        return;
    other = read_sector(s, s->near);
    if (!other.read || other.bytes[0] != NEAR_BYTE)
        fprintf(s->out, "    => The guest wrote to sector %" PRIu64 " and flushed, and reads there %s.\n", s->near,
                other.text);
    command(s, "close");
}

static int show(struct show *s)
{
    int ret = check(s);
    if (ret || (ret = qemu_io_start(&s->io, NULL, NULL)))
        return ret == -ETIMEDOUT || ret == -EPIPE ? fail(s, "qemu-io", ret) : ret;
    if (open_again(s)) {
        if (s->sector != UINT64_MAX)
            live(s);
        else
            command(s, "close");
    }
    qemu_io_stop(&s->io);
    return check(s);
}

/* --- the state ----------------------------------------------------------------------------------------------------- */

static bool is_touched(const struct scenario *s, uint64_t first_bytes)
{
    for (size_t i = 0; i < s->stmt_count; i++) {
        const struct scn_stmt *st = &s->stmts[i];
        bool place = st->op == SCN_WRITE || st->op == SCN_ZERO || st->op == SCN_DISCARD;
        if (place && st->offset < first_bytes + s->cluster_bytes && st->offset + st->length > first_bytes)
            return true;
    }
    return false;
}

/* In the last cluster that no operation of the guest touched, most likely one that is not there yet: as far in as near. */
static uint64_t find_beside(const struct scenario *s, uint64_t near)
{
    uint64_t sectors = s->cluster_bytes / SECTOR;
    for (uint64_t at = s->image_bytes / s->cluster_bytes * s->cluster_bytes; at >= s->cluster_bytes;) {
        at -= s->cluster_bytes;
        if (!is_touched(s, at) && near / sectors != at / s->cluster_bytes)
            return at / SECTOR + near % sectors;
    }
    return UINT64_MAX;
}

/* The next sector of its cluster. */
static uint64_t find_near(const struct scenario *s, uint64_t sector)
{
    uint64_t sectors = s->cluster_bytes / SECTOR;
    return sector / sectors * sectors + (sector + 1) % sectors;
}

static int look(void *opaque, const struct cell_state *state, struct scn_error *err)
{
    struct show *s = opaque;
    uint64_t backing_bytes;
    struct sim_pages *backing = replay_backing(s->scenario->replay, &backing_bytes);
    const struct qemu_questions q = {.format = replay_format(s->scenario->replay),
                                     .backing = backing,
                                     .backing_bytes = backing_bytes,
                                     .beside = QEMU_NO_SECTOR,
                                     .jobs = 1};
    int ret = -EIO;
    s->err = err;
    s->bench = qemu_bench_create(&q, err->text, sizeof(err->text));
    if (s->bench && qemu_bench_file(s->bench, crash_disk_blk(state->disk), s->path, s->options))
        snprintf(err->text, sizeof(err->text), "%s", qemu_bench_error(s->bench));
    else if (s->bench)
        ret = show(s);
    qemu_bench_destroy(s->bench);
    if (backing)
        sim_pages_destroy(backing);
    return ret;
}

int demonstrate(const char *text, uint64_t guest_sector, const struct cell_options *options, FILE *out,
                struct scn_error *err)
{
    struct finding_id id;
    struct target target;
    struct cell_options o = *options;
    if (!id_parse(text, &id, err->text, sizeof(err->text)))
        return -EINVAL;
    int ret = target_load(&id, &target, err);
    if (!ret && !target.scenario->replay) {
        snprintf(err->text, sizeof(err->text), "%.200s is no recording", text);
        ret = -EINVAL;
        target_free(&target);
    }
    if (!ret) {
        struct show s = {.out = out, .scenario = target.scenario, .sector = guest_sector};
        s.near = find_near(target.scenario, guest_sector);
        s.beside = find_beside(target.scenario, s.near);
        o.id_scenario = target.name;
        o.seed = id.seed;
        fprintf(out, "on QEMU: %s\n", text);
        if (strchr(id.survivors, '/'))
            fputs("    The power fails again during recovery: that recovery is not QEMU's, so this is not shown.\n",
                  out);
        else
            ret = cell_look(target.scenario, target.design, target.disk, &o, id.point, id.survivors, look, &s, err);
        target_free(&target);
    }
    id_free(&id);
    return ret;
}
