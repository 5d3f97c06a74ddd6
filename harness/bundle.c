/* bundle.c: see bundle.h. */
#include "harness/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/design_text.h"
#include "harness/guest_lines.h"
#include "harness/recovery.h"
#include "scenarios/replay.h"
#include "simdisk/crash_disk.h"
#include "simdisk/dm_log.h"
#include "simdisk/iov.h"
#include "simdisk/xalloc.h"

#define PIECE 65536u

/* --- files --------------------------------------------------------------------------------------------------------- */

struct file {
    const struct bundle *b;
    const char *name;
    char path[PATH_MAX];
    FILE *out;
};

static int cannot_write(const struct file *f, int why, struct scn_error *err)
{
    snprintf(err->text, sizeof(err->text), "cannot write %.200s: %s", f->path, strerror(why));
    return -why;
}

static int file_open(const struct bundle *b, const char *name, struct file *f, struct scn_error *err)
{
    f->b = b;
    f->name = name;
    snprintf(f->path, sizeof(f->path), "%s/%s", b->directory, name);
    f->out = fopen(f->path, "wx");
    return f->out ? 0 : cannot_write(f, errno, err);
}

static int file_close(struct file *f, struct scn_error *err)
{
    bool bad = ferror(f->out);
    if (fclose(f->out) || bad)
        return cannot_write(f, errno ? errno : EIO, err);
    return 0;
}

static int write_text(const struct bundle *b, const char *name, const char *text, struct scn_error *err)
{
    struct file f;
    int ret = file_open(b, name, &f, err);
    if (ret)
        return ret;
    fputs(text, f.out);
    return file_close(&f, err);
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, length - 1);
}

/* Leaves holes where there are zeros. read: fills buf with length bytes from offset. */
static int write_sparse(const struct bundle *b, const char *name, uint64_t length,
                        void (*read)(void *opaque, uint64_t offset, uint8_t *buf, size_t length), void *opaque,
                        struct scn_error *err)
{
    struct file f;
    uint8_t *piece = xmalloc(PIECE);
    int ret = file_open(b, name, &f, err);
    for (uint64_t at = 0; !ret && at < length; at += PIECE) {
        size_t n = length - at < PIECE ? (size_t)(length - at) : PIECE;
        read(opaque, at, piece, n);
        if (!is_zero(piece, n) && (fseeko(f.out, (off_t)at, SEEK_SET) || fwrite(piece, n, 1, f.out) != 1))
            break; /* the stream remembers */
    }
    free(piece);
    if (ret)
        return ret;
    if (!fflush(f.out) && ftruncate(fileno(f.out), (off_t)length)) {
        ret = cannot_write(&f, errno, err);
        fclose(f.out);
        return ret;
    }
    return file_close(&f, err);
}

static void read_pages(void *opaque, uint64_t offset, uint8_t *buf, size_t length)
{
    sim_pages_read(opaque, offset, buf, length);
}

static void ignore_ret(void *opaque, int ret)
{
    (void)opaque;
    (void)ret; /* a crashed disk completes inline, and does not fail */
}

static void read_device(void *opaque, uint64_t offset, uint8_t *buf, size_t length)
{
    struct blockdev *dev = opaque;
    struct iovec iov = {.iov_base = buf, .iov_len = length};
    dev->ops->readv(dev, offset, &iov, 1, ignore_ret, NULL);
}

static int write_device(const struct bundle *b, const char *name, struct blockdev *dev, struct scn_error *err)
{
    uint64_t length = 0;
    int ret = dev->ops->length(dev, BLK_SECTOR_BYTES, &length);
    if (ret) {
        snprintf(err->text, sizeof(err->text), "the crashed disk does not tell its length: %s", strerror(-ret));
        return ret;
    }
    return write_sparse(b, name, length, read_device, dev, err);
}

/* --- the texts ----------------------------------------------------------------------------------------------------- */

char *bundle_id(const struct finding_id *id)
{
    const struct sim_schedule schedule = {
        .number = id->schedule, .seed = id->seed, .script = id->script, .script_len = id->script_len};
    return id_format_schedule(BUNDLE_SCENARIO, BUNDLE_DESIGN, id->disk, &schedule, true, id->point, id->survivors);
}

/* Without its expectations: they speak of other designs, and of files that are not here. */
static int write_scenario(const struct bundle *b, struct scn_error *err)
{
    struct scenario plain = *b->target->scenario;
    struct file f;
    int ret = file_open(b, "scenario.scn", &f, err);
    if (ret)
        return ret;
    plain.expect_count = 0;
    scenario_print(&plain, f.out);
    return file_close(&f, err);
}

static int write_design(const struct bundle *b, struct scn_error *err)
{
    const struct qed_design *d = b->target->design;
    char word[64];
    struct file f;
    int ret = file_open(b, "policy.design", &f, err);
    if (ret)
        return ret;
    fprintf(f.out, "# %s\nbase %s\n", d->summary ? d->summary : "", qed_designs[0].name);
    for (unsigned i = 0; i < QED_FIELD_COUNT; i++)
        fprintf(f.out, "%s %s\n", qed_design_field_name(i), qed_design_value_name(i, d->value[i], word));
    fprintf(f.out, "clear_timer_ms %" PRIu32 "\n", d->clear_timer_ms);
    return file_close(&f, err);
}

static void print_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        fputs(*text == '\'' ? "'\\''" : (char[]){*text, 0}, out);
    fputc('\'', out);
}

static int write_script(const struct bundle *b, const char *id, struct scn_error *err)
{
    struct file f;
    int ret = file_open(b, "repro.sh", &f, err);
    if (ret)
        return ret;
    fputs("#!/bin/sh\n"
          "# Shows the finding again. Needs qedcrash ($QEDCRASH, or in PATH); qemu-img is asked too where it is.\n"
          "# Exit: 0 the finding is there, 1 it is not, 2 no qedcrash. Changes no file here.\n"
          "cd \"$(dirname \"$0\")\" || exit 2\n"
          "q=${QEDCRASH:-qedcrash}\n"
          "command -v \"$q\" >/dev/null || {\n"
          "    echo \"repro.sh: there is no program '$q'; set QEDCRASH to where qedcrash is\" >&2\n"
          "    exit 2\n"
          "}\n"
          "\"$q\" explain ",
          f.out);
    print_quoted(f.out, id);
    fputs("\nfound=$?\n"
          "echo\n"
          "echo 'The crashed image, as qedcrash checks it:'\n"
          "\"$q\" img check crashed.qed\n"
          "if command -v qemu-img >/dev/null; then\n"
          "    echo\n"
          "    echo 'The crashed image, as qemu-img checks it:'\n"
          "    copy=$(mktemp -d) && cp ./*.qed ./*.raw \"$copy\" 2>/dev/null\n"
          "    (cd \"$copy\" && qemu-img check -f qed crashed.qed)\n"
          "    rm -rf \"$copy\"\n"
          "fi\n"
          "[ \"$found\" -eq 1 ] && exit 0\n"
          "echo 'repro.sh: the finding was not seen again' >&2\n"
          "exit 1\n",
          f.out);
    ret = file_close(&f, err);
    if (!ret && chmod(f.path, 0755))
        ret = cannot_write(&f, errno, err);
    return ret;
}

static int write_readme(const struct bundle *b, const char *id, const struct cell_state *s, uint64_t entries,
                        uint64_t in_flight, struct scn_error *err)
{
    struct file f;
    int ret = file_open(b, "README.md", &f, err);
    if (ret)
        return ret;
    fprintf(f.out,
            "# A crash that qedcrash %s found\n\n"
            "The id was `%s`;\nwith the files of this directory it is `%s`.\n\n"
            "    ./repro.sh       shows it again; needs qedcrash, and asks qemu-img too where it is installed\n\n"
            "| file | is |\n|---|---|\n"
            "| `story.txt`, `story.json` | what happened, in words and as data |\n"
            "| `scenario.scn` | the workload: \"%s\" |\n"
            "| `policy.design` | the engine's ordering policy (design `%s`), every field |\n"
            "| `base.qed` | the image before the workload |\n",
            b->version, b->id, id, s->recording->scenario->title ? s->recording->scenario->title : "",
            b->parsed->design);
    if (s->recording->backing.pages)
        fputs("| `backing.raw` | its backing file; each sector says which it is |\n", f.out);
    fprintf(f.out,
            "| `writes.log` | what the engine wrote and flushed until the power failed: %" PRIu64
            " entries in the order of completion, the last %" PRIu64
            " in flight (dm-log-writes format, version 1; changes of the file's length are not in it) |\n"
            "| `crashed.qed` | the image as the power failure left it: disk model `%s`, crash point %" PRIu32
            ", survivors `%s` |\n"
            "| `recovered.qed` | the same after the engine opened it%s |\n"
            "| `check.json` | broken references and leaks in both, as the engine's check and an independent walk count "
            "them |\n",
            entries, in_flight, b->target->disk->name, b->parsed->point,
            *b->parsed->survivors ? b->parsed->survivors : "none",
            strchr(b->parsed->survivors, '/')
                ? ", undisturbed; the finding needs the power to fail again meanwhile, which "
                  "only `repro.sh` shows"
                : "");
    fprintf(f.out, "\n## The story\n\n```\n%s```\n", b->story);
    return file_close(&f, err);
}

/* --- the images ---------------------------------------------------------------------------------------------------- */

static void print_check(FILE *out, const struct recovery_check *c)
{
    if (c->walk_ret)
        fprintf(out, "{\"walk\": null");
    else
        fprintf(out,
                "{\"walk\": {\"marked\": %s, \"dangling\": %" PRIu64 ", \"misaligned\": %" PRIu64
                ", \"cross_linked\": %" PRIu64 ", \"leaked\": %" PRIu64 ", \"data_clusters\": %" PRIu64
                ", \"l2_tables\": %" PRIu64 "}",
                c->walk.marked ? "true" : "false", c->walk.dangling, c->walk.misaligned, c->walk.cross_linked,
                c->walk.leaked, c->walk.data_clusters, c->walk.l2_tables);
    if (c->check_ret)
        fprintf(out, ", \"check\": null}");
    else
        fprintf(out,
                ", \"check\": {\"corruptions\": %" PRIu64 ", \"leaks\": %" PRIu64 ", \"check_errors\": %" PRIu64
                ", \"allocated_clusters\": %" PRIu64 "}}",
                c->check.corruptions, c->check.leaks, c->check.check_errors, c->check.allocated_clusters);
}

static int write_checks(const struct bundle *b, const struct recovery *r, struct scn_error *err)
{
    struct file f;
    int ret = file_open(b, "check.json", &f, err);
    if (ret)
        return ret;
    fputs("{\"before\": ", f.out);
    print_check(f.out, &r->before);
    fprintf(f.out,
            ",\n \"recovery\": {\"opened\": %s, \"scanned\": %s, \"corruptions_fixed\": %" PRIu64
            ", \"writes\": %" PRIu64 ", \"flushes\": %" PRIu64 "},\n \"after\": ",
            r->open_ret ? "false" : "true", r->scanned ? "true" : "false", r->repaired.corruptions_fixed, r->writes,
            r->flushes);
    print_check(f.out, &r->after);
    fputs("}\n", f.out);
    return file_close(&f, err);
}

/* The engine opens the image, and dies. */
static int write_recovered(const struct bundle *b, const struct cell_state *s, struct scn_error *err)
{
    struct run_backing backing;
    struct qed *q;
    run_backing_init(&backing, s->recording->scenario, NULL);
    struct qed_open_options options = {.design = b->target->design, .backing_host = &backing.host};
    if (!qed_open(crash_disk_blk(s->disk), &options, &q, NULL))
        qed_abandon(q);
    int ret = write_device(b, "recovered.qed", crash_disk_blk(s->disk), err);
    crash_disk_rewind(s->disk, 0);
    run_backing_destroy(&backing);
    return ret;
}

static int write_log(const struct bundle *b, const struct cell_state *s, uint64_t *entries, uint64_t *in_flight,
                     struct scn_error *err)
{
    struct file f;
    int ret = file_open(b, "writes.log", &f, err);
    if (ret)
        return ret;
    *entries = dm_log_write(f.out, s->recording->history, b->parsed->point, in_flight);
    return file_close(&f, err);
}

static int write_images(const struct bundle *b, const struct cell_state *s, struct scn_error *err)
{
    const struct history *h = s->recording->history;
    const struct run_backing *backing = &s->recording->backing;
    int ret = write_device(b, "crashed.qed", crash_disk_blk(s->disk), err);
    if (!ret)
        ret = write_sparse(b, "base.qed", h->base_length_bytes, read_pages, h->base, err);
    if (!ret && backing->pages)
        ret = write_sparse(b, RUN_BACKING_NAME, backing->length_bytes, read_pages, backing->pages, err);
    if (!ret)
        ret = write_recovered(b, s, err);
    return ret;
}

static int write_state(void *opaque, const struct cell_state *s, struct scn_error *err)
{
    const struct bundle *b = opaque;
    struct recovery recovery;
    uint64_t entries = 0, in_flight = 0;
    char *id = bundle_id(b->parsed);
    recovery_watch(s->disk, s->recording, b->target->design, &recovery);
    int ret = write_images(b, s, err);
    if (!ret)
        ret = write_log(b, s, &entries, &in_flight, err);
    if (!ret)
        ret = write_checks(b, &recovery, err);
    if (!ret)
        ret = write_readme(b, id, s, entries, in_flight, err);
    if (!ret)
        ret = write_script(b, id, err);
    free(id);
    return ret;
}

int bundle_write(const struct bundle *b, struct scn_error *err)
{
    int ret = write_scenario(b, err);
    if (!ret)
        ret = write_design(b, err);
    if (!ret)
        ret = write_text(b, "story.txt", b->story, err);
    if (!ret)
        ret = write_text(b, "story.json", b->story_json, err);
    if (ret)
        return ret;
    return cell_look(b->target->scenario, b->target->design, b->target->disk, b->options, b->parsed->point,
                     b->parsed->survivors, write_state, (void *)b, err);
}

/* --- a run --------------------------------------------------------------------------------------------------------- */

static int write_guest(const struct bundle *b, const struct recording *r, struct scn_error *err)
{
    struct file f;
    int ret = file_open(b, REPLAY_GUEST, &f, err);
    if (ret)
        return ret;
    guest_lines_write(f.out, r);
    return file_close(&f, err);
}

static int write_run(const struct bundle *b, struct recording *r, struct scn_error *err)
{
    const struct history *h = r->history;
    struct file f;
    bool with_guest = guest_lines_possible(r);
    if (with_guest)
        guest_lines_fill(r);
    int ret = write_sparse(b, REPLAY_BASE, h->base_length_bytes, read_pages, h->base, err);
    if (!ret && r->backing.pages)
        ret = write_sparse(b, REPLAY_BACKING, r->backing.length_bytes, read_pages, r->backing.pages, err);
    ret = ret ? ret : file_open(b, REPLAY_LOG, &f, err);
    if (ret)
        return ret;
    dm_log_write(f.out, h, h->event_count, NULL);
    ret = file_close(&f, err);
    if (!ret && with_guest)
        ret = write_guest(b, r, err);
    return ret ? ret : write_text(b, REPLAY_META, "{\"log\":\"blklogwrites\"}\n", err);
}

int bundle_write_run(const struct bundle *b, struct scn_error *err)
{
    const struct run_options options = {.design = b->target->design,
                                        .disk = b->target->disk,
                                        .schedule = {.number = b->parsed->schedule,
                                                     .seed = b->parsed->seed,
                                                     .script = b->parsed->script,
                                                     .script_len = b->parsed->script_len}};
    struct recording r;
    int ret = scenario_record(b->target->scenario, &options, &r, err);
    if (ret)
        return ret;
    ret = write_scenario(b, err);
    ret = ret ? ret : write_design(b, err);
    ret = ret ? ret : write_run(b, &r, err);
    recording_free(&r);
    return ret;
}
