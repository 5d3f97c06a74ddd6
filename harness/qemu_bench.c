/* qemu_bench.c: see qemu_bench.h. */
#include "harness/qemu_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/qemu_io.h"
#include "simdisk/digest.h"
#include "simdisk/xalloc.h"

#define SECTOR      BLK_SECTOR_BYTES
#define PIECE       65536u
#define WAITING_MAX 64u
#define IMAGE_MAX   (UINT64_C(1) << 30)
#define OPTIONS_MAX QEMU_OPTIONS_MAX
#define COMMAND_MAX (OPTIONS_MAX + 64)

struct image {
    struct digest digest;
    uint64_t number; /* its file, while it waits */
    struct qemu_look look;
};

struct bytes_of {
    struct digest digest;
    uint8_t bytes[SECTOR];
};

struct qemu_bench {
    struct qemu_questions q;
    char dir[PATH_MAX], backing[PATH_MAX];
    /* Images by digest: an open table of indexes + 1. */
    struct image **images;
    size_t image_count, image_cap;
    uint32_t *slots;
    size_t slot_count;
    struct image *waiting[WAITING_MAX];
    size_t waiting_count;
    uint64_t files;
    /* Shared by the threads, under the lock. */
    pthread_mutex_t lock;
    size_t next; /* of the waiting ones */
    struct bytes_of **sectors;
    size_t sector_count, sector_cap;
    uint32_t *sector_slots;
    size_t sector_slot_count;
    char error[320];
    struct seat *seats;
};

/* One thread's qemu-io, and where it is. */
struct seat {
    struct qemu_bench *b;
    struct qemu_io io;
    struct qemu_look *look;
    uint64_t number;
    uint8_t *buf; /* of the longest place */
};

/* --- the scratch directory ----------------------------------------------------------------------------------------- */

static char scratch[PATH_MAX];
static pid_t scratch_owner;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    remove(path);
    return 0;
}

static void remove_scratch(void)
{
    if (scratch_owner == getpid())
        nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *qemu_scratch(void)
{
    const char *parent = getenv("TMPDIR");
    if (scratch_owner)
        return scratch;
    snprintf(scratch, sizeof(scratch), "%s/qedcrash-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(scratch))
        return NULL;
    scratch_owner = getpid();
    if (atexit(remove_scratch)) {
        remove_scratch();
        return NULL;
    }
    return scratch;
}

const char *qemu_missing(void)
{
    if (!qemu_have("qemu-img"))
        return "there is no qemu-img in PATH (Debian: qemu-utils)";
    if (!qemu_have("qemu-io"))
        return "there is no qemu-io in PATH (Debian: qemu-utils)";
    return "";
}

/* --- errors that end the work -------------------------------------------------------------------------------------- */

static void fail(struct qemu_bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct qemu_bench *b, const char *fmt, ...)
{
    va_list ap;
    pthread_mutex_lock(&b->lock);
    va_start(ap, fmt);
    if (!b->error[0])
        vsnprintf(b->error, sizeof(b->error), fmt, ap);
    va_end(ap);
    pthread_mutex_unlock(&b->lock);
}

static bool has_failed(struct qemu_bench *b)
{
    pthread_mutex_lock(&b->lock);
    bool failed = b->error[0];
    pthread_mutex_unlock(&b->lock);
    return failed;
}

const char *qemu_bench_error(const struct qemu_bench *b)
{
    return b->error;
}

/* QEMU's own complaint of a full disk is ours, and no finding. */
static bool is_full_disk(struct qemu_bench *b, const char *words)
{
    if (!strstr(words, strerror(ENOSPC)) && !strstr(words, strerror(EDQUOT)) && !strstr(words, strerror(EFBIG)))
        return false;
    fail(b, "%s: %s; QEMU needs room there for the images it is shown (TMPDIR names another place)", b->dir,
         strerror(ENOSPC));
    return true;
}

/* --- files --------------------------------------------------------------------------------------------------------- */

static void path_of(const struct qemu_bench *b, uint64_t number, char kind, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.3000s/%" PRIu64 "%c", b->dir, number, kind);
}

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}

typedef int piece_fn(void *opaque, uint64_t at, const uint8_t *bytes, size_t length);

/* The device's bytes, but for the pieces that are zero. */
static int each_piece(struct blockdev *dev, uint64_t length, piece_fn *take, void *opaque)
{
    uint8_t *buf = xmalloc(PIECE);
    int ret = 0;
    for (uint64_t at = 0; at < length && !ret; at += PIECE) {
        size_t size = length - at < PIECE ? (size_t)(length - at) : PIECE;
        if (dev->ops->next_data && dev->ops->next_data(dev, at, at + size) == at + size)
            continue;
        memset(buf, 0, PIECE);
        struct iovec iov = {.iov_base = buf, .iov_len = (size + SECTOR - 1) / SECTOR * SECTOR};
        ret = -EDEADLK;
        dev->ops->readv(dev, at, &iov, 1, take_ret, &ret);
        if (!ret && !is_zero(buf, size))
            ret = take(opaque, at, buf, size);
    }
    free(buf);
    return ret;
}

static int write_piece(void *opaque, uint64_t at, const uint8_t *bytes, size_t length)
{
    while (length) {
        ssize_t n = pwrite(*(int *)opaque, bytes, length, (off_t)at);
        if (n < 0 && errno != EINTR)
            return -errno;
        n = n < 0 ? 0 : n;
        bytes += n;
        at += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

/* 0, or after fail(). */
static int write_image(struct qemu_bench *b, const char *path, struct blockdev *dev, uint64_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int ret = fd < 0 || ftruncate(fd, (off_t)length) ? -errno : 0;
    ret = ret ? ret : each_piece(dev, length, write_piece, &fd);
    if (fd >= 0 && close(fd) && !ret)
        ret = -errno;
    if (ret)
        fail(b, "cannot write %.200s: %s (TMPDIR names another place for it)", path, strerror(-ret));
    return ret;
}

static int write_backing(struct qemu_bench *b)
{
    uint64_t end = b->q.backing_bytes;
    int fd = open(b->backing, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int ret = fd < 0 || ftruncate(fd, (off_t)end) ? -errno : 0;
    for (uint64_t at = 0; !ret && (at = sim_pages_next_data(b->q.backing, at, end)) < end; at += SIM_PAGE_BYTES)
        ret = write_piece(&fd, at, sim_pages_at(b->q.backing, at / SIM_PAGE_BYTES),
                          end - at < SIM_PAGE_BYTES ? (size_t)(end - at) : SIM_PAGE_BYTES);
    if (fd >= 0 && close(fd) && !ret)
        ret = -errno;
    if (ret)
        fail(b, "cannot write %.200s: %s (TMPDIR names another place for it)", b->backing, strerror(-ret));
    return ret;
}

/* A sparse copy. 0, or after fail(). */
static int copy_file(struct qemu_bench *b, const char *from, const char *to)
{
    uint8_t *buf = xmalloc(PIECE);
    struct stat st = {0};
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int ret = in < 0 || out < 0 || fstat(in, &st) || ftruncate(out, st.st_size) ? -errno : 0;
    for (off_t at = 0; !ret && (at = lseek(in, at, SEEK_DATA)) >= 0;) {
        ssize_t n = pread(in, buf, PIECE, at);
        if (n <= 0)
            break;
        ret = write_piece(&out, (uint64_t)at, buf, (size_t)n);
        at += n;
    }
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) && !ret)
        ret = -errno;
    free(buf);
    if (ret)
        fail(b, "cannot write %.200s: %s (TMPDIR names another place for it)", to, strerror(-ret));
    return ret;
}

static bool same_files(const char *one, const char *other)
{
    uint8_t *a = xmalloc(PIECE), *b = xmalloc(PIECE);
    int x = open(one, O_RDONLY | O_CLOEXEC), y = open(other, O_RDONLY | O_CLOEXEC);
    bool same = x >= 0 && y >= 0;
    for (ssize_t n = 1, m; same && n > 0;) {
        n = read(x, a, PIECE);
        m = read(y, b, PIECE);
        same = n == m && n >= 0 && !memcmp(a, b, (size_t)n);
    }
    if (x >= 0)
        close(x);
    if (y >= 0)
        close(y);
    free(a);
    free(b);
    return same;
}

/* --- what QEMU says ------------------------------------------------------------------------------------------------ */

/* chain: with its backing file, which `info' wants to know nothing of. */
static void image_options(const struct qemu_bench *b, const char *path, bool chain, char options[OPTIONS_MAX])
{
    int n = snprintf(options, OPTIONS_MAX, "driver=%s,file.driver=file,file.filename=%s", b->q.format, path);
    if (b->q.backing && chain)
        snprintf(options + n, (size_t)(OPTIONS_MAX - n),
                 ",backing.driver=raw,backing.file.driver=file,backing.file.filename=%s", b->backing);
}

/* The first line, without the program's name. */
static void first_line(const char *words, char *out, size_t size)
{
    const char *colon = !strncmp(words, "qemu-", 5) ? strchr(words, ':') : NULL;
    words = colon ? colon + 1 + strspn(colon + 1, " ") : words;
    snprintf(out, size, "%.*s", (int)strcspn(words, "\n"), words);
}

static uint64_t member(const char *json, const char *name)
{
    char quoted[40];
    snprintf(quoted, sizeof(quoted), "\"%s\": ", name);
    const char *at = strstr(json, quoted);
    return at ? strtoull(at + strlen(quoted), NULL, 10) : 0;
}

static void check_file(struct seat *s, const char *path, bool repair, struct qemu_check *out)
{
    char options[OPTIONS_MAX], answer[8192];
    int status = 0;
    *out = (struct qemu_check){.exit = -1};
    if (s->look->died[0] || has_failed(s->b))
        return;
    image_options(s->b, path, true, options);
    char *argv[] = {"qemu-img",     "check", "--output=json",      "-T",  "unsafe",
                    "--image-opts", options, repair ? "-r" : NULL, "all", NULL};
    int ret = qemu_program(NULL, argv, answer, sizeof(answer), &status);
    if (ret == -ETIMEDOUT || (!ret && WIFSIGNALED(status))) {
        snprintf(s->look->died, sizeof(s->look->died), "qemu-img check%s %s", repair ? " -r all" : "",
                 ret ? "came to no end" : "was killed by a signal");
        return;
    }
    if (ret) {
        fail(s->b, "cannot run qemu-img: %s", strerror(-ret));
        return;
    }
    out->exit = WEXITSTATUS(status);
    out->corruptions = member(answer, "corruptions");
    out->leaks = member(answer, "leaks");
    out->errors = member(answer, "check-errors");
    if (out->exit == 1 && !is_full_disk(s->b, answer))
        first_line(answer, out->words, sizeof(out->words));
}

/* False if it is no use to go on with this image. */
static bool ask(struct seat *s, const char *command)
{
    int ret = 0;
    if (s->look->died[0])
        return false;
    if (!s->io.child && (ret = qemu_io_start(&s->io, NULL, NULL))) {
        fail(s->b, "cannot start qemu-io: %s", strerror(-ret));
        return false;
    }
    ret = qemu_io_ask(&s->io, command);
    if (!ret)
        return !is_full_disk(s->b, s->io.answer);
    if (s->b->q.stop && *s->b->q.stop) {
        fail(s->b, "interrupted");
        return false;
    }
    snprintf(s->look->died, sizeof(s->look->died), "qemu-io %s at '%.*s'",
             ret == -ETIMEDOUT ? "came to no end" : "died",
             (int)strcspn(command, "\n") < 90 ? (int)strcspn(command, "\n") : 90, command);
    qemu_io_stop(&s->io);
    return false;
}

/* False, with why in `error`, if it does not open. */
static bool open_file(struct seat *s, const char *path, char *error, size_t size)
{
    char options[OPTIONS_MAX], command[COMMAND_MAX];
    error[0] = 0;
    image_options(s->b, path, true, options);
    snprintf(command, sizeof(command), "open -t unsafe -o %s\n", options);
    if (!ask(s, command))
        return false;
    const char *failed = strstr(s->io.answer, "can't open"); /* what else it says, it says of a repair */
    if (!failed)
        return true;
    first_line(failed, error, size);
    return false;
}

static bool close_file(struct seat *s, char *error, size_t size)
{
    error[0] = 0;
    if (!ask(s, "close\n"))
        return false;
    if (s->io.size)
        first_line(s->io.answer, error, size);
    return true;
}

/* Of the image itself: a later QEMU tells of its file too, before it. */
static const char *last_member(const char *json, const char *name)
{
    const char *last = "";
    for (const char *at = json; (at = strstr(at, name)); at++)
        last = at + strlen(name);
    return last;
}

/* qemu-io tells sizes rounded, for people. */
static void take_info(struct seat *s, const char *path)
{
    char options[OPTIONS_MAX], answer[8192];
    int status = 0;
    image_options(s->b, path, false, options);
    char *argv[] = {"qemu-img", "info", "--output=json", "--image-opts", options, NULL};
    if (qemu_program(NULL, argv, answer, sizeof(answer), &status) || status)
        return; /* then it does not open either */
    s->look->image_bytes = strtoull(last_member(answer, "\"virtual-size\": "), NULL, 10);
    s->look->marked = !strncmp(last_member(answer, "\"dirty-flag\": "), "true", 4);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t qemu_take_dump(const char *text, uint8_t *bytes, size_t size)
{
    size_t n = 0;
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        const char *at = line;
        while (hex(*at) >= 0)
            at++;
        if (at == line || strncmp(at, ":  ", 3) != 0)
            continue;
        at += 3;
        for (int i = 0; i < 16 && n < size && hex(at[0]) >= 0 && hex(at[1]) >= 0; i++, at += 3)
            bytes[n++] = (uint8_t)(hex(at[0]) << 4 | hex(at[1]));
    }
    return n;
}

/* --- sectors, each kept once --------------------------------------------------------------------------------------- */

static void grow_slots(uint32_t **slots, size_t *slot_count, size_t count,
                       const struct digest *(*digest)(const void *, size_t), const void *of)
{
    if (2 * count < *slot_count)
        return;
    free(*slots);
    *slot_count = *slot_count ? 2 * *slot_count : 1024;
    *slots = xcalloc(*slot_count, sizeof(**slots));
    for (size_t i = 0; i < count; i++) {
        size_t at = digest(of, i)->lane[0] & (*slot_count - 1);
        while ((*slots)[at])
            at = (at + 1) & (*slot_count - 1);
        (*slots)[at] = (uint32_t)i + 1;
    }
}

static const struct digest *sector_digest(const void *of, size_t i)
{
    return &((const struct qemu_bench *)of)->sectors[i]->digest;
}

static const struct digest *image_digest(const void *of, size_t i)
{
    return &((const struct qemu_bench *)of)->images[i]->digest;
}

static bool same_digest(const struct digest *a, const struct digest *b)
{
    return a->lane[0] == b->lane[0] && a->lane[1] == b->lane[1];
}

/* Under the lock. */
static const uint8_t *keep_sector(struct qemu_bench *b, const uint8_t *bytes)
{
    struct digest d = DIGEST_INIT;
    digest_bytes(&d, bytes, SECTOR);
    grow_slots(&b->sector_slots, &b->sector_slot_count, b->sector_count, sector_digest, b);
    size_t at = d.lane[0] & (b->sector_slot_count - 1);
    for (; b->sector_slots[at]; at = (at + 1) & (b->sector_slot_count - 1))
        if (same_digest(&b->sectors[b->sector_slots[at] - 1]->digest, &d))
            return b->sectors[b->sector_slots[at] - 1]->bytes;
    struct bytes_of *kept = xmalloc(sizeof(*kept));
    kept->digest = d;
    memcpy(kept->bytes, bytes, SECTOR);
    b->sectors = xgrow(b->sectors, b->sector_count, &b->sector_cap, sizeof(*b->sectors));
    b->sectors[b->sector_count++] = kept;
    b->sector_slots[at] = (uint32_t)b->sector_count;
    return kept->bytes;
}

/* --- one image ----------------------------------------------------------------------------------------------------- */

static void read_sectors(struct seat *s, uint64_t first, uint64_t count, struct qemu_reading *out)
{
    char command[COMMAND_MAX];
    *out = (struct qemu_reading){0};
    snprintf(command, sizeof(command), "read -v %" PRIu64 " %" PRIu64 "\n", first * SECTOR, count * SECTOR);
    if (!ask(s, command))
        return;
    if (qemu_take_dump(s->io.answer, s->buf, count * SECTOR) != count * SECTOR) {
        const char *failed = strstr(s->io.answer, "failed: ");
        first_line(failed ? failed + 8 : s->io.answer, out->error, sizeof(out->error));
        return;
    }
    out->sectors = xcalloc(count, sizeof(*out->sectors));
    pthread_mutex_lock(&s->b->lock);
    for (uint64_t i = 0; i < count; i++)
        out->sectors[i] = keep_sector(s->b, s->buf + i * SECTOR);
    pthread_mutex_unlock(&s->b->lock);
}

/* As much of the place as the image has. */
static uint64_t place_count(const struct seat *s, const struct qemu_place *p)
{
    uint64_t end = s->look->image_bytes / SECTOR;
    return p->first >= end ? 0 : p->count < end - p->first ? p->count : end - p->first;
}

static void read_place(struct seat *s, const struct qemu_place *p, struct qemu_reading *out)
{
    uint64_t count = place_count(s, p);
    *out = (struct qemu_reading){0};
    if (count)
        read_sectors(s, p->first, count, out);
}

/* False: it failed, which a second life may. */
static bool write_fresh(struct seat *s, uint64_t sector)
{
    char command[COMMAND_MAX];
    if (sector >= s->look->image_bytes / SECTOR)
        return false;
    snprintf(command, sizeof(command), "write -s %s/t%" PRIu64 " %" PRIu64 " %u\n", s->b->dir, sector, sector * SECTOR,
             SECTOR);
    return ask(s, command) && strstr(s->io.answer, "wrote ") && !strstr(s->io.answer, "failed");
}

static void first_life(struct seat *s, const char *master, const char *path)
{
    struct qemu_look *look = s->look;
    char ignored[80];
    take_info(s, master);
    check_file(s, master, false, &look->before);
    if (copy_file(s->b, master, path) || !open_file(s, path, look->open_error, sizeof(look->open_error)))
        return;
    for (size_t i = 0; i < s->b->q.place_count; i++)
        read_place(s, &s->b->q.places[i], &look->readings[i]);
    close_file(s, ignored, sizeof(ignored));
    look->rewritten = !same_files(master, path);
    look->after = look->before;
    if (look->rewritten)
        check_file(s, path, false, &look->after);
}

/* What the guest finds when the image is opened once more. */
static void read_again(struct seat *s, const char *path, const struct qemu_place *p, struct qemu_life *life)
{
    char ignored[80];
    if (!open_file(s, path, life->open_error, sizeof(life->open_error)))
        return;
    read_place(s, p, &life->place);
    if (life->wrote_beside)
        read_sectors(s, s->b->q.beside, 1, &life->beside);
    close_file(s, ignored, sizeof(ignored));
}

static void second_life(struct seat *s, const char *master, const char *path, const struct qemu_place *p,
                        struct qemu_life *life)
{
    char ignored[160];
    if (copy_file(s->b, master, path) || !open_file(s, path, ignored, sizeof(ignored)))
        return;
    life->wrote_beside = !p->is_beside && s->b->q.beside != QEMU_NO_SECTOR && write_fresh(s, s->b->q.beside);
    life->wrote_over = write_fresh(s, p->over);
    if (close_file(s, life->close_error, sizeof(life->close_error)))
        read_again(s, path, p, life);
}

static void life_beside(struct seat *s, const char *master, const char *path)
{
    struct qemu_look *look = s->look;
    char ignored[160];
    look->beside_check.exit = -1;
    if (s->b->q.beside == QEMU_NO_SECTOR || copy_file(s->b, master, path) ||
        !open_file(s, path, ignored, sizeof(ignored)))
        return;
    bool wrote = write_fresh(s, s->b->q.beside);
    if (!close_file(s, ignored, sizeof(ignored)) || !wrote)
        return;
    check_file(s, path, false, &look->beside_check);
    if (open_file(s, path, look->beside_open_error, sizeof(look->beside_open_error)))
        close_file(s, ignored, sizeof(ignored));
}

static void repair(struct seat *s, const char *master, const char *path)
{
    struct qemu_look *look = s->look;
    char ignored[160];
    look->repair.exit = look->repaired.exit = -1;
    if ((look->before.exit != 2 && !look->before.corruptions) || copy_file(s->b, master, path))
        return;
    check_file(s, path, true, &look->repair);
    check_file(s, path, false, &look->repaired);
    if (!open_file(s, path, ignored, sizeof(ignored)))
        return;
    look->repaired_readings = xcalloc(s->b->q.place_count, sizeof(*look->repaired_readings));
    for (size_t i = 0; i < s->b->q.place_count; i++)
        read_place(s, &s->b->q.places[i], &look->repaired_readings[i]);
    close_file(s, ignored, sizeof(ignored));
}

static void look_at(struct seat *s, struct image *image)
{
    struct qemu_bench *b = s->b;
    char master[PATH_MAX], path[PATH_MAX];
    struct qemu_look *look = s->look = &image->look;
    path_of(b, image->number, 'm', master);
    path_of(b, image->number, 'a', path);
    look->readings = xcalloc(b->q.place_count, sizeof(*look->readings));
    look->lives = xcalloc(b->q.place_count, sizeof(*look->lives));
    look->before.exit = look->after.exit = look->beside_check.exit = look->repair.exit = look->repaired.exit = -1;
    first_life(s, master, path);
    if (b->q.lives && !look->open_error[0]) {
        life_beside(s, master, path);
        for (size_t i = 0; i < b->q.place_count; i++)
            second_life(s, master, path, &b->q.places[i], &look->lives[i]);
    }
    repair(s, master, path);
    unlink(path);
    unlink(master);
}

/* --- many images --------------------------------------------------------------------------------------------------- */

static void *sit(void *opaque)
{
    struct seat *s = opaque;
    struct qemu_bench *b = s->b;
    for (;;) {
        pthread_mutex_lock(&b->lock);
        struct image *image = b->error[0] || b->next >= b->waiting_count ? NULL : b->waiting[b->next++];
        pthread_mutex_unlock(&b->lock);
        if (!image)
            return NULL;
        look_at(s, image);
    }
}

void qemu_bench_work(struct qemu_bench *b)
{
    pthread_t threads[64];
    unsigned count = b->q.jobs < b->waiting_count ? b->q.jobs : (unsigned)b->waiting_count, started = 0;
    b->next = 0;
    for (; started + 1 < count && started < 64; started++)
        if (pthread_create(&threads[started], NULL, sit, &b->seats[started + 1]))
            break;
    sit(&b->seats[0]);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    b->waiting_count = 0;
}

static int add_to_digest(void *opaque, uint64_t at, const uint8_t *bytes, size_t length)
{
    digest_add(opaque, at);
    digest_bytes(opaque, bytes, length);
    return 0;
}

/* NULL after fail(). */
static struct image *find_image(struct qemu_bench *b, struct blockdev *dev, bool *fresh)
{
    struct digest d = DIGEST_INIT;
    uint64_t length = 0;
    *fresh = false;
    if (dev->ops->length(dev, 1, &length) || length > IMAGE_MAX) {
        fail(b, "a crashed image of %" PRIu64 " bytes is larger than is shown to QEMU (%" PRIu64 "M)", length,
             IMAGE_MAX >> 20);
        return NULL;
    }
    digest_add(&d, length);
    each_piece(dev, length, add_to_digest, &d);
    grow_slots(&b->slots, &b->slot_count, b->image_count, image_digest, b);
    size_t at = d.lane[0] & (b->slot_count - 1);
    for (; b->slots[at]; at = (at + 1) & (b->slot_count - 1))
        if (same_digest(&b->images[b->slots[at] - 1]->digest, &d))
            return b->images[b->slots[at] - 1];
    struct image *image = xcalloc(1, sizeof(*image));
    char path[PATH_MAX];
    image->digest = d;
    image->number = ++b->files;
    path_of(b, image->number, 'm', path);
    b->images = xgrow(b->images, b->image_count, &b->image_cap, sizeof(*b->images));
    b->images[b->image_count++] = image;
    b->slots[at] = (uint32_t)b->image_count;
    *fresh = true;
    return write_image(b, path, dev, length) ? NULL : image;
}

void qemu_bench_add(struct qemu_bench *b, struct blockdev *dev)
{
    bool fresh;
    struct image *image = b->error[0] ? NULL : find_image(b, dev, &fresh);
    if (!image || !fresh)
        return;
    b->waiting[b->waiting_count++] = image;
    if (b->waiting_count == WAITING_MAX)
        qemu_bench_work(b);
}

const struct qemu_look *qemu_bench_look(struct qemu_bench *b, struct blockdev *dev)
{
    bool fresh;
    struct image *image = b->error[0] ? NULL : find_image(b, dev, &fresh);
    if (image && fresh)
        b->waiting[b->waiting_count++] = image;
    if (b->waiting_count)
        qemu_bench_work(b);
    return image && !b->error[0] ? &image->look : NULL;
}

uint64_t qemu_bench_images(const struct qemu_bench *b)
{
    return b->image_count;
}

/* The extent of the map that has the sector: {"start": 0, "length": 4096, "depth": 0, ... "offset": 12288} */
static uint64_t find_extent(const char *map, uint64_t sector)
{
    for (const char *at = strchr(map, '{'); at; at = strchr(at + 1, '{')) {
        char extent[400];
        snprintf(extent, sizeof(extent), "%.*s", (int)strcspn(at, "}"), at);
        uint64_t start = member(extent, "start"), length = member(extent, "length");
        if (sector * SECTOR < start || sector * SECTOR - start >= length)
            continue;
        if (!strstr(extent, "\"offset\"") || member(extent, "depth"))
            return QEMU_NO_SECTOR;
        return (member(extent, "offset") + sector * SECTOR - start) / SECTOR;
    }
    return QEMU_NO_SECTOR;
}

int qemu_bench_file(struct qemu_bench *b, struct blockdev *image, char *path, char *options)
{
    uint64_t length = 0;
    path_of(b, ++b->files, 'f', path);
    image_options(b, path, true, options);
    return image->ops->length(image, 1, &length) || write_image(b, path, image, length) ? -EIO : 0;
}

uint64_t qemu_bench_place(struct qemu_bench *b, struct blockdev *dev, uint64_t sector)
{
    char path[PATH_MAX], options[OPTIONS_MAX], error[160];
    uint64_t length = 0, found = QEMU_NO_SECTOR;
    struct qemu_look look = {0};
    struct seat s = {.b = b, .look = &look};
    int status = 0;
    path_of(b, ++b->files, 'p', path);
    if (b->error[0] || dev->ops->length(dev, 1, &length) || write_image(b, path, dev, length))
        return found;
    if (open_file(&s, path, error, sizeof(error)))
        close_file(&s, error, sizeof(error));
    qemu_io_stop(&s.io);
    image_options(b, path, true, options);
    char *argv[] = {"qemu-img", "map", "--output=json", "--image-opts", options, NULL};
    char *answer = xmalloc(PIECE);
    if (!qemu_program(NULL, argv, answer, PIECE, &status))
        found = find_extent(answer, sector);
    free(answer);
    unlink(path);
    return found;
}

/* --- birth and death ----------------------------------------------------------------------------------------------- */

static int write_fresh_sector(struct qemu_bench *b, uint64_t sector)
{
    char path[PATH_MAX];
    uint8_t bytes[SECTOR];
    snprintf(path, sizeof(path), "%.3000s/t%" PRIu64, b->dir, sector);
    b->q.fresh(b->q.opaque, sector, bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int ret = fd < 0 ? -errno : write_piece(&fd, 0, bytes, sizeof(bytes));
    if (fd >= 0 && close(fd) && !ret)
        ret = -errno;
    if (ret)
        fail(b, "cannot write %.200s: %s (TMPDIR names another place for it)", path, strerror(-ret));
    return ret;
}

static int make_files(struct qemu_bench *b)
{
    int ret = b->q.backing ? write_backing(b) : 0;
    if (!ret && b->q.beside != QEMU_NO_SECTOR)
        ret = write_fresh_sector(b, b->q.beside);
    for (size_t i = 0; i < b->q.place_count && !ret; i++)
        ret = write_fresh_sector(b, b->q.places[i].over);
    return ret;
}

struct qemu_bench *qemu_bench_create(const struct qemu_questions *q, char *why, size_t why_size)
{
    const char *dir = qemu_missing();
    if (*dir) {
        snprintf(why, why_size, "%s", dir);
        return NULL;
    }
    struct qemu_bench *b = xcalloc(1, sizeof(*b));
    uint64_t longest = 1;
    b->q = *q;
    pthread_mutex_init(&b->lock, NULL);
    dir = qemu_scratch();
    snprintf(b->dir, sizeof(b->dir), "%.3000s/XXXXXX", dir ? dir : "/tmp");
    if (!dir || !mkdtemp(b->dir)) {
        snprintf(why, why_size, "cannot make a directory for crashed images in %.200s: %s (TMPDIR names another place)",
                 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", strerror(errno));
        b->dir[0] = 0;
        qemu_bench_destroy(b);
        return NULL;
    }
    snprintf(b->backing, sizeof(b->backing), "%.3000s/backing.raw", b->dir);
    signal(SIGPIPE, SIG_IGN); /* a qemu-io that dies is an answer */
    for (size_t i = 0; i < q->place_count; i++)
        longest = q->places[i].count > longest ? q->places[i].count : longest;
    b->seats = xcalloc(q->jobs + 1, sizeof(*b->seats));
    for (unsigned i = 0; i <= q->jobs; i++)
        b->seats[i] = (struct seat){.b = b, .buf = xmalloc(longest * SECTOR)};
    if (make_files(b)) {
        snprintf(why, why_size, "%s", b->error);
        qemu_bench_destroy(b);
        return NULL;
    }
    return b;
}

static void free_reading(struct qemu_reading *r)
{
    free(r->sectors);
}

static void free_look(struct qemu_bench *b, struct qemu_look *look)
{
    for (size_t i = 0; i < b->q.place_count && look->readings; i++) {
        free_reading(&look->readings[i]);
        free_reading(&look->lives[i].place);
        free_reading(&look->lives[i].beside);
        if (look->repaired_readings)
            free_reading(&look->repaired_readings[i]);
    }
    free(look->readings);
    free(look->lives);
    free(look->repaired_readings);
}

void qemu_bench_destroy(struct qemu_bench *b)
{
    if (!b)
        return;
    for (unsigned i = 0; b->seats && i <= b->q.jobs; i++) {
        qemu_io_stop(&b->seats[i].io);
        free(b->seats[i].buf);
    }
    for (size_t i = 0; i < b->image_count; i++) {
        free_look(b, &b->images[i]->look);
        free(b->images[i]);
    }
    for (size_t i = 0; i < b->sector_count; i++)
        free(b->sectors[i]);
    free(b->images);
    free(b->slots);
    free(b->sectors);
    free(b->sector_slots);
    free(b->seats);
    if (b->dir[0])
        nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    pthread_mutex_destroy(&b->lock);
    free(b);
}
