/* pool.c: free lists by size class. */
#include "engine/pool.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature
#define POOL_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#else
#define POOL_ASAN 0
#endif

#if POOL_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

/* Class c holds 2^(c/4) * (4 + c%4) / 4 units of CLASS_UNIT bytes: 64, 80, 96, 112, 128, 160 ... 4 MiB. */
#define CLASS_UNIT  64u
#define CLASS_COUNT 65u /* 16 doublings of four, and 4 MiB itself */
#define CLASS_NONE  UINT32_MAX

/* In front of every block. While the block is free its link lies here too, not in the memory handed out, which on the
 * zeroed list has to stay zero. */
struct block {
    alignas(16) struct block *next;
    uint32_t size_class;
};

static_assert(sizeof(struct block) == 16, "what follows the header is 16-aligned");

struct qed_pool {
    struct block *dirty[CLASS_COUNT];
    struct block *zeroed[CLASS_COUNT];
    uint64_t misses;
};

static size_t class_bytes(uint32_t size_class)
{
    return ((size_t)CLASS_UNIT / 4 * (4 + size_class % 4)) << (size_class / 4);
}

/* The smallest class that holds so many bytes. */
static uint32_t class_of(size_t bytes)
{
    unsigned doublings;
    size_t quarter;

    if (bytes <= CLASS_UNIT)
        return 0;
    if (bytes > QED_POOL_MAX_BYTES)
        return CLASS_NONE;
    /* 64 << doublings < bytes <= 128 << doublings */
    doublings = 63u - (unsigned)__builtin_clzll(bytes - 1) - 6u;
    quarter = (size_t)(CLASS_UNIT / 4) << doublings;
    return 4 * doublings + (uint32_t)((bytes - 1) / quarter) - 3;
}

struct qed_pool *qed_pool_create(void)
{
    return calloc(1, sizeof(struct qed_pool));
}

static void free_list(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

void qed_pool_destroy(struct qed_pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        free_list(pool->dirty[i]);
        free_list(pool->zeroed[i]);
    }
    free(pool);
}

uint64_t qed_pool_misses(const struct qed_pool *pool)
{
    return pool->misses;
}

/* A block nobody had before. */
static void *new_block(struct qed_pool *pool, uint32_t size_class, size_t bytes, bool zeroed)
{
    size_t total = size_class == CLASS_NONE ? bytes : class_bytes(size_class);
    struct block *block;

    pool->misses++;
    if (total > SIZE_MAX - sizeof(*block))
        return NULL;
    total += sizeof(*block);
    block = zeroed ? calloc(1, total) : malloc(total);
    if (!block)
        return NULL;
    block->size_class = size_class;
    return block + 1;
}

static void *get(struct qed_pool *pool, struct block **lists, size_t bytes, bool zeroed)
{
    uint32_t size_class = class_of(bytes);
    struct block *block;

    if (size_class == CLASS_NONE || !lists[size_class])
        return new_block(pool, size_class, bytes, zeroed);
    block = lists[size_class];
    lists[size_class] = block->next;
    /* The slack behind what was asked for stays poisoned. */
    ASAN_UNPOISON_MEMORY_REGION(block + 1, bytes);
    return block + 1;
}

static void put(struct block **lists, struct block *block)
{
    if (block->size_class == CLASS_NONE) {
        free(block);
        return;
    }
    ASAN_POISON_MEMORY_REGION(block + 1, class_bytes(block->size_class));
    block->next = lists[block->size_class];
    lists[block->size_class] = block;
}

void *qed_pool_get(struct qed_pool *pool, size_t bytes)
{
    return get(pool, pool->dirty, bytes, false);
}

void qed_pool_put(struct qed_pool *pool, void *memory)
{
    if (memory)
        put(pool->dirty, (struct block *)memory - 1);
}

void *qed_pool_get_zeroed(struct qed_pool *pool, size_t bytes)
{
    return get(pool, pool->zeroed, bytes, true);
}

void qed_pool_put_zeroed(struct qed_pool *pool, void *memory, size_t dirty_from, size_t dirty_bytes)
{
    struct block *block;

    if (!memory)
        return;
    block = (struct block *)memory - 1;
    if (block->size_class != CLASS_NONE) {
        assert(dirty_from + dirty_bytes <= class_bytes(block->size_class));
        memset((uint8_t *)memory + dirty_from, 0, dirty_bytes);
    }
    put(pool->zeroed, block);
}
