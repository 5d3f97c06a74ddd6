/* qemu_random.c: random guests on QED images, ours and QEMU's, held against an independent model.
 *
 *   qemu_random contents SEED FIRST COUNT DIR   either engine makes and writes the image; then both must call it clean,
 *                                               and both must read from it what the model holds
 *   qemu_random bytes SEED FIRST COUNT DIR      the same guest on both engines, ours with design `upstream`: the files
 *                                               must be the same byte for byte after every session
 *
 * The model is memory: what was written where, over the backing file's bytes. Sequence n of a seed is always the same.
 * Two of QEMU 7.2's quirks are steered around: it counts false leaks in files of about cluster_size clusters (images
 * here stay far below), and a partial write into a zero cluster over a backing file exposes the backing file (avoided
 * where the writer has the quirk). A third, that it cannot open table_size 1, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL_BYTES  (UINT64_C(80) << 20)
#define CLUSTERS_MAX (MODEL_BYTES / 4096)
#define OPS_MAX      12
#define ARGS_MAX     48
#define ARG_BYTES    512
#define SECTOR       512u

extern char **environ;

enum writer { OURS, QEMU };
enum cluster_state { UNALLOCATED, ZERO, DATA };

static struct {
    const char *qedcrash, *dir, *mode;
    uint64_t seed, index, random;
    char history[65536]; /* what was run, to be pasted */
    size_t history_used;
} run;

/* ---- chance ---- */

static uint64_t next_random(void)
{
    uint64_t z = (run.random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
    return n ? next_random() % n : 0;
}

static bool chance(unsigned percent)
{
    return below(100) < percent;
}

/* ---- giving up ---- */

static __attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("sequence %" PRIu64 ": ", run.index);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\nwhat was run, in %s:\n%s\nrepro: qemu_random %s %" PRIu64 " %" PRIu64 " 1 DIR\n", run.dir, run.history,
           run.mode, run.seed, run.index);
    exit(1);
}

/* ---- processes ---- */

struct command {
    char text[ARGS_MAX][ARG_BYTES];
    char *argv[ARGS_MAX + 1];
    size_t count;
};

static __attribute__((format(printf, 2, 3))) void add(struct command *c, const char *fmt, ...)
{
    va_list ap;

    if (c->count == ARGS_MAX)
        fail("too many arguments");
    va_start(ap, fmt);
    vsnprintf(c->text[c->count], ARG_BYTES, fmt, ap);
    va_end(ap);
    c->argv[c->count] = c->text[c->count];
    c->argv[++c->count] = NULL;
}

static void add_all(struct command *c, const char *words)
{
    char copy[1024], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", words);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        add(c, "%s", word);
}

static void remember(const struct command *c)
{
    for (size_t i = 0; i < c->count && run.history_used + ARG_BYTES < sizeof(run.history); i++)
        run.history_used +=
            (size_t)snprintf(run.history + run.history_used, sizeof(run.history) - run.history_used,
                             strpbrk(c->argv[i], " :'") ? "'%s'%s" : "%s%s", c->argv[i], i + 1 < c->count ? " " : "\n");
}

static void print_file(const char *path)
{
    char line[512];
    FILE *f = fopen(path, "r");

    while (f && fgets(line, sizeof(line), f))
        fputs(line, stdout);
    if (f)
        fclose(f);
}

/* Runs it and empties it for the next. Anything but exit 0 ends the test. */
static void go(struct command *c)
{
    posix_spawn_file_actions_t actions;
    int error, status;
    pid_t pid;

    remember(c);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "output", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    error = posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        fail("%s: %s", c->argv[0], strerror(error));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            fail("waitpid: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        print_file("output");
        fail("%s %s: status 0x%x", c->argv[0], c->argv[1], (unsigned)status);
    }
    c->count = 0;
}

static __attribute__((format(printf, 1, 2))) void go_words(const char *fmt, ...)
{
    struct command c = {.count = 0};
    char words[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    add_all(&c, words);
    go(&c);
}

/* ---- images and their models ---- */

struct image {
    char name[32];
    const char *format; /* "qed", "raw" */
    uint64_t bytes;     /* as the guest sees it */
    uint32_t cluster_bytes, table_clusters;
    const struct image *backing;
    uint8_t *model;
    uint8_t *state; /* enum cluster_state, per cluster */
};

static struct image image_new(const char *name)
{
    struct image image = {.format = "qed"};

    snprintf(image.name, sizeof(image.name), "%s", name);
    image.model = mmap(NULL, MODEL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    image.state = calloc(CLUSTERS_MAX, 1);
    if (image.model == MAP_FAILED || !image.state)
        fail("out of memory");
    return image;
}

static void image_free(struct image *image)
{
    munmap(image->model, MODEL_BYTES);
    free(image->state);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void choose_geometry(struct image *image)
{
    static const uint32_t clusters[] = {4096, 4096, 4096, 8192, 8192, 16384, 32768, 65536, 65536, 131072, 262144};
    uint64_t covered; /* by one L2 table */

    image->cluster_bytes = chance(4) ? 1u << (19 + below(2)) : clusters[below(sizeof(clusters) / sizeof(clusters[0]))];
    image->table_clusters = 2u << below(4);
    covered = (uint64_t)image->cluster_bytes * image->table_clusters / 8 * image->cluster_bytes;
    image->bytes = (1 + below(40)) * image->cluster_bytes;
    if (covered <= UINT64_C(32) << 20 && chance(30))
        image->bytes = covered + (1 + below(8)) * image->cluster_bytes;
    if (chance(50))
        image->bytes -= below(image->cluster_bytes / SECTOR) * SECTOR;
    image->bytes = least(image->bytes, MODEL_BYTES / 2);
}

static void create(const struct image *image, enum writer writer)
{
    struct command c = {.count = 0};

    if (writer == OURS) {
        add(&c, "%s", run.qedcrash);
        add_all(&c, "img create --force --cluster");
        add(&c, "%" PRIu32, image->cluster_bytes);
        add(&c, "--table=%" PRIu32, image->table_clusters);
        if (image->backing) {
            add(&c, "--backing=%s", image->backing->name);
            add(&c, "--backing-format=%s", image->backing->format);
        }
    } else {
        add_all(&c, "qemu-img create -q -f qed -o");
        add(&c, "cluster_size=%" PRIu32 ",table_size=%" PRIu32, image->cluster_bytes, image->table_clusters);
        if (image->backing) {
            add_all(&c, "-b");
            add(&c, "%s", image->backing->name);
            add_all(&c, "-F");
            add(&c, "%s", image->backing->format);
        }
    }
    add(&c, "%s", image->name);
    add(&c, "%" PRIu64, image->bytes);
    go(&c);
}

/* ---- the guest ---- */

enum op_kind { OP_WRITE, OP_ZERO, OP_READ, OP_FLUSH, OP_DISCARD, OP_TRUNCATE };

struct op {
    enum op_kind kind;
    uint64_t offset, length;
    uint8_t pattern;
};

static void choose_range(const struct image *image, struct op *op)
{
    uint64_t unit = chance(40) ? image->cluster_bytes : chance(60) ? SECTOR : 1;
    uint64_t covered = (uint64_t)image->cluster_bytes * image->table_clusters / 8 * image->cluster_bytes;
    uint64_t most = 3 * (uint64_t)image->cluster_bytes;

    op->offset = below(image->bytes);
    if (chance(30)) /* near the beginning clusters meet again */
        op->offset = below(least(image->bytes, 4 * (uint64_t)image->cluster_bytes));
    else if (covered < image->bytes && chance(40))
        op->offset = covered - least(covered, below(2 * (uint64_t)image->cluster_bytes));
    op->offset -= op->offset % unit;
    op->length = 1 + (chance(40) ? below(SECTOR * 4) : below(most));
    if (chance(50))
        op->length = (op->length + unit - 1) / unit * unit;
    if (op->length > image->bytes - op->offset || chance(5))
        op->length = least(image->bytes - op->offset, most);
}

static uint64_t first_cluster(const struct image *image, const struct op *op)
{
    return op->offset / image->cluster_bytes;
}

static uint64_t end_cluster(const struct image *image, const struct op *op)
{
    return (op->offset + op->length + image->cluster_bytes - 1) / image->cluster_bytes;
}

static bool covers(const struct image *image, const struct op *op, uint64_t cluster)
{
    return op->offset <= cluster * image->cluster_bytes &&
           op->offset + op->length >= (cluster + 1) * image->cluster_bytes;
}

/* Would a writer with QEMU's quirk show the backing file's bytes in a cluster that is zero? */
static bool hits_quirk(const struct image *image, const struct op *op)
{
    if (!image->backing || (op->kind != OP_WRITE && op->kind != OP_ZERO))
        return false;
    for (uint64_t i = first_cluster(image, op); i < end_cluster(image, op); i++)
        if (image->state[i] == ZERO && !covers(image, op, i))
            return true;
    return false;
}

/* Growing over a longer backing file is refused by both. */
static bool may_grow(const struct image *image)
{
    return image->bytes < MODEL_BYTES / 2 && (!image->backing || image->backing->bytes <= image->bytes);
}

static void choose_op(const struct image *image, bool quirk, struct op *op)
{
    static const enum op_kind kinds[] = {OP_WRITE, OP_WRITE, OP_WRITE, OP_WRITE, OP_WRITE,   OP_ZERO,
                                         OP_ZERO,  OP_ZERO,  OP_READ,  OP_FLUSH, OP_DISCARD, OP_TRUNCATE};

    do {
        *op = (struct op){.kind = kinds[below(sizeof(kinds) / sizeof(kinds[0]))], .pattern = (uint8_t)below(256)};
        if (op->kind == OP_TRUNCATE) {
            if (!may_grow(image))
                op->kind = OP_FLUSH;
            else
                op->length = (image->bytes / SECTOR + below(3 * image->cluster_bytes / SECTOR)) * SECTOR;
        } else if (op->kind != OP_FLUSH) {
            choose_range(image, op);
        }
    } while (quirk && hits_quirk(image, op));
}

static void apply(struct image *image, const struct op *op)
{
    if (op->kind == OP_TRUNCATE)
        image->bytes = op->length;
    if (op->kind != OP_WRITE && op->kind != OP_ZERO)
        return;
    memset(image->model + op->offset, op->kind == OP_ZERO ? 0 : op->pattern, op->length);
    for (uint64_t i = first_cluster(image, op); i < end_cluster(image, op); i++) {
        if (op->kind == OP_WRITE || !covers(image, op, i))
            image->state[i] = DATA;
        else if (image->state[i] == UNALLOCATED)
            image->state[i] = ZERO;
    }
}

static void add_op(struct command *c, const struct op *op)
{
    add(c, "-c");
    switch (op->kind) {
    case OP_WRITE:
        add(c, "write -P %u %" PRIu64 " %" PRIu64, op->pattern, op->offset, op->length);
        break;
    case OP_ZERO:
        add(c, "write -z %" PRIu64 " %" PRIu64, op->offset, op->length);
        break;
    case OP_READ:
        add(c, "read %" PRIu64 " %" PRIu64, op->offset, op->length);
        break;
    case OP_FLUSH:
        add(c, "flush");
        break;
    case OP_DISCARD:
        add(c, "discard %" PRIu64 " %" PRIu64, op->offset, op->length);
        break;
    case OP_TRUNCATE:
        add(c, "truncate %" PRIu64, op->length);
        break;
    }
}

static void begin_session(struct command *c, enum writer writer, const char *design)
{
    c->count = 0;
    if (writer == OURS) {
        add(c, "%s", run.qedcrash);
        add_all(c, "img io -q --design");
        add(c, "%s", design);
    } else {
        add_all(c, "qemu-io -t writeback -f qed");
    }
}

static void session(struct image *image, enum writer writer, const char *design, bool quirk)
{
    uint64_t count = 1 + below(OPS_MAX);
    struct command c;

    begin_session(&c, writer, design);
    for (uint64_t i = 0; i < count; i++) {
        struct op op;

        choose_op(image, quirk, &op);
        add_op(&c, &op);
        apply(image, &op);
    }
    add(&c, "%s", image->name);
    go(&c);
}

/* ---- backing files ---- */

static void write_file(const char *name, const uint8_t *bytes, uint64_t length)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    for (uint64_t done = 0; fd >= 0 && done < length;) {
        ssize_t n = write(fd, bytes + done, length - done);

        if (n <= 0)
            break;
        done += (uint64_t)n;
    }
    if (fd < 0 || close(fd) < 0)
        fail("%s: %s", name, strerror(errno));
}

/* A raw file of runs of random bytes, shorter or longer than the overlay; sometimes no whole number of sectors. */
static void make_raw(struct image *base, uint64_t overlay_bytes)
{
    base->format = "raw";
    base->bytes = chance(25) ? overlay_bytes : 1 + below(overlay_bytes + overlay_bytes / 4);
    if (chance(80))
        base->bytes = (base->bytes + SECTOR - 1) / SECTOR * SECTOR;
    for (uint64_t at = 0, length; at < base->bytes; at += length) {
        length = least(1 + below(32768), base->bytes - at);
        memset(base->model + at, chance(20) ? 0 : (int)below(256), length);
    }
    write_file(base->name, base->model, base->bytes);
}

static void make_qed(struct image *base)
{
    enum writer writer = chance(50) ? OURS : QEMU;

    choose_geometry(base);
    create(base, writer);
    session(base, writer, "careful", true);
}

/* What the overlay shows before it is written. */
static void inherit(struct image *image, const struct image *base)
{
    memcpy(image->model, base->model, least(image->bytes, base->bytes));
    image->backing = base;
}

/* True if there is one. */
static bool make_backing(struct image *image, struct image *base)
{
    if (chance(45))
        return false;
    *base = image_new("base");
    if (chance(65))
        make_raw(base, image->bytes);
    else
        make_qed(base);
    inherit(image, base);
    return true;
}

/* ---- comparing ---- */

static void compare(const char *who, const char *name, const uint8_t *model, uint64_t bytes)
{
    int fd = open(name, O_RDONLY);
    struct stat st;
    uint8_t *got;

    if (fd < 0 || fstat(fd, &st) < 0)
        fail("%s: %s", name, strerror(errno));
    if ((uint64_t)st.st_size != bytes)
        fail("%s reads %" PRIu64 " bytes, the model has %" PRIu64, who, (uint64_t)st.st_size, bytes);
    got = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (got == MAP_FAILED)
        fail("mmap: %s", strerror(errno));
    close(fd);
    for (uint64_t i = 0; memcmp(got, model, bytes) != 0; i++)
        if (got[i] != model[i])
            fail("%s reads 0x%02x at %" PRIu64 ", the model has 0x%02x", who, got[i], i, model[i]);
    munmap(got, bytes);
}

static void contents_sequence(void)
{
    enum writer writer = run.index % 2 ? QEMU : OURS;
    const char *design = writer == OURS && chance(70) ? "careful" : "upstream";
    bool quirk = strcmp(design, "careful") != 0;
    struct image image = image_new("image"), base;
    bool has_base;

    choose_geometry(&image);
    has_base = make_backing(&image, &base);
    create(&image, writer);
    for (uint64_t sessions = 1 + below(3); sessions > 0; sessions--)
        session(&image, writer, design, quirk);
    go_words("qemu-img check -q -f qed %s", image.name);
    go_words("%s img check %s", run.qedcrash, image.name);
    go_words("qemu-img convert -f qed -O raw %s theirs.raw", image.name);
    compare("QEMU", "theirs.raw", image.model, image.bytes);
    go_words("%s img convert --force %s ours.raw", run.qedcrash, image.name);
    compare("qedcrash", "ours.raw", image.model, image.bytes);
    image_free(&image);
    if (has_base)
        image_free(&base);
}

static void bytes_sequence(void)
{
    struct image image = image_new("image"), base;
    bool has_base;

    choose_geometry(&image);
    has_base = make_backing(&image, &base);
    create(&image, QEMU);
    snprintf(image.name, sizeof(image.name), "ours");
    create(&image, OURS);
    go_words("cmp image ours");
    for (uint64_t sessions = 1 + below(3); sessions > 0; sessions--) {
        uint64_t before = run.random, bytes = image.bytes;

        snprintf(image.name, sizeof(image.name), "image");
        session(&image, QEMU, "", false);
        run.random = before; /* once more, the same */
        image.bytes = bytes;
        snprintf(image.name, sizeof(image.name), "ours");
        session(&image, OURS, "upstream", false);
        go_words("cmp image ours");
    }
    image_free(&image);
    if (has_base)
        image_free(&base);
}

int main(int argc, char **argv)
{
    uint64_t first, count;

    setvbuf(stdout, NULL, _IOLBF, 0);
    run.qedcrash = getenv("QEDCRASH");
    if (argc != 6 || !run.qedcrash || (strcmp(argv[1], "contents") != 0 && strcmp(argv[1], "bytes") != 0)) {
        fprintf(stderr, "usage: QEDCRASH=... qemu_random contents|bytes SEED FIRST COUNT DIR\n");
        return 2;
    }
    run.mode = argv[1];
    run.seed = strtoull(argv[2], NULL, 0);
    first = strtoull(argv[3], NULL, 0);
    count = strtoull(argv[4], NULL, 0);
    run.dir = argv[5];
    if (chdir(run.dir) < 0)
        fail("%s: %s", run.dir, strerror(errno));
    for (run.index = first; run.index < first + count; run.index++) {
        run.random = run.seed * UINT64_C(0x100000001b3) + run.index * UINT64_C(0xd1342543de82ef95);
        run.history_used = 0;
        if (run.mode[0] == 'c')
            contents_sequence();
        else
            bytes_sequence();
    }
    return 0;
}
