/* fuzz_image.c: any image, good or broken: open, check, repair, check again, read and write everywhere, close, reopen.
 *
 *     input ──image_bytes──▶ file ─┬─▶ look     read-only: nothing is written; check and the oracle's walk agree
 *                                  ├─▶ repair   what repair leaves is what it says, and a second repair changes nothing
 *                                  └─▶ use      a guest at representative places; on an image that check calls clean it reads
 *                                               back what it wrote, its neighbours are unchanged, and the image stays clean
 *
 * The input's two bytes for the target choose the design, the kind of disk and the backing file.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/qed.h"
#include "oracle/walk.h"
#include "simdisk/mem_disk.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/image_bytes.h"
#include "tests/fuzz/watched_disk.h"

#define SECTOR      BLK_SECTOR_BYTES
#define MOST_PLACES 48u
#define MOST_OPS    12u

/* Of IMAGE_AT_USE_MORE. IMAGE_AT_USE is the design. */
enum use_bit {
    USE_FIXED = 1,
    USE_SPARSE = 2,
    USE_TIMED = 4,
    USE_BACKING = 8,
    USE_ITSELF = 16,   /* as its own backing file */
    USE_REPAIRED = 32, /* the guest gets the repaired image */
};

struct run {
    struct image_bytes image;
    const struct qed_design *design;
    uint8_t use;
    struct walk *walk;
    struct qed_pool *pool;
    struct walk_result seen; /* of the image as it came */
    int seen_ret;
    struct sim_pages *repaired; /* NULL, or what repair left */
    uint64_t repaired_bytes;
};

static void set_int(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

#define NOT_DONE INT32_MIN

static int settled(int ret, const char *what)
{
    if (ret == NOT_DONE)
        fuzz_violation("%s was never completed, on a disk that completes at once", what);
    return ret;
}

static bool same_pages(const struct sim_pages *a, const struct sim_pages *b)
{
    uint64_t count = sim_pages_count(a) > sim_pages_count(b) ? sim_pages_count(a) : sim_pages_count(b);
    for (uint64_t at = 0; at < count; at++) {
        uint64_t next_a = sim_pages_next_data(a, at * SIM_PAGE_BYTES, count * SIM_PAGE_BYTES) / SIM_PAGE_BYTES;
        uint64_t next_b = sim_pages_next_data(b, at * SIM_PAGE_BYTES, count * SIM_PAGE_BYTES) / SIM_PAGE_BYTES;
        at = next_a < next_b ? next_a : next_b;
        const uint8_t *in_a = sim_pages_at(a, at), *in_b = sim_pages_at(b, at);
        if (at < count && in_a != in_b && memcmp(in_a, in_b, SIM_PAGE_BYTES) != 0)
            return false;
    }
    return true;
}

/* --- look ---------------------------------------------------------------------------------------------------------- */

/* Check and walk share no code: where they do not say the same, one of them is wrong. */
static void agree(const struct qed_check_result *check, const struct walk_result *walk, const char *when)
{
    if (check->corruptions != walk_faults(walk) || check->leaks != walk->leaked)
        fuzz_violation("%s: check says %" PRIu64 " corruptions and %" PRIu64 " leaks; the walk %" PRIu64 " and %" PRIu64
                       " (%s)",
                       when, check->corruptions, check->leaks, walk_faults(walk), walk->leaked, walk->first_fault);
}

static void read_a_little(struct qed *q)
{
    uint64_t size = qed_image_bytes(q), places[4] = {0, size / 2 / SECTOR * SECTOR, size - SECTOR, size};
    uint8_t sector[SECTOR];
    for (unsigned i = 0; size && i < 4; i++) {
        struct iovec iov = {.iov_base = sector, .iov_len = SECTOR};
        enum qed_map_kind kind;
        uint64_t offset, run;
        int ret = NOT_DONE;
        qed_readv(q, places[i], &iov, 1, set_int, &ret);
        if (settled(ret, "a read") == 0 && places[i] >= size)
            fuzz_violation("a read behind the image's end succeeded");
        if (places[i] < size && qed_map(q, places[i], size - places[i], &kind, &offset, &run) == 0 &&
            (!run || run > size - places[i]))
            fuzz_violation("map answers with a run of %" PRIu64 " bytes", run);
    }
}

static void look(struct run *r)
{
    struct watched_disk disk;
    struct qed_open_options options = {
        .design = qed_design_find("careful"), .read_only = true, .no_backing = true, .pool = r->pool};
    struct qed_check_result check;
    struct qed_error err;
    struct qed *q;
    watched_disk_init(&disk, r->image.pages, r->image.length_bytes, (struct watched_kind){.sparse = true});
    disk.read_only = true;
    r->seen_ret = walk_image(r->walk, &disk.blk, &r->seen);
    int ret = qed_open(&disk.blk, &options, &q, &err);
    if (!ret != !r->seen_ret)
        fuzz_violation("open says %d (%s), the walk %d (%s)", ret, err.text, r->seen_ret, r->seen.first_fault);
    if (ret) {
        if (!err.text[0] || q)
            fuzz_violation("open failed with %d and said nothing", ret);
        return;
    }
    if (qed_need_check(q) != r->seen.marked)
        fuzz_violation("open and walk do not agree about the mark");
    if (qed_check(q, true, &check) != -EACCES)
        fuzz_violation("a read-only image was to be repaired");
    ret = qed_check(q, false, &check);
    if (ret || check.check_errors || check.corruptions_fixed)
        fuzz_violation("check of a readable image failed: %d", ret);
    agree(&check, &r->seen, "as it came");
    read_a_little(q);
    qed_close(q);
}

/* --- repair -------------------------------------------------------------------------------------------------------- */

static void walk_now(struct run *r, struct watched_disk *disk, struct walk_result *walk)
{
    int ret = walk_image(r->walk, &disk->blk, walk);
    if (ret)
        fuzz_violation("after that the walk cannot read the image: %d (%s)", ret, walk->first_fault);
}

static void check_repair(struct run *r, struct qed *q, struct watched_disk *disk)
{
    struct qed_check_result before, first, second;
    struct walk_result walk;
    if (qed_check(q, false, &before) || qed_check(q, true, &first))
        fuzz_violation("check or repair of a readable image failed");
    agree(&before, &r->seen, "before repair");
    if (first.corruptions + first.corruptions_fixed != before.corruptions)
        fuzz_violation("check finds %" PRIu64 ", repair mends %" PRIu64 " and leaves %" PRIu64, before.corruptions,
                       first.corruptions_fixed, first.corruptions);
    walk_now(r, disk, &walk);
    agree(&first, &walk, "after repair");
    if (walk.dangling || walk.misaligned)
        fuzz_violation("repair left an entry that it could mend: %s", walk.first_fault);
    if (!first.corruptions && walk.marked)
        fuzz_violation("repair left nothing wrong, and the mark");
    struct sim_pages *once = sim_pages_snapshot(disk->pages);
    uint64_t length = disk->length_bytes;
    if (qed_check(q, true, &second))
        fuzz_violation("the second repair failed");
    if (second.corruptions_fixed || second.corruptions != first.corruptions || second.leaks != first.leaks ||
        length != disk->length_bytes || !same_pages(once, disk->pages))
        fuzz_violation("the second repair is not idle");
    sim_pages_destroy(once);
}

static void repair(struct run *r)
{
    struct sim_pages *pages = sim_pages_snapshot(r->image.pages);
    struct watched_disk disk;
    struct qed_open_options options = {.design = r->design, .check_mode = true, .no_backing = true, .pool = r->pool};
    struct qed *q;
    watched_disk_init(&disk, pages, r->image.length_bytes, (struct watched_kind){.sparse = r->use & USE_SPARSE});
    if (qed_open(&disk.blk, &options, &q, NULL))
        fuzz_violation("an image that opens read-only does not open for repair");
    /* What the tail holds is cut, or set aside, by some designs; then there is a leak more or less. */
    if (disk.length_bytes == r->image.length_bytes && !qed_opened(q)->tail_partial)
        check_repair(r, q, &disk);
    else if (qed_check(q, true, &(struct qed_check_result){0}))
        fuzz_violation("repair of a readable image failed");
    if (qed_close(q))
        fuzz_violation("close failed after repair");
    r->repaired = pages;
    r->repaired_bytes = disk.length_bytes;
}

/* --- use ----------------------------------------------------------------------------------------------------------- */

struct place {
    uint64_t pos;
    uint8_t held[SECTOR];
    bool known, zero_too; /* zero_too: it may have become zeros (a discard) */
};

struct guest {
    struct qed *q;
    struct watched_disk *disk;
    struct place places[MOST_PLACES];
    unsigned count;
    bool exact;    /* all is well with the image, so each answer is known */
    bool may_fail; /* ... but for a full device, or a backing file shorter than the image */
    uint8_t *buf;
    size_t buf_bytes;
};

static void add_place(struct guest *g, uint64_t pos)
{
    pos = pos / SECTOR * SECTOR;
    if (g->count == MOST_PLACES || pos >= qed_image_bytes(g->q))
        return;
    for (unsigned i = 0; i < g->count; i++)
        if (g->places[i].pos == pos)
            return;
    g->places[g->count++].pos = pos;
}

/* A cluster's first sector, its last, and the next cluster's first. */
static void add_cluster(struct guest *g, uint64_t cluster)
{
    uint64_t bytes = qed_get_geometry(g->q)->cluster_bytes;
    uint64_t pos = cluster > UINT64_MAX / bytes ? 0 : cluster * bytes;
    add_place(g, pos);
    add_place(g, pos + bytes - SECTOR);
    add_place(g, pos + bytes);
}

/* Ends and middles; and whatever the input's records name, as if their table were the first one's or the L1's. */
static void choose_places(struct guest *g, const struct image_bytes *image)
{
    const struct qed_geometry *geometry = qed_get_geometry(g->q);
    uint64_t size = qed_image_bytes(g->q);
    add_cluster(g, 0);
    add_place(g, size - SECTOR);
    add_place(g, size / 2);
    add_cluster(g, geometry->table_entries - 1);
    for (size_t i = 0; i < image->record_count; i++) {
        const uint8_t *record = image->records + i * IMAGE_RECORD_BYTES;
        uint64_t index = (record[2] | (record[3] & ~IMAGE_INDEX_FROM_END) << 8) % geometry->table_entries;
        index = record[3] & IMAGE_INDEX_FROM_END ? geometry->table_entries - 1 - index : index;
        add_cluster(g, record[0] % IMAGE_WHAT_COUNT == IMAGE_WHAT_L1 ? index * geometry->table_entries : index);
    }
}

static int answer(struct guest *g, int ret, const char *what)
{
    settled(ret, what);
    if (ret && g->exact && !g->may_fail)
        fuzz_violation("%s failed on a clean image: %d", what, ret);
    return ret;
}

static int read_sector(struct guest *g, uint64_t pos, uint8_t *to)
{
    struct iovec iov = {.iov_base = to, .iov_len = SECTOR};
    int ret = NOT_DONE;
    qed_readv(g->q, pos, &iov, 1, set_int, &ret);
    return answer(g, ret, "a read");
}

static void read_places(struct guest *g)
{
    static const uint8_t zeros[SECTOR];
    uint8_t now[SECTOR];
    for (unsigned i = 0; i < g->count; i++) {
        struct place *p = &g->places[i];
        bool readable = read_sector(g, p->pos, now) == 0;
        if (readable && p->known && g->exact && memcmp(now, p->held, SECTOR) != 0 &&
            !(p->zero_too && memcmp(now, zeros, SECTOR) == 0))
            fuzz_violation("the sector at %" PRIu64 " is not what it was: 0x%02x.., not 0x%02x..", p->pos, now[0],
                           p->held[0]);
        memcpy(p->held, now, readable ? SECTOR : 0);
        p->known = readable;
        p->zero_too = false;
    }
}

/* The range is now this byte's; after a failure nobody knows. */
static void expect(struct guest *g, uint64_t pos, uint64_t bytes, int byte, int ret)
{
    for (unsigned i = 0; i < g->count; i++) {
        struct place *p = &g->places[i];
        if (p->pos < pos || p->pos >= pos + bytes)
            continue;
        p->known = p->known && !ret;
        if (byte < 0)
            p->zero_too = true;
        else
            memset(p->held, byte, SECTOR);
        if (byte >= 0 && !ret)
            p->known = true;
    }
}

static void use_place(struct guest *g, unsigned number)
{
    uint64_t pos = g->places[number].pos, left = qed_image_bytes(g->q) - pos;
    uint64_t cluster = qed_get_geometry(g->q)->cluster_bytes, bytes = SECTOR;
    int ret = NOT_DONE, byte = (int)(0x40 + number);
    if (number % 3 == 1)
        bytes = cluster;
    if (number % 3 == 2)
        bytes = cluster + SECTOR;
    bytes = bytes < left ? bytes : left;
    bytes = bytes < g->buf_bytes ? bytes : g->buf_bytes;
    switch (number % 5) {
    case 0:
    case 1:
    case 2:
        memset(g->buf, byte, bytes);
        /* In two pieces, that need not be sectors. */
        qed_writev(g->q, pos, (struct iovec[]){{g->buf, 100}, {g->buf + 100, bytes - 100}}, 2, set_int, &ret);
        break;
    case 3:
        byte = 0;
        qed_write_zeroes(g->q, pos, bytes, set_int, &ret);
        break;
    default:
        byte = -1;
        qed_discard(g->q, pos, bytes, set_int, &ret);
    }
    expect(g, pos, bytes, byte, answer(g, ret, "a write"));
}

static void play_guest(struct guest *g, const struct image_bytes *image)
{
    int ret = NOT_DONE;
    choose_places(g, image);
    read_places(g);
    for (unsigned i = 0; i < g->count && i < MOST_OPS; i++) {
        use_place(g, i * 5 % g->count);
        if (i == 4)
            watched_disk_sleep(g->disk);
    }
    read_places(g);
    qed_flush(g->q, set_int, &ret);
    answer(g, ret, "a flush");
}

static struct sim_pages *backing_pages;
#define BACKING_BYTES (5 * 4096 + 512)

struct host {
    struct qed_backing_host host; /* first */
    const struct run *run;
    struct sim_pages *itself;
};

static int open_backing(struct qed_backing_host *host, const char *name, struct blockdev **dev, struct qed_error *err)
{
    struct host *h = (struct host *)host;
    (void)name, (void)err;
    if (h->run->use & USE_ITSELF)
        *dev = mem_disk_create(h->itself, h->run->image.length_bytes, true);
    else
        *dev = mem_disk_create(backing_pages, BACKING_BYTES, true);
    return 0;
}

/* Some designs read wrong by design: QEMU 7.2's quirk, the 2010 driver's limit, and fills left out over stale space. */
static bool reads_right(const struct qed_design *d, bool backing)
{
    return d->zero_fill != QED_ZERO_FILL_SKIP_ALL_ZERO &&
           (!backing || (d->backing_clip && d->zero_cluster_fill == QED_ZERO_CLUSTER_FILL_ZEROS));
}

static void after_close(struct run *r, struct watched_disk *disk, struct guest *g, struct qed_open_options *options)
{
    struct qed_check_result check;
    struct walk_result walk;
    if (g->exact) {
        walk_now(r, disk, &walk);
        if (walk_faults(&walk))
            fuzz_violation("a clean image was used and closed, and is not clean: %s", walk.first_fault);
    }
    int ret = qed_open(&disk->blk, options, &g->q, NULL);
    if (ret && g->exact)
        fuzz_violation("a clean image was used and closed, and does not open: %d", ret);
    if (ret)
        return;
    if (qed_check(g->q, false, &check) == 0 && g->exact && check.corruptions)
        fuzz_violation("a clean image was used, closed and opened, and has corruptions");
    read_places(g);
    qed_abandon(g->q);
}

static void change(struct guest *g)
{
    uint64_t size = qed_image_bytes(g->q);
    int ret = qed_truncate(g->q, size, NULL);
    if (ret && g->exact)
        fuzz_violation("an image could not be set to its own size: %d", ret);
    if (!qed_truncate(g->q, size + SECTOR, NULL) && qed_image_bytes(g->q) != size + SECTOR)
        fuzz_violation("growing left the size as it was");
    if (!qed_reopen(g->q, true, NULL) && qed_reopen(g->q, false, NULL) && g->exact && !g->may_fail)
        fuzz_violation("a clean image could not be reopened");
}

/* Of the tables there must be little enough that opening a chain of 64 of them is quick. */
static bool may_be_its_own(const struct image_bytes *image)
{
    return image->table_bytes <= 65536;
}

static void use(struct run *r)
{
    bool mended = r->use & USE_REPAIRED && r->repaired;
    struct sim_pages *pages = sim_pages_snapshot(mended ? r->repaired : r->image.pages);
    struct host host = {.host = {.open = open_backing}, .run = r, .itself = r->image.pages};
    struct watched_disk disk;
    bool backing = r->use & USE_BACKING && !(r->use & USE_ITSELF && !may_be_its_own(&r->image));
    struct qed_open_options options = {
        .design = r->design, .pool = r->pool, .backing_host = &host.host, .no_backing = !backing};
    struct guest g = {.disk = &disk};
    struct qed_check_result check;
    struct qed_error err;
    static uint8_t buf[2 * 65536 + SECTOR];
    watched_disk_init(&disk, pages, mended ? r->repaired_bytes : r->image.length_bytes,
                      (struct watched_kind){r->use & USE_FIXED, r->use & USE_SPARSE, r->use & USE_TIMED});
    int ret = qed_open(&disk.blk, &options, &g.q, &err);
    if (ret && !err.text[0])
        fuzz_violation("open failed with %d and said nothing", ret);
    if (!ret) {
        disk.header_bytes = qed_get_geometry(g.q)->header_bytes;
        backing = backing && qed_backing_name(g.q);
        g.exact = qed_check(g.q, false, &check) == 0 && !check.corruptions && !check.check_errors &&
                  reads_right(r->design, backing);
        g.may_fail = r->use & USE_FIXED;
        g.buf_bytes = sizeof(buf);
        g.buf = buf;
        play_guest(&g, &r->image);
        change(&g);
        read_places(&g);
        ret = qed_close(g.q);
        if (ret && g.exact && !g.may_fail)
            fuzz_violation("close failed on a clean image: %d", ret);
        after_close(r, &disk, &g, &options);
    }
    sim_pages_destroy(pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r = {.image = image_bytes_make(data, size), .walk = walk_create(), .pool = qed_pool_create()};
    if (!backing_pages) {
        uint8_t page[SIM_PAGE_BYTES];
        backing_pages = sim_pages_create();
        for (unsigned i = 0; i * SIM_PAGE_BYTES < BACKING_BYTES; i++) {
            memset(page, 0xb0 + (int)i, sizeof(page));
            sim_pages_write(backing_pages, (uint64_t)i * SIM_PAGE_BYTES, page,
                            BACKING_BYTES - i * SIM_PAGE_BYTES < sizeof(page) ? BACKING_BYTES % SIM_PAGE_BYTES
                                                                              : sizeof(page));
        }
    }
    r.design = &qed_designs[r.image.use[0] % qed_design_count];
    r.use = r.image.use[1];
    look(&r);
    if (!r.seen_ret)
        repair(&r);
    use(&r);
    if (r.repaired)
        sim_pages_destroy(r.repaired);
    sim_pages_destroy(r.image.pages);
    walk_destroy(r.walk);
    qed_pool_destroy(r.pool);
    return 0;
}
