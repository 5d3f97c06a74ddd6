/* fuzz_log.c: what others recorded: dm-log-writes logs, and the directories that `replay` takes. Anybody's bytes give either
 * one clear sentence or a log that can be judged; and one that was accepted is the same when it is exported and read again.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios/replay.h"
#include "simdisk/crash_space.h"
#include "simdisk/dm_log.h"
#include "simdisk/xalloc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/image_bytes.h"
#include "tests/fuzz/log_bytes.h"
#include "tests/fuzz/watched_disk.h"

#define SECTOR     BLK_SECTOR_BYTES
#define BASE_MAX   (UINT64_C(1) << 20) /* of the base image, its first */
#define SPACES_MAX 64u
#define DEVICE_MAX (UINT64_C(128) << 10)

struct bytes {
    uint8_t *at;
    size_t size;
};

/* --- the log's bytes ----------------------------------------------------------------------------------------------- */

static void put_le(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static void put_entry(FILE *out, const uint8_t *r, uint64_t sector_bytes)
{
    uint8_t *sector = xcalloc(1, sector_bytes);
    bool far = r[0] & LOG_WHAT_FAR, odd = r[0] & LOG_WHAT_ODD;
    uint64_t sectors = r[3] & 31, flags = (r[0] & 31u) | (odd && !far ? 32 : 0);
    put_le(sector, (r[1] | r[2] << 8) + (far ? UINT64_C(1) << (r[1] & 63) : 0), 8);
    put_le(sector + 8, far && odd ? UINT64_C(1) << (r[3] & 63) : sectors, 8);
    put_le(sector + 16, flags, 8);
    put_le(sector + 24, sectors * sector_bytes, 8);
    fwrite(sector, sector_bytes, 1, out);
    memset(sector, r[4], sector_bytes);
    if (r[0] & LOG_WHAT_TABLE) {
        memset(sector, 0, sector_bytes);
        for (unsigned i = 0; i < (r[3] >> 5) + 1u; i++)
            put_le(sector + i * 8, (r[4] + i) * UINT64_C(4096), 8);
    }
    for (uint64_t i = 0; i < sectors && !(flags & (DM_LOG_DISCARD | DM_LOG_MARK)); i++)
        fwrite(sector, sector_bytes, 1, out);
    free(sector);
}

static struct bytes make_log(const uint8_t *data, size_t size)
{
    static const uint32_t sizes[8] = {512, 512, 512, 512, 1024, 4096, 256, 1u << 21};
    uint8_t choices[LOG_CHOICES] = {0}, super[SECTOR];
    struct bytes log = {0};
    char *text = NULL;
    FILE *out = xalloc_check(open_memstream(&text, &log.size));
    memcpy(choices, data, size < sizeof(choices) ? size : sizeof(choices));
    uint64_t sector_bytes = sizes[choices[LOG_AT_SECTOR] & 7];
    uint64_t records = size > LOG_CHOICES ? (size - LOG_CHOICES) / LOG_RECORD_BYTES : 0, entries = records;
    if (choices[LOG_AT_ENTRIES])
        entries = choices[LOG_AT_ENTRIES] == 0xff ? UINT64_MAX : choices[LOG_AT_ENTRIES];
    dm_log_super(super, entries);
    put_le(super + 24, sector_bytes, 4);
    if (choices[LOG_AT_BYTE])
        super[choices[LOG_AT_PATCH] & 31] = choices[LOG_AT_BYTE];
    fwrite(super, sizeof(super), 1, out);
    if (sector_bytes < SECTOR || sector_bytes > 4096)
        sector_bytes = SECTOR;
    for (uint64_t i = SECTOR; i < sector_bytes; i++)
        fputc(0, out);
    for (uint64_t i = 0; i < records; i++)
        put_entry(out, data + LOG_CHOICES + i * LOG_RECORD_BYTES, sector_bytes);
    fclose(out);
    /* Exactly as large as the log: a sanitizer sees what is read beyond it. */
    log.at = xmalloc(log.size);
    memcpy(log.at, text, log.size);
    free(text);
    return log;
}

/* --- the log alone: read, exported, read again ----------------------------------------------------------------------- */

struct taken {
    struct bytes from;
    uint64_t sector_bytes; /* as the log's first sector says */
    struct history *history;
    size_t writes, flushes;
    uint64_t data_bytes, end; /* end: of the last byte written */
};

static void add_op(struct taken *t, enum hist_kind kind, const struct dm_log_entry *e)
{
    struct hist_op op = {.kind = kind, .label = BLK_EVENT_NONE, .reached_disk = true};
    if (kind == HIST_WRITE) {
        op.offset_bytes = e->offset_bytes;
        op.length_bytes = e->length_bytes;
        op.data = xmalloc(e->length_bytes);
        memcpy(op.data, e->data, e->length_bytes);
    }
    history_done(t->history, history_submit(t->history, &op), 0);
}

static uint64_t get_le64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

static int take(void *opaque, const struct dm_log_entry *e)
{
    struct taken *t = opaque;
    if (e->data && (e->data < t->from.at || e->length_bytes > t->from.size ||
                    (size_t)(e->data - t->from.at) > t->from.size - e->length_bytes))
        fuzz_violation("entry %lu has its data outside of the log", e->number);
    if (e->data && e->offset_bytes / t->sector_bytes != get_le64(e->data - t->sector_bytes))
        fuzz_violation("entry %lu has wandered to %lu", e->number, e->offset_bytes);
    if ((e->offset_bytes | e->length_bytes) % SECTOR)
        fuzz_violation("entry %lu is not of whole sectors", e->number);
    if (e->flags & DM_LOG_MARK)
        return 0;
    if (e->flags & DM_LOG_FLUSH) {
        add_op(t, HIST_FLUSH, e);
        t->flushes++;
    }
    if (e->data) {
        add_op(t, HIST_WRITE, e);
        t->writes++;
        t->data_bytes += e->length_bytes;
        if (e->offset_bytes + e->length_bytes > t->end)
            t->end = e->offset_bytes + e->length_bytes;
    }
    return 0;
}

static int read_log(struct taken *t, struct bytes log)
{
    struct dm_log_error err = {""};
    *t = (struct taken){.from = log, .history = history_create(sim_pages_create(), 0, false)};
    if (log.size >= SECTOR)
        t->sector_bytes = get_le64(log.at + 24) & UINT32_MAX;
    int ret = dm_log_read(log.at, log.size, take, t, &err);
    if (ret && !err.text[0])
        fuzz_violation("a log refused with no sentence");
    if (t->data_bytes > log.size)
        fuzz_violation("a log of %zu bytes has %lu bytes of data", log.size, t->data_bytes);
    return ret;
}

static struct bytes export(const struct history *h)
{
    struct bytes b = {0};
    FILE *out = xalloc_check(open_memstream((char **)&b.at, &b.size));
    dm_log_write(out, h, history_now(h), NULL);
    fclose(out);
    return b;
}

static void same_ops(const struct history *a, const struct history *b, bool contents)
{
    if (a->op_count != b->op_count)
        fuzz_violation("%zu operations were exported, and %zu came back", a->op_count, b->op_count);
    for (size_t i = 0; i < a->op_count; i++) {
        const struct hist_op *x = &a->ops[i], *y = &b->ops[i];
        if (x->kind != y->kind || x->offset_bytes != y->offset_bytes || x->length_bytes != y->length_bytes ||
            (contents && x->length_bytes && memcmp(x->data, y->data, x->length_bytes) != 0))
            fuzz_violation("operation %zu came back as another", i);
    }
}

/* True if the log was accepted. */
static bool try_log(struct taken *t, struct bytes log)
{
    struct taken again;
    if (read_log(t, log))
        return false;
    struct bytes once = export(t->history);
    if (read_log(&again, once))
        fuzz_violation("an exported log is refused");
    same_ops(t->history, again.history, true);
    struct bytes twice = export(again.history);
    if (once.size != twice.size || memcmp(once.at, twice.at, once.size) != 0)
        fuzz_violation("a log exported twice is not the same");
    free(once.at);
    free(twice.at);
    history_destroy(again.history);
    return true;
}

/* --- a recording, as a directory ------------------------------------------------------------------------------------- */

static char directory[64];

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (!bytes) {
        unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        fuzz_violation("%s: %s", path, strerror(errno));
    close(fd);
}

/* From the table's first entry on, as far as the file goes; that entry. */
static uint64_t fill_table(uint8_t *bytes, size_t length, uint64_t offset, uint64_t table_bytes)
{
    uint64_t first = 0;
    if (offset >= length || length - offset < sizeof(first))
        return 0;
    memcpy(&first, bytes + offset, sizeof(first));
    for (uint64_t at = 8; at + 8 <= table_bytes && at + 8 <= length - offset; at += 8)
        memcpy(bytes + offset + at, &first, sizeof(first));
    return le64toh(first);
}

static void write_other(const uint8_t *bytes, size_t length, bool other)
{
    char text[80];
    int n = snprintf(text, sizeof(text), "{\"format\":\"raw\",\"size\":%zu,\"cluster\":4096}\n",
                     (length + SECTOR - 1) / SECTOR * SECTOR);
    write_file(REPLAY_IMAGE, other ? text : NULL, (size_t)n);
    write_file("base.raw", other ? bytes : NULL, length);
    write_file(REPLAY_BEFORE, other ? bytes : NULL, length);
}

static void write_base(const uint8_t *data, size_t size, uint8_t flags)
{
    struct image_bytes image = image_bytes_make(data, size);
    size_t length = (size_t)(image.length_bytes < BASE_MAX ? image.length_bytes : BASE_MAX);
    uint8_t *bytes = xmalloc(length);
    sim_pages_read(image.pages, 0, bytes, length);
    if (flags & LOG_MANY && length >= SECTOR) {
        uint64_t l1;
        memcpy(&l1, bytes + 40, sizeof(l1));
        fill_table(bytes, length, fill_table(bytes, length, le64toh(l1), image.table_bytes), image.table_bytes);
    }
    write_file(REPLAY_BASE, bytes, length);
    write_other(bytes, length, flags & LOG_OTHER);
    free(bytes);
    sim_pages_destroy(image.pages);
}

/* A log's history can be walked to its end, epoch by epoch. */
static void walk_spaces(const struct history *h, const struct sim_disk_model *model)
{
    struct crash_walk *walk = crash_walk_create(h, model, false);
    struct crash_space *s;
    struct bignum count;
    for (unsigned i = 0; i < SPACES_MAX && (s = crash_walk_next(walk)); i++) {
        crash_space_count(s, &count);
        bignum_free(&count);
        crash_space_free(s);
    }
    crash_walk_destroy(walk);
}

static void judge(const struct scenario *s, const struct taken *log, const char *disk)
{
    struct run_options options = {
        .design = qed_design_find("upstream"), .disk = sim_disk_model_find(disk), .schedule = {.number = 1, .seed = 1}};
    struct recording recording;
    struct scn_error err = {""};
    if (scenario_record(s, &options, &recording, &err))
        fuzz_violation("a recording was accepted and cannot be played: %s", err.text);
    /* Its bytes are tags now; a FUA write has become a write and a flush. */
    if (recording.history->op_count >= log->history->op_count && recording.flushes == log->flushes)
        same_ops(log->history, recording.history, false);
    walk_spaces(recording.history, options.disk);
    recording_free(&recording);
}

static void try_directory(const struct taken *log, bool device)
{
    struct scenario *s;
    struct scn_error err = {""};
    int ret = replay_load(directory, &s, &err);
    if (ret) {
        if (!err.text[0] || strchr(err.text, '\n'))
            fuzz_violation("a recording refused with no sentence, or several lines: '%s'", err.text);
        return;
    }
    if (!log)
        fuzz_violation("a recording was accepted, and its log refused");
    /* A device is filled with stale bytes, all of it: too slow if it is large. */
    judge(s, log, device && log->end <= DEVICE_MAX ? "hostdev" : "ssd");
    scenario_free(s);
}

static void remove_directory(void)
{
    write_file(REPLAY_BASE, NULL, 0);
    write_file(REPLAY_LOG, NULL, 0);
    write_file(REPLAY_GUEST, NULL, 0);
    write_file(REPLAY_BACKING, NULL, 0);
    write_other(NULL, 0, false);
    rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    snprintf(directory, sizeof(directory), "%s/qedcrash-fuzz.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(directory))
        fuzz_violation("%s: %s", directory, strerror(errno));
    atexit(remove_directory);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t backing[20 * SECTOR];
    struct taken taken;
    if (size < LOG_HEAD_BYTES)
        return 0;
    const uint8_t *image = data + LOG_HEAD_BYTES;
    size_t left = size - LOG_HEAD_BYTES, image_size = data[1] < left ? data[1] : left;
    left -= image_size;
    size_t log_size = data[2] | (size_t)data[3] << 8;
    log_size = log_size < left ? log_size : left;
    left -= log_size;
    const uint8_t *log_at = image + image_size;
    struct bytes log = {.size = log_size};
    if (data[0] & LOG_RAW)
        log.at = memcpy(xmalloc(log_size), log_at, log_size);
    else
        log = make_log(log_at, log_size);
    bool accepted = try_log(&taken, log);
    memset(backing, 0x62, sizeof(backing));
    write_base(image, image_size, data[0]);
    write_file(REPLAY_LOG, log.at, log.size);
    write_file(REPLAY_BACKING, data[0] & LOG_BACKING ? backing : NULL, sizeof(backing));
    write_file(REPLAY_GUEST, data[0] & LOG_GUEST ? log_at + log_size : NULL, left);
    try_directory(accepted ? &taken : NULL, data[0] & LOG_DEVICE);
    history_destroy(taken.history);
    free(log.at);
    return 0;
}
