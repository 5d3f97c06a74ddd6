/* pool.h: memory that is handed round instead of back to malloc.
 *
 *   block:  | header 16 bytes: size class | bytes given out, 16-aligned ... |
 *
 *   per size class   dirty list: contents undefined       zeroed list: every byte zero
 *
 * A crash explorer opens the same image a hundred thousand times; what malloc and the clearing of tables would cost
 * there is most of an open. Sizes round up to four classes per power of two. Blocks above QED_POOL_MAX_BYTES (a hostile
 * header can ask for gigabytes) are never kept and always count as misses. Every operation is O(1).
 */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include "engine/qed.h"

#define QED_POOL_MAX_BYTES (4u << 20)

/* Uninitialised memory, 16-aligned. NULL: no memory. */
void *qed_pool_get(struct qed_pool *pool, size_t bytes);
/* NULL is ignored. */
void qed_pool_put(struct qed_pool *pool, void *memory);

/* All zero. Cheap when recycled, since qed_pool_put_zeroed() clears only what was used. */
void *qed_pool_get_zeroed(struct qed_pool *pool, size_t bytes);
/* Only [dirty_from, dirty_from + dirty_bytes) may be non-zero; it is cleared here. NULL is ignored. */
void qed_pool_put_zeroed(struct qed_pool *pool, void *memory, size_t dirty_from, size_t dirty_bytes);

#endif
