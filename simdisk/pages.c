/* The store is a sorted directory of leaves, each naming up to 64 pages, both shared by reference count:
 *
 *     struct sim_pages ──▶ [leaf 0 | leaf 7 | leaf 2^38]     only leaves that name a page; binary search
 *                             │
 *                             ▼
 *                          struct leaf: refs, present (one bit a page), pages[64] ──▶ struct page: refs, 4096 bytes
 *
 * A snapshot copies the directory and shares every leaf. Who writes first makes the leaf its own, then the page. A page
 * that is all zeros by a whole-page write disappears, and a leaf without pages disappears with its last one; so sparse
 * offsets up to 2^62 cost what they hold.
 */
#include "simdisk/pages.h"

#include <assert.h>
#include <string.h>

#include "simdisk/xalloc.h"

#define LEAF_PAGES 64u

struct page {
    uint32_t refs;
    uint8_t bytes[SIM_PAGE_BYTES];
};

struct leaf {
    uint32_t refs;
    uint64_t present;
    struct page *pages[LEAF_PAGES];
};

struct slot {
    uint64_t index; /* page index / LEAF_PAGES */
    struct leaf *leaf;
};

struct sim_pages {
    struct slot *slots; /* by index */
    size_t count, cap;
};

static const uint8_t zero_page[SIM_PAGE_BYTES];

static bool is_zero(const uint8_t *buf, size_t length)
{
    while (length > 0) {
        size_t n = length < sizeof(zero_page) ? length : sizeof(zero_page);

        if (memcmp(buf, zero_page, n) != 0)
            return false;
        buf += n;
        length -= n;
    }
    return true;
}

static size_t min_size(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* ---- pages and leaves ---- */

static void page_unref(struct page *page)
{
    if (--page->refs == 0)
        free(page);
}

/* A page with one reference holding these bytes. */
static struct page *page_create(const uint8_t *bytes)
{
    struct page *page = xmalloc(sizeof(*page));

    page->refs = 1;
    memcpy(page->bytes, bytes, SIM_PAGE_BYTES);
    return page;
}

static void leaf_unref(struct leaf *leaf)
{
    if (--leaf->refs > 0)
        return;
    for (uint64_t left = leaf->present; left; left &= left - 1)
        page_unref(leaf->pages[__builtin_ctzll(left)]);
    free(leaf);
}

static struct leaf *leaf_clone(const struct leaf *leaf)
{
    struct leaf *copy = xmalloc(sizeof(*copy));

    *copy = *leaf;
    copy->refs = 1;
    for (uint64_t left = copy->present; left; left &= left - 1)
        copy->pages[__builtin_ctzll(left)]->refs++;
    return copy;
}

/* The slot's leaf, made this store's own. */
static struct leaf *own_leaf(struct slot *slot)
{
    if (slot->leaf->refs > 1) {
        struct leaf *copy = leaf_clone(slot->leaf);

        leaf_unref(slot->leaf);
        slot->leaf = copy;
    }
    return slot->leaf;
}

/* ---- the directory ---- */

/* Position of the first slot with an index not below this one. */
static size_t lower_bound(const struct sim_pages *pages, uint64_t index)
{
    size_t low = 0, high = pages->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (pages->slots[mid].index < index)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct slot *find_slot(const struct sim_pages *pages, uint64_t index)
{
    size_t at = lower_bound(pages, index);

    return at < pages->count && pages->slots[at].index == index ? &pages->slots[at] : NULL;
}

static struct slot *find_or_add_slot(struct sim_pages *pages, uint64_t index)
{
    size_t at = lower_bound(pages, index);
    struct slot *slot;

    if (at < pages->count && pages->slots[at].index == index)
        return &pages->slots[at];
    pages->slots = xgrow(pages->slots, pages->count, &pages->cap, sizeof(*pages->slots));
    slot = &pages->slots[at];
    memmove(slot + 1, slot, (pages->count - at) * sizeof(*slot));
    pages->count++;
    slot->index = index;
    slot->leaf = xcalloc(1, sizeof(*slot->leaf));
    slot->leaf->refs = 1;
    return slot;
}

static void remove_slot(struct sim_pages *pages, struct slot *slot)
{
    size_t at = (size_t)(slot - pages->slots);

    leaf_unref(slot->leaf);
    pages->count--;
    memmove(slot, slot + 1, (pages->count - at) * sizeof(*slot));
}

/* NULL when it is the zero page. */
static struct page *find_page(const struct sim_pages *pages, uint64_t page_index)
{
    struct slot *slot = find_slot(pages, page_index / LEAF_PAGES);

    return slot ? slot->leaf->pages[page_index % LEAF_PAGES] : NULL;
}

/* Makes it the zero page. */
static void drop_page(struct sim_pages *pages, uint64_t page_index)
{
    struct slot *slot = find_slot(pages, page_index / LEAF_PAGES);
    unsigned i = page_index % LEAF_PAGES;
    struct leaf *leaf;

    if (!slot || !slot->leaf->pages[i])
        return;
    leaf = own_leaf(slot);
    page_unref(leaf->pages[i]);
    leaf->pages[i] = NULL;
    leaf->present &= ~(UINT64_C(1) << i);
    if (!leaf->present)
        remove_slot(pages, slot);
}

/* The page, made this store's own. */
static struct page *own_page(struct sim_pages *pages, uint64_t page_index)
{
    struct leaf *leaf = own_leaf(find_or_add_slot(pages, page_index / LEAF_PAGES));
    unsigned i = page_index % LEAF_PAGES;
    struct page *page = leaf->pages[i];

    if (page && page->refs == 1)
        return page;
    leaf->pages[i] = page_create(page ? page->bytes : zero_page);
    leaf->present |= UINT64_C(1) << i;
    if (page)
        page_unref(page);
    return leaf->pages[i];
}

/* ---- the store ---- */

struct sim_pages *sim_pages_create(void)
{
    return xcalloc(1, sizeof(struct sim_pages));
}

struct sim_pages *sim_pages_snapshot(const struct sim_pages *pages)
{
    struct sim_pages *copy = sim_pages_create();

    copy->count = copy->cap = pages->count;
    copy->slots = xcalloc(pages->count, sizeof(*copy->slots));
    for (size_t i = 0; i < pages->count; i++) {
        copy->slots[i] = pages->slots[i];
        copy->slots[i].leaf->refs++;
    }
    return copy;
}

void sim_pages_destroy(struct sim_pages *pages)
{
    if (!pages)
        return;
    for (size_t i = 0; i < pages->count; i++)
        leaf_unref(pages->slots[i].leaf);
    free(pages->slots);
    free(pages);
}

const uint8_t *sim_pages_at(const struct sim_pages *pages, uint64_t page_index)
{
    const struct page *page = find_page(pages, page_index);

    return page ? page->bytes : zero_page;
}

void sim_pages_read(const struct sim_pages *pages, uint64_t offset, void *buf, size_t length)
{
    uint8_t *to = buf;

    while (length > 0) {
        size_t within = offset % SIM_PAGE_BYTES;
        size_t n = min_size(SIM_PAGE_BYTES - within, length);

        memmove(to, sim_pages_at(pages, offset / SIM_PAGE_BYTES) + within,
                n); /* of a bounded memcpy gcc makes a slow one */
        to += n;
        offset += n;
        length -= n;
    }
}

/* A write inside one page. */
static void write_page(struct sim_pages *pages, uint64_t page_index, size_t within, const uint8_t *from, size_t n)
{
    bool zero = is_zero(from, n);

    if (zero && n == SIM_PAGE_BYTES)
        drop_page(pages, page_index);
    else if (!zero || find_page(pages, page_index))
        memcpy(own_page(pages, page_index)->bytes + within, from, n);
}

void sim_pages_write(struct sim_pages *pages, uint64_t offset, const void *buf, size_t length)
{
    const uint8_t *from = buf;

    while (length > 0) {
        size_t within = offset % SIM_PAGE_BYTES;
        size_t n = min_size(SIM_PAGE_BYTES - within, length);

        write_page(pages, offset / SIM_PAGE_BYTES, within, from, n);
        from += n;
        offset += n;
        length -= n;
    }
}

void sim_pages_cut(struct sim_pages *pages, uint64_t offset)
{
    size_t within = offset % SIM_PAGE_BYTES;
    uint64_t page_index = offset / SIM_PAGE_BYTES;
    size_t keep;

    if (within > 0)
        write_page(pages, page_index++, within, zero_page, SIM_PAGE_BYTES - within);
    /* Page by page to the end of the leaf, whole leaves after it. */
    for (; page_index % LEAF_PAGES != 0; page_index++)
        drop_page(pages, page_index);
    keep = lower_bound(pages, page_index / LEAF_PAGES);
    while (pages->count > keep)
        remove_slot(pages, &pages->slots[pages->count - 1]);
}

/* First page that is not the zero page from page_index on; UINT64_MAX if none. */
static uint64_t next_page(const struct sim_pages *pages, uint64_t page_index)
{
    size_t at = lower_bound(pages, page_index / LEAF_PAGES);

    for (; at < pages->count; at++) {
        uint64_t first = pages->slots[at].index * LEAF_PAGES;
        uint64_t present = pages->slots[at].leaf->present;

        if (first < page_index)
            present &= UINT64_MAX << (page_index - first);
        if (present)
            return first + (uint64_t)__builtin_ctzll(present);
    }
    return UINT64_MAX;
}

uint64_t sim_pages_next_data(const struct sim_pages *pages, uint64_t offset, uint64_t end)
{
    uint64_t page_index = next_page(pages, offset / SIM_PAGE_BYTES);
    uint64_t found;

    if (offset >= end || page_index == UINT64_MAX)
        return end;
    found = page_index * SIM_PAGE_BYTES;
    if (found < offset)
        found = offset;
    return found < end ? found : end;
}

uint64_t sim_pages_count(const struct sim_pages *pages)
{
    const struct slot *last;

    if (pages->count == 0)
        return 0;
    last = &pages->slots[pages->count - 1];
    return last->index * LEAF_PAGES + LEAF_PAGES - (uint64_t)__builtin_clzll(last->leaf->present);
}
