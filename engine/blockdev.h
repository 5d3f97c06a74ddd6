/* blockdev.h: the asynchronous block device the engine needs, and nothing more.
 *
 * The engine owns this interface; every disk implements it: the recording disk and the crashed disk of the
 * simulator, and the plain file. Nothing here knows of QED.
 *
 *        engine ──readv/writev/flush──▶ struct blockdev ──▶ bytes
 *           ▲                                │
 *           └──────────── blk_done ──────────┘   inline, or later from the loop
 *
 * Completion. A device may call `done` before its submit function returns ("inline"), or later, from
 * blk_loop poll(). Whoever submits must cope with both. The buffers an iovec points to, but not the iovec array itself,
 * belong to the caller and must stay valid until `done`.
 *
 * Order. Requests in flight together may complete in any order. A flush makes durable every write whose `done` ran
 * before the flush was submitted, and nothing else.
 *
 * Errors are negative errno values, 0 is success; there are no short transfers. Reads beyond the end of the device
 * return zeros. Writes beyond the end grow a growing device and fail with -ENOSPC on a fixed one.
 */
#ifndef ENGINE_BLOCKDEV_H
#define ENGINE_BLOCKDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BLK_SECTOR_BYTES 512u

typedef void blk_done(void *opaque, int ret);

/* What the engine is about to do, in the words of QEMU's blkdebug. Announced by the device's event() directly before
 * the I/O it describes, so that a device can label that I/O, trace it, or fail it. The aliases accepted by
 * blk_event_parse() are in brackets. */
enum blk_event {
    BLK_EVENT_NONE,
    BLK_EVENT_HEADER_READ,
    BLK_EVENT_HEADER_UPDATE,
    BLK_EVENT_L1_LOAD,
    BLK_EVENT_L1_UPDATE,
    BLK_EVENT_L2_LOAD,
    BLK_EVENT_L2_UPDATE,        /* sectors of an existing L2 table */
    BLK_EVENT_L2_ALLOC_WRITE,   /* a new L2 table, whole */
    BLK_EVENT_READ_AIO,         /* guest data read from the image file */
    BLK_EVENT_READ_BACKING_AIO, /* [read_backing] guest data read from the backing file */
    BLK_EVENT_COW_READ,         /* backing bytes read to fill a new cluster */
    BLK_EVENT_COW_WRITE,        /* fill (prefill or postfill) of a new cluster */
    BLK_EVENT_WRITE_AIO,        /* guest data */
    BLK_EVENT_CLUSTER_ALLOC,    /* a cluster was reserved; no I/O follows of itself */
    BLK_EVENT_CLUSTER_FREE,
    BLK_EVENT_FLUSH_TO_DISK, /* [flush] any flush of the image file */
    BLK_EVENT_TRUNCATE,      /* resize of the image file */
    BLK_EVENT_COUNT
};

/* The blkdebug name ("l2_update"). Never NULL for a valid event. */
const char *blk_event_name(enum blk_event event);
/* The event of that name or alias; BLK_EVENT_COUNT when there is none. */
enum blk_event blk_event_parse(const char *name);

/* A one-shot timer. The owner sets fire and opaque and keeps it alive while armed; the rest is the loop's. */
struct blk_timer {
    void (*fire)(void *opaque);
    void *opaque;
    bool armed;
    uint64_t deadline_ns;
    struct blk_timer *next;
};

/* The event loop that the devices of one image chain share. */
struct blk_loop {
    const struct blk_loop_ops *ops;
};

struct blk_loop_ops {
    /* Arms (or re-arms) the timer delay_ns from the loop's now. Timers fire only while the loop's owner lets time
     * pass, never from poll(). */
    void (*timer_set)(struct blk_loop *loop, struct blk_timer *timer, uint64_t delay_ns);
    void (*timer_cancel)(struct blk_loop *loop, struct blk_timer *timer);
    /* Delivers one pending I/O completion; false when none is pending (waiting longer would be waiting for ever). */
    bool (*poll)(struct blk_loop *loop);
};

struct blockdev {
    const struct blockdev_ops *ops;
    struct blk_loop *loop; /* may be NULL only if the device always completes inline and is never given a timer */
};

struct blockdev_ops {
    /* offset_bytes and the iovec's total are multiples of BLK_SECTOR_BYTES for guest data and tables; the header (64
     * bytes at 0) and the backing name are written as whole sectors by the engine too, so every transfer is. */
    void (*readv)(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                  void *opaque);
    void (*writev)(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                   void *opaque);
    void (*flush)(struct blockdev *dev, blk_done *done, void *opaque);
    /* The range's contents become zeros or stay what they were. May be NULL: discards are then ignored by callers. */
    void (*discard)(struct blockdev *dev, uint64_t offset_bytes, uint64_t length_bytes, blk_done *done, void *opaque);
    /* Length rounded DOWN to a multiple of unit_bytes (a power of two; 1 asks for the exact length). Asking for no more
     * than one needs lets a crashed disk leave the exact length open. Returns 0 or -errno. */
    int (*length)(struct blockdev *dev, uint64_t unit_bytes, uint64_t *length_bytes);
    /* Sets the length: grows with zeros or cuts. Synchronous; not durable before a flush. -ENOTSUP on a fixed device.*/
    int (*resize)(struct blockdev *dev, uint64_t length_bytes);
    /* First offset in [offset_bytes, end_bytes) that may hold a byte other than zero, or end_bytes. A hint, like
     * lseek(SEEK_DATA): returning offset_bytes is always right. May be NULL. */
    uint64_t (*next_data)(struct blockdev *dev, uint64_t offset_bytes, uint64_t end_bytes);
    /* May be NULL. */
    void (*event)(struct blockdev *dev, enum blk_event event);
    /* The engine is about to read from the backing file, as announced by event(): 0, or -errno to fail that read. May be
     * NULL. */
    int (*backing_gate)(struct blockdev *dev);
    /* The client's next decisions depend on `count` little-endian 64-bit file offsets stored at offset_bytes, which it
     * read before (announced as l1_load or l2_load), and on whether the file holds the reach_bytes that each names. What
     * was read as part of a table and is never looked at does not matter: a crashed disk need not try its other versions.
     * A scan need not tell of entries it merely drops when they are invalid: whoever looks at one later will. May be
     * NULL. */
    void (*looked_at)(struct blockdev *dev, uint64_t offset_bytes, uint64_t count, uint64_t reach_bytes);
    /* Frees the device. Nothing may be in flight. */
    void (*close)(struct blockdev *dev);
};

#endif
