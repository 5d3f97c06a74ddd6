/* test_simdisk_crash_kit.c: histories by hand, sets of images, choosers. The naive model is in test_simdisk_crash_naive.c. */
#include "tests/unit/test_simdisk_crash_kit.h"

/* ---- sets of images ---- */

void image_set_free(struct image_set *set)
{
    free(set->items);
    *set = (struct image_set){0};
}

void image_set_add(struct image_set *set, const struct image *image)
{
    if (set->count == set->cap) {
        set->cap = set->cap ? 2 * set->cap : 64;
        set->items = realloc(set->items, set->cap * sizeof(*set->items));
        assert_non_null(set->items);
    }
    set->items[set->count++] = *image;
}

static int compare_images(const void *a, const void *b)
{
    const struct image *x = a, *y = b;
    int order = memcmp(x->sector, y->sector, KIT_SECTORS);

    if (order)
        return order;
    return x->length < y->length ? -1 : x->length > y->length;
}

static int compare_images_and_when(const void *a, const void *b)
{
    const struct image *x = a, *y = b;
    int order = compare_images(a, b);

    return order ? order : x->when < y->when ? -1 : x->when > y->when;
}

void image_set_finish(struct image_set *set)
{
    size_t kept = 0;

    if (set->count)
        qsort(set->items, set->count, sizeof(*set->items), compare_images_and_when);
    for (size_t i = 0; i < set->count; i++) {
        if (!kept || compare_images(&set->items[kept - 1], &set->items[i]))
            set->items[kept++] = set->items[i];
    }
    set->count = kept;
}

bool image_set_has(const struct image_set *set, const struct image *image)
{
    return set->count && bsearch(image, set->items, set->count, sizeof(*image), compare_images);
}

void image_set_restrict(struct image_set *set, const struct image_set *other)
{
    size_t kept = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct image *same =
            other->count ? bsearch(&set->items[i], other->items, other->count, sizeof(*same), compare_images) : NULL;

        if (same && same->when >= set->items[i].when)
            set->items[kept++] = *same;
    }
    set->count = kept;
}

static void print_image(const char *what, const struct image *image)
{
    printf("%-28s @%-3u length %2u ", what, image->when, image->length);
    for (unsigned i = 0; i < KIT_SECTORS; i++)
        putchar(image->sector[i] ? image->sector[i] : '.');
    putchar('\n');
}

bool image_set_same(const struct image_set *a, const struct image_set *b, bool with_when, const char *name_a,
                    const char *name_b)
{
    size_t i = 0, k = 0, wrong = 0;
    char what[64];

    while (i < a->count || k < b->count) {
        int order = i == a->count ? 1 : k == b->count ? -1 : compare_images(&a->items[i], &b->items[k]);

        if (order < 0) {
            snprintf(what, sizeof(what), "only %s:", name_a);
            if (wrong++ < 8)
                print_image(what, &a->items[i]);
        } else if (order > 0) {
            snprintf(what, sizeof(what), "only %s:", name_b);
            if (wrong++ < 8)
                print_image(what, &b->items[k]);
        } else if (with_when && a->items[i].when != b->items[k].when) {
            snprintf(what, sizeof(what), "%s says @%u, %s:", name_a, a->items[i].when, name_b);
            if (wrong++ < 8)
                print_image(what, &b->items[k]);
        }
        i += order <= 0;
        k += order >= 0;
    }
    return !wrong;
}

/* ---- histories ---- */

struct history *tiny_history(uint32_t base_sectors, bool fixed)
{
    struct sim_pages *base = sim_pages_create();
    uint8_t sector[BLK_SECTOR_BYTES];

    for (uint32_t i = 0; i < base_sectors; i++) {
        memset(sector, 'a' + (int)i, sizeof(sector));
        sim_pages_write(base, (uint64_t)i * sizeof(sector), sector, sizeof(sector));
    }
    return history_create(base, (uint64_t)base_sectors * sizeof(sector), fixed);
}

uint32_t tiny_write(struct history *h, enum blk_event label, uint32_t sector, const char *bytes)
{
    size_t count = strlen(bytes);
    struct hist_op op = {.kind = HIST_WRITE,
                         .label = label,
                         .reached_disk = true,
                         .offset_bytes = (uint64_t)sector * BLK_SECTOR_BYTES,
                         .length_bytes = count * BLK_SECTOR_BYTES,
                         .data = malloc(count * BLK_SECTOR_BYTES)};

    assert_non_null(op.data);
    for (size_t i = 0; i < count; i++)
        memset(op.data + i * BLK_SECTOR_BYTES, bytes[i] == '.' ? 0 : bytes[i], BLK_SECTOR_BYTES);
    return history_submit(h, &op);
}

uint32_t tiny_write_done(struct history *h, uint32_t sector, const char *bytes)
{
    uint32_t op = tiny_write(h, BLK_EVENT_NONE, sector, bytes);

    history_done(h, op, 0);
    return op;
}

uint32_t tiny_flush(struct history *h)
{
    return history_submit(h, &(struct hist_op){.kind = HIST_FLUSH, .label = BLK_EVENT_FLUSH_TO_DISK});
}

void tiny_flush_done(struct history *h, int ret)
{
    history_done(h, tiny_flush(h), ret);
}

void tiny_resize(struct history *h, uint32_t sectors)
{
    struct hist_op op = {.kind = HIST_RESIZE,
                         .label = BLK_EVENT_TRUNCATE,
                         .reached_disk = true,
                         .length_bytes = (uint64_t)sectors * BLK_SECTOR_BYTES};

    history_done(h, history_submit(h, &op), 0);
}

static void print_op(const struct history *h, uint32_t index)
{
    const struct hist_op *op = &h->ops[index];
    char name[24];

    history_op_name(h, index, name, sizeof(name));
    printf(" %s", name);
    if (op->kind == HIST_RESIZE)
        printf(" to %u", (unsigned)(op->length_bytes / BLK_SECTOR_BYTES));
    if (op->kind != HIST_WRITE)
        return;
    printf(" at %u \"", (unsigned)(op->offset_bytes / BLK_SECTOR_BYTES));
    for (uint64_t i = 0; i < op->length_bytes; i += BLK_SECTOR_BYTES)
        putchar(op->data[i] ? op->data[i] : '.');
    printf("\"%s", op->reached_disk ? "" : " (never reached the disk)");
}

void tiny_print(const struct history *h)
{
    printf("history over %u sectors%s\n", (unsigned)(h->base_length_bytes / BLK_SECTOR_BYTES),
           h->fixed_size ? ", fixed" : "");
    for (uint32_t i = 0; i < h->event_count; i++) {
        const struct hist_event *e = &h->events[i];

        printf("%4u %s", i, e->kind == HIST_MARK ? "mark" : e->kind == HIST_DONE ? "done" : "submit");
        if (e->kind == HIST_MARK)
            printf("%s", h->marks[e->op].boundary ? " (boundary)" : "");
        else
            print_op(h, e->op);
        if (e->kind == HIST_DONE)
            printf(" -> %d", h->ops[e->op].ret);
        putchar('\n');
    }
}

/* ---- reading ---- */

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static uint8_t only_byte(const uint8_t *sector)
{
    assert_true(!memcmp(sector, sector + 1, BLK_SECTOR_BYTES - 1)); /* cmocka's own comparison takes most of the time */
    return sector[0];
}

uint8_t tiny_read_sector(struct crash_disk *disk, uint32_t sector)
{
    uint8_t buf[BLK_SECTOR_BYTES];
    struct iovec iov = {buf, sizeof(buf)};
    struct blockdev *blk = crash_disk_blk(disk);
    int ret = 1;

    memset(buf, 0xee, sizeof(buf));
    blk->ops->readv(blk, (uint64_t)sector * sizeof(buf), &iov, 1, take_ret, &ret);
    assert_int_equal(ret, 0);
    return only_byte(buf);
}

uint32_t tiny_length(struct crash_disk *disk, uint32_t unit_sectors)
{
    struct blockdev *blk = crash_disk_blk(disk);
    uint64_t unit = (uint64_t)unit_sectors * BLK_SECTOR_BYTES, bytes;

    assert_int_equal(blk->ops->length(blk, unit_sectors ? unit : 1, &bytes), 0);
    assert_int_equal(bytes % BLK_SECTOR_BYTES, 0);
    if (unit_sectors)
        assert_int_equal(bytes % unit, 0);
    return (uint32_t)(bytes / BLK_SECTOR_BYTES);
}

void tiny_read(struct crash_disk *disk, struct image *image)
{
    uint8_t buf[KIT_SECTORS * BLK_SECTOR_BYTES];
    struct iovec iov = {buf, sizeof(buf)};
    struct blockdev *blk = crash_disk_blk(disk);
    int ret = 1;

    image->length = tiny_length(disk, 0);
    blk->ops->readv(blk, 0, &iov, 1, take_ret, &ret);
    assert_int_equal(ret, 0);
    for (uint32_t i = 0; i < KIT_SECTORS; i++)
        image->sector[i] = only_byte(buf + (size_t)i * BLK_SECTOR_BYTES);
}

size_t tiny_enumerate(const struct crash_space *space, struct crash_disk *disk, struct image_set *set)
{
    struct crash_enum *e;
    struct image image;
    size_t n = 0;

    crash_disk_load(disk, space, NULL);
    e = crash_enum_create(space, disk);
    do {
        tiny_read(disk, &image);
        image.when = crash_state_when(space, crash_enum_state(e));
        image_set_add(set, &image);
        n++;
    } while (crash_enum_next(e));
    crash_enum_destroy(e);
    return n;
}

/* ---- choosing ---- */

static uint32_t dfs_choose(struct crash_chooser *chooser, enum crash_choice kind, size_t index,
                           const uint32_t *alternatives, uint32_t n)
{
    struct tiny_dfs *dfs = (struct tiny_dfs *)chooser;

    (void)index;
    assert_true(n >= 2);
    for (uint32_t i = 1; i < n; i++)
        assert_true(alternatives[i - 1] < alternatives[i]);
    dfs->asked_length += kind == CRASH_CHOICE_LENGTH;
    assert_true(dfs->at < sizeof(dfs->pick) / sizeof(dfs->pick[0]));
    if (dfs->at == dfs->depth) {
        dfs->pick[dfs->depth] = 0;
        dfs->of[dfs->depth++] = n;
    }
    assert_int_equal(dfs->of[dfs->at], n); /* the same choices before, the same question now */
    return dfs->pick[dfs->at++];
}

void tiny_dfs_start(struct tiny_dfs *dfs)
{
    *dfs = (struct tiny_dfs){.chooser = {.choose = dfs_choose}};
}

bool tiny_dfs_next(struct tiny_dfs *dfs, bool first)
{
    dfs->at = 0;
    dfs->asked_length = 0;
    if (first)
        return true;
    while (dfs->depth && dfs->pick[dfs->depth - 1] + 1 == dfs->of[dfs->depth - 1])
        dfs->depth--;
    if (!dfs->depth)
        return false;
    dfs->pick[dfs->depth - 1]++;
    return true;
}
