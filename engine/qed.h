/* qed.h: the QED engine's public face.
 *
 * Data requests (readv, writev, flush, write_zeroes, discard) are asynchronous and may overlap; `done` may run before the
 * call returns. Everything else (open, close, check, truncate, ...) waits, turning the device's loop, and must not be
 * called from a `done`. One image, one thread. All positions and lengths are bytes, multiples of 512.
 * Errors are -errno; where a person has to be told, struct qed_error holds one sentence: what is wrong, what was
 * expected, what to do.
 */
#ifndef ENGINE_QED_H
#define ENGINE_QED_H

#include "engine/blockdev.h"
#include "engine/qed_design.h"
#include "engine/qed_format.h"

struct qed;
struct qed_req;
struct qed_pool;

struct qed_error {
    char text[320];
};

/* Opens the device behind a backing file name. `*dev` becomes the caller's (the engine closes it with the chain).
 * -ELOOP when the name leads back into the chain. The host decides what names mean. */
struct qed_backing_host {
    int (*open)(struct qed_backing_host *host, const char *name, struct blockdev **dev, struct qed_error *err);
};

/* Memory that outlives an image. An engine opened with a pool takes every buffer from it and gives it back at close, so
 * that the second open of the same geometry allocates nothing. Not shared between threads. */
struct qed_pool *qed_pool_create(void);
void qed_pool_destroy(struct qed_pool *pool);
/* How often the pool had to ask malloc since it was created. */
uint64_t qed_pool_misses(const struct qed_pool *pool);

struct qed_open_options {
    const struct qed_design *design;       /* required */
    bool read_only;                        /* never writes: no repair, no mark, no autoclear */
    bool check_mode;                       /* read-write, but a marked image is not repaired at open */
    struct qed_backing_host *backing_host; /* NULL: a named backing file is an error unless no_backing */
    bool no_backing;                       /* ignore the backing file (info, check) */
    struct qed_pool *pool;                 /* NULL: a private one */
};

/* Opens `file`, which stays the caller's and must outlive the image. On failure *out is NULL and err (may be NULL) says
 * why: -EINVAL not a valid QED image, -ENOTSUP unknown feature bits, or the device's error. Spec 3. */
int qed_open(struct blockdev *file, const struct qed_open_options *options, struct qed **out, struct qed_error *err);

/* Waits for requests in flight, then writes and flushes what the design asks for and frees the image, also on error. */
int qed_close(struct qed *q);
/* The process dies: frees the image without another I/O. Requests in flight are dropped, their `done` never runs. The
 * device must deliver no completion for them afterwards (it is told nothing; its owner cancels them). */
void qed_abandon(struct qed *q);
/* Switches between read-only and read-write without closing. */
int qed_reopen(struct qed *q, bool read_only, struct qed_error *err);

struct qed_create_options {
    uint64_t image_bytes;     /* rounded up to 512 */
    uint32_t cluster_bytes;   /* 0: default */
    uint32_t table_clusters;  /* 0: default */
    const char *backing_name; /* NULL: none */
    bool backing_raw;         /* never probe the backing file's format */
};

/* Makes an empty image on `file`: resize to 0, header, name, L1, flush. Spec 2. */
int qed_create(struct blockdev *file, const struct qed_create_options *options, struct qed_error *err);

/* 0..100: how sure that these first bytes are QED. */
int qed_probe(const uint8_t *bytes, size_t length);

/* The data requests. Each returns a handle for qed_cancel, or NULL if `done` has run already. The iovec array is copied,
 * the buffers are not. A range beyond the image's end gives -EIO, an unaligned one -EINVAL, a write on a read-only image
 * -EACCES. */
struct qed_req *qed_readv(struct qed *q, uint64_t pos, const struct iovec *iov, int niov, blk_done *done, void *opaque);
struct qed_req *qed_writev(struct qed *q, uint64_t pos, const struct iovec *iov, int niov, blk_done *done,
                           void *opaque);
struct qed_req *qed_flush(struct qed *q, blk_done *done, void *opaque);
/* Any sector range: whole clusters become zero entries where the design has them, the rest is written as zeros. */
struct qed_req *qed_write_zeroes(struct qed *q, uint64_t pos, uint64_t length, blk_done *done, void *opaque);
struct qed_req *qed_discard(struct qed *q, uint64_t pos, uint64_t length, blk_done *done, void *opaque);
/* Waits until the request has finished; nothing is undone. `done` has run when this returns. Spec 7.3. */
void qed_cancel(struct qed *q, struct qed_req *req);
/* Waits until no request is in flight, and clears the mark early if its timer was pending. Spec 9. */
int qed_drain(struct qed *q);

int qed_truncate(struct qed *q, uint64_t image_bytes, struct qed_error *err);
/* name NULL removes the backing file's name. Takes effect on disk; the open chain is kept until close. Spec 8. */
int qed_change_backing(struct qed *q, const char *name, bool raw, struct qed_error *err);

struct qed_check_result {
    uint64_t corruptions; /* left */
    uint64_t corruptions_fixed;
    uint64_t leaks;        /* clusters nothing names */
    uint64_t check_errors; /* I/O errors on the way */
    uint64_t allocated_clusters;
    uint64_t fragmented_clusters;
    uint64_t total_clusters;
};

/* Walks all tables; with fix, clears invalid entries and then the mark. Returns -errno only if it could not check
 * at all. Spec 10. */
int qed_check(struct qed *q, bool fix, struct qed_check_result *result);

/* What opening did: scans made (0 or 1) and its result. */
struct qed_open_report {
    bool scanned;
    struct qed_check_result check;
    int check_ret;
    bool tail_partial; /* the file's length was no multiple of the cluster size (known only if the design asks) */
};
const struct qed_open_report *qed_opened(const struct qed *q);

enum qed_map_kind { QED_MAP_UNALLOCATED, QED_MAP_ZERO, QED_MAP_DATA };
/* What [pos, pos+length) maps to: *run_bytes of it share `*kind`, data being contiguous from *offset in the file. */
int qed_map(struct qed *q, uint64_t pos, uint64_t length, enum qed_map_kind *kind, uint64_t *offset,
            uint64_t *run_bytes);

const struct qed_header *qed_get_header(const struct qed *q);
const struct qed_geometry *qed_get_geometry(const struct qed *q);
uint64_t qed_image_bytes(const struct qed *q);
/* The name in the header, NULL if none; valid until close or change. */
const char *qed_backing_name(const struct qed *q);
bool qed_need_check(const struct qed *q);

#endif
