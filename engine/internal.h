/* internal.h: the engine room's private structures. Nobody outside engine/ includes this.
 *
 *   request.c  one guest request: chunk after chunk, each step a function, completions inline or later
 *   lookup.c   position -> entry, loading L2 tables
 *   alloc.c    an allocating chunk: reserve, mark, fill, data, flush, link
 *   link.c     the L2 / L1 updates that make new clusters visible
 *   lock.c     who may allocate now
 *   l2cache.c  resident L2 tables
 *   mark.c     the needs-check bit: set, clear, timer
 *   phys_size.c  how far allocation came, noted in the header
 *   check.c    the scan and the repair
 *   open.c, create.c, backing.c, resize.c, io.c   the rest
 */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include "engine/pool.h"
#include "engine/qed.h"

/* A table in memory, entries in host order. Outside [lo, hi) every entry is zero: scans and clearing need not look. */
struct qed_table {
    uint64_t offset; /* in the file; the cache's key */
    uint64_t *entries;
    size_t lo, hi;
    uint32_t refs;
    bool resident;
    struct qed_table *next; /* in the cache, oldest first */
};

/* What a request is about to change: `count` entries of one table. */
struct qed_claim {
    uint64_t table; /* its offset; 0: nothing is claimed */
    uint64_t first, count;
};

struct qed_backing {
    struct blockdev *dev; /* NULL: no backing file */
    struct qed *image;    /* if it is QED itself */
    uint64_t bytes;
};

/* A cluster that discard freed. Until `flushed` (designs that ask for it) it must not be handed out. */
struct qed_freed {
    uint64_t offset;
    uint64_t freed_at; /* q->flush_clock when its entry had been cleared */
};

enum qed_mark_state {
    QED_MARK_CLEAR,
    QED_MARK_SETTING,
    QED_MARK_SET,
    QED_MARK_LEFT_OUT, /* it would be set if the design had one: what else the header says does not hold any more */
};

/* What the header said before the mark was written: for a write that fails. */
struct qed_mark_undo {
    enum qed_mark_state mark;
    uint64_t features, compat_features, autoclear_features, phys_size;
};

struct qed {
    struct blockdev *file;
    const struct qed_design *design;
    struct qed_pool *pool;
    bool own_pool;
    bool read_only;
    struct qed_header header; /* features as in memory: may run ahead of the disk */
    struct qed_geometry g;
    struct qed_table *l1;
    struct qed_table *cache_first, *cache_last;
    uint32_t cache_count;
    uint64_t file_size;  /* high-water mark, multiple of the cluster size */
    uint64_t used_below; /* space below this may hold bytes of an earlier life (a partial tail) */
    uint64_t size_at_open;
    struct qed_req *gate_first;                   /* those that allocate, by req->gate_next */
    struct qed_req *waiting_first, *waiting_last; /* for another's claim, oldest first, by req->lock_next */
    struct qed_req *requests;                     /* all in flight */
    uint32_t allocating;                          /* requests between their first allocation and their end */
    uint64_t allocations;                         /* how many ever began to */
    enum qed_mark_state mark;
    struct qed_mark_undo undo;
    bool doubt;                                 /* at open: the tables are to be scanned */
    uint64_t phys_size;                         /* E, as in the header; 0: none */
    bool plugged;                               /* the mark is being cleared: nobody may start to allocate */
    struct qed_req *asleep_first, *asleep_last; /* waiting for the mark or for the plug, by req->lock_next */
    struct blk_timer timer, quiet_timer;
    uint32_t flushing; /* flushes of requests in flight */
    uint32_t writing;  /* writes of requests in flight */
    bool unflushed;    /* written, and not covered by a flush submitted since */
    bool wrote;        /* written since open */
    bool flush_failed; /* a flush of the file, since open */
    struct qed_freed *freed;
    size_t freed_count, freed_cap;
    uint64_t flush_clock;   /* counts flushes submitted */
    uint64_t flushed_clock; /* submitted at or before this clock: completed */
    struct qed_backing backing;
    char *backing_name;
    struct qed_open_report report;
    uint8_t *zeros; /* shared source of zeros */
};

/* What others may know of the entries a request is writing; asked about (design: publish) only if one of them looks. */
enum qed_publication { QED_NOT_LINKING, QED_UNSEEN, QED_SEEN, QED_HIDDEN };

enum qed_req_kind {
    QED_REQ_READ,
    QED_REQ_WRITE,
    QED_REQ_FLUSH,
    QED_REQ_ZERO,
    QED_REQ_DISCARD,
    QED_REQ_MAP,
    QED_REQ_CLEAR
};

enum qed_found { QED_FOUND_DATA, QED_FOUND_ZERO, QED_FOUND_UNALLOCATED, QED_FOUND_NO_L2 };

typedef void qed_step(struct qed_req *r, int ret);

/* One request. A *chunk* is what it does next: part of one L2 table, of one kind. */
struct qed_req {
    struct qed *q;
    enum qed_req_kind kind;
    blk_done *done;
    void *opaque;
    struct qed_req *prev, *next_in_flight;

    /* Trampoline: a completion sets ready; qed_req_run loops while there is something ready. */
    qed_step *next;
    int ret;
    bool running, ready, finished, submitted;

    uint64_t start, end, pos; /* guest bytes; pos: how far it has come */
    struct iovec *iov;        /* the guest's, copied */
    int niov;
    struct iovec *sub; /* this chunk's slice */
    int nsub;

    /* The chunk, from lookup. */
    qed_step *after_lookup;
    uint64_t chunk_bytes;
    enum qed_found found;
    uint64_t offset;      /* data: file offset of pos */
    struct qed_table *l2; /* referenced; NULL when there is none */
    struct qed_table *loading;
    uint64_t load_at; /* byte of the table: the piece under way */
    size_t load_bytes;

    /* Allocation. */
    bool counted; /* in q->allocating */
    bool in_gate; /* from its first claim to its end */
    struct qed_claim claim, wanted;
    struct qed_req *lock_next, *gate_next;
    uint64_t cluster; /* first reserved; entry value for zero chunks is 1 */
    uint64_t clusters;
    bool reused;         /* the reserved space was used before */
    bool filled, copied; /* some fill was written; some of it came from the backing file */
    uint8_t *fill;
    uint64_t fill_guest, fill_bytes; /* guest position and length of the fill under way */
    uint64_t fill_file;
    uint64_t fill_from_backing;
    qed_step *after_fill;
    struct qed_table *new_l2;
    enum qed_publication publication;
    uint8_t *sector_buf; /* table sectors or header under way */
    uint64_t old_entry, old_step;
    uint64_t entry, entry_step;
    qed_step *after_mark, *after_link, *after_flush, *after_clear;
    uint64_t quiet_at; /* q->allocations when its flush was submitted and nobody else was allocating */

    /* Map. */
    enum qed_map_kind *map_kind;

    uint64_t flush_covers; /* its flush under way: that many allocations; UINT64_MAX: not all of them */
    uint64_t clock;        /* a guest flush: its place among the flushes */
    bool trailing_flush;   /* clearing the mark: a flush follows the header write */
};

/* --- request.c --- */
void qed_req_run(struct qed_req *r);
void qed_req_wake(struct qed_req *r); /* a sleeper may go on: repeats its lookup */
void qed_req_io_done(void *opaque, int ret);
/* Go on with `next` now. */
void qed_req_goto(struct qed_req *r, qed_step *next, int ret);
void qed_req_finish(struct qed_req *r, int ret);
struct qed_req *qed_req_create(struct qed *q, enum qed_req_kind kind, blk_done *done, void *opaque);
struct qed_req *qed_req_start(struct qed_req *r, qed_step *first);
void qed_req_next_chunk(struct qed_req *r, int ret);
void qed_req_free(struct qed_req *r);

/* --- io.c: every I/O on the image file passes here --- */
void qed_file_read(struct qed_req *r, enum blk_event event, uint64_t offset, const struct iovec *iov, int niov,
                   qed_step *next);
void qed_file_write(struct qed_req *r, enum blk_event event, uint64_t offset, const struct iovec *iov, int niov,
                    qed_step *next);
void qed_file_flush(struct qed_req *r, qed_step *next);
void qed_announce(struct qed *q, enum blk_event event);
/* What happens next depends on these table entries: see blockdev_ops.looked_at. */
static inline void qed_look(struct qed *q, uint64_t offset, uint64_t count, uint64_t reach)
{
    if (q->file->ops->looked_at)
        q->file->ops->looked_at(q->file, offset, count, reach);
}
int qed_read_sync(struct qed *q, enum blk_event event, uint64_t offset, void *buf, size_t bytes);
int qed_write_sync(struct qed *q, enum blk_event event, uint64_t offset, const void *buf, size_t bytes);
int qed_flush_sync(struct qed *q);
int qed_resize_sync(struct qed *q, uint64_t length);
/* Turns the loop until *flag. 0, or -EDEADLK when nothing can ever set it. */
int qed_wait(struct qed *q, const bool *flag);
int qed_wait_for_requests(struct qed *q);
int qed_dev_read(struct blockdev *dev, struct blk_loop *loop, uint64_t offset, void *buf, size_t bytes);
int qed_dev_write(struct blockdev *dev, struct blk_loop *loop, uint64_t offset, const void *buf, size_t bytes);
int qed_dev_flush(struct blockdev *dev, struct blk_loop *loop);
int qed_fail(struct qed_error *err, int ret, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- table.c --- */
struct qed_table *qed_table_new(struct qed *q, uint64_t offset); /* refs 1, all zero; NULL: no memory */
void qed_table_unref(struct qed *q, struct qed_table *t);
void qed_table_set(struct qed_table *t, size_t index, uint64_t value);
int qed_table_load_sync(struct qed *q, enum blk_event event, struct qed_table *t);
int qed_table_write_sync(struct qed *q, enum blk_event event, const struct qed_table *t);
/* Little-endian copy of entries [first, first+count). */
void qed_table_encode(const struct qed_table *t, size_t first, size_t count, uint8_t *to);
void qed_table_decode(struct qed_table *t, uint64_t at_byte, size_t bytes);
#define QED_TABLE_PIECE_BYTES 4096u
/* Next piece of the table at or after byte at that may hold something: its start and length; false: none left. *bytes
 * comes in as the length of the piece before, 0 for the first. */
bool qed_table_next_piece(const struct qed *q, const struct qed_table *t, uint64_t at, uint64_t *start, size_t *bytes);

/* --- l2cache.c --- */
#define QED_L2_CACHE_TABLES 50u
struct qed_table *qed_cache_find(struct qed *q, uint64_t offset); /* with a reference, or NULL */
/* Inserts t and returns the resident table of its offset (t, or the one that was there first; t is then dropped). Takes
 * over the caller's reference and returns one. */
struct qed_table *qed_cache_commit(struct qed *q, struct qed_table *t);
void qed_cache_drop_all(struct qed *q);

/* --- lock.c --- */
/* True: r may change these entries now. False: it sleeps, and will be woken to look up again. */
bool qed_lock_acquire(struct qed_req *r, const struct qed_claim *want);
/* r allocates nothing at the moment: its claim goes, its place in the gate stays. */
void qed_lock_give_up(struct qed_req *r);
/* At r's end. */
void qed_lock_release(struct qed_req *r);
/* Sleepers of the mark and of the plug. */
void qed_sleep(struct qed_req *r);
void qed_wake_sleepers(struct qed *q);

/* --- lookup.c --- */
/* Finds what [pos, pos+bytes) maps to and goes on with after; r->chunk_bytes etc. then describe the chunk. */
void qed_lookup(struct qed_req *r, uint64_t bytes, qed_step *after);

/* --- backing.c --- */
int qed_backing_open(struct qed *q, const struct qed_open_options *options, unsigned depth, struct qed_error *err);
void qed_backing_close(struct qed *q);
/* Reads guest bytes [pos, pos+bytes) of the backing file into the iovec, zeros beyond its end. */
void qed_backing_read(struct qed_req *r, enum blk_event event, uint64_t pos, struct iovec *iov, int niov,
                      qed_step *next);

/* --- alloc.c, link.c --- */
void qed_alloc_chunk(struct qed_req *r); /* an allocating write or zero chunk: r describes it */
void qed_discard_chunk(struct qed_req *r);
void qed_link(struct qed_req *r, qed_step *after);
/* Somebody is about to look at these entries of the L1 table (t == q->l1) or an L2 table: is what is on its way to the disk
 * to be seen? */
void qed_link_look(struct qed *q, const struct qed_table *t, uint64_t first, uint64_t count);
void qed_freed_add(struct qed *q, uint64_t offset);

/* --- mark.c --- */
bool qed_mark_wanted(const struct qed *q);
void qed_mark_set(struct qed_req *r, qed_step *after);
void qed_mark_timer_start(struct qed *q);
void qed_mark_timer_cancel(struct qed *q);
void qed_mark_timer_init(struct qed *q);
int qed_mark_clear_sync(struct qed *q);
/* Clears the mark as part of request r, in the design's order; r goes on with after. `flushed`: a flush that covers the
 * metadata has just completed. */
void qed_mark_clear_in(struct qed_req *r, bool flushed, qed_step *after);
int qed_header_write_sync(struct qed *q);
/* Writes the header without the mark. On failure the mark is as before. */
int qed_mark_clear_header_sync(struct qed *q);
/* Directly before r submits the flush after which it would clear the mark. */
void qed_mark_note_flush(struct qed_req *r);
bool qed_clears_on(const struct qed *q, enum qed_clear_on when);
bool qed_clears_after_flush(const struct qed *q);
/* A flush has completed that was submitted when so many allocations had begun, all of which had ended. */
void qed_mark_flushed(struct qed *q, uint64_t allocations);

/* --- phys_size.c --- */
#define QED_PHYS_SIZE_ANY (QED_VALUE(QED_PHYS_SIZE_HEADER_FIELD) | QED_VALUE(QED_PHYS_SIZE_AUTOCLEAR_BIT))
/* Is the design's phys_size one of these, and the header's room for it free? */
bool qed_phys_size_in(const struct qed *q, uint64_t values);
bool qed_phys_size_fits(const struct qed_header *h);
void qed_phys_size_load(struct qed *q, const uint8_t *sector);
/* The header's sector as it is to be written: only what is ours in it is changed. */
void qed_header_put(const struct qed *q, uint8_t *sector);
/* The mark, or what stands for it, and E are set in memory. */
void qed_phys_size_note(struct qed *q, bool marked);
/* E is where allocation goes on. */
bool qed_phys_size_valid(const struct qed *q);
/* Is the image to be scanned, marked or not? */
int qed_phys_size_doubt(struct qed *q, bool marked, bool *doubt);

/* --- open.c --- */
int qed_open_depth(struct blockdev *file, const struct qed_open_options *options, unsigned depth, struct qed **out,
                   struct qed_error *err);
int qed_check_run(struct qed *q, bool fix, bool fresh, struct qed_check_result *result);

/* --- iov.c --- */
/* The slice [from, from+bytes) of iov into out (room for niov entries); returns its entry count. */
int qed_iov_slice(const struct iovec *iov, int niov, uint64_t from, uint64_t bytes, struct iovec *out);
void qed_iov_zero(const struct iovec *iov, int niov, uint64_t from, uint64_t bytes);

#define QED_ZEROS_BYTES 65536u

#endif
