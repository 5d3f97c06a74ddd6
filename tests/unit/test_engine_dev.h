/* test_engine_dev.h: a block device in memory for the engine's tests.
 *
 *   struct test_world   loop, clock, the queue of I/O in flight, the log, the planned errors
 *     struct test_dev   one device's bytes; any number share a world
 *
 * Inline, every I/O is done before its submit returns. Delayed, it waits in the world's queue until poll (or the test
 * itself) delivers it, in an order the test chooses; its bytes move on delivery, but what a write carries is fixed at its
 * submission. A buffer changed or freed while in flight is an error the device reports.
 */
#ifndef TEST_ENGINE_DEV_H
#define TEST_ENGINE_DEV_H

#include "engine/blockdev.h"

struct test_world;
struct test_dev;

enum test_op { TEST_READ, TEST_WRITE, TEST_FLUSH, TEST_DISCARD, TEST_RESIZE };

struct test_io {
    struct test_dev *dev;
    enum test_op op;
    enum blk_event event; /* announced directly before; NONE otherwise */
    uint64_t offset;
    uint64_t length;
    struct iovec *iov; /* a copy */
    int niov;
    uint8_t *bytes; /* what a write carries */
    int ret;        /* the planned error, or 0 */
    blk_done *done;
    void *opaque;
};

enum test_order { TEST_FIFO, TEST_LIFO, TEST_RANDOM, TEST_PICK };

#define TEST_PLANS_MAX 16

/* The nth (from 1) I/O labelled `event` fails, and with `for_ever` all after it. */
struct test_plan {
    struct test_dev *dev; /* NULL: any */
    enum blk_event event; /* BLK_EVENT_COUNT: any I/O */
    unsigned countdown;
    int ret;
    bool for_ever;
    bool fired;
};

struct test_world {
    struct blk_loop loop; /* first member */
    bool delayed;
    enum test_order order;
    size_t (*pick)(struct test_world *world, void *opaque); /* TEST_PICK: index into pending[0..npending) */
    void *pick_opaque;
    uint64_t random;
    struct test_io *pending;
    size_t npending;
    size_t capacity;
    uint64_t now_ns;
    struct blk_timer *timers;
    bool log_events; /* "w l2_update 60000+200; F" rather than "w 60000+200; F" */
    char *log;       /* of the devices with `logged` */
    size_t log_length;
    size_t log_capacity;
    struct test_plan plans[TEST_PLANS_MAX];
    size_t nplans;
    unsigned changed_buffers; /* writes whose buffer changed while in flight */
    uint64_t delivered;
};

struct test_dev {
    struct blockdev dev; /* first member */
    struct test_world *world;
    uint8_t *bytes;
    uint64_t length;
    uint64_t capacity;
    bool fixed;     /* does not grow: -ENOSPC, -ENOTSUP */
    bool logged;    /* writes, flushes, discards, resizes enter the world's log */
    bool log_reads; /* and reads */
    enum blk_event event;
    uint64_t reads, writes, flushes, gates;
    uint64_t lowest_write; /* smallest offset written since test_dev_reset_counts */
    void (*on_event)(struct test_dev *dev, enum blk_event event, void *opaque);
    void *on_event_opaque;
    bool *closed; /* set when the device is closed, for who wants to know */
};

struct test_world *test_world_create(void);
void test_world_destroy(struct test_world *world);
/* Delivers pending[index]. */
void test_world_deliver(struct test_world *world, size_t index);
/* Delivers the oldest pending I/O of that event; false when there is none. */
bool test_world_deliver_event(struct test_world *world, enum blk_event event);
/* The number of pending I/Os of that event. */
size_t test_world_pending(const struct test_world *world, enum blk_event event);
/* Delivers until nothing is pending. */
void test_world_run(struct test_world *world);
/* Lets time pass: fires the timers due, and delivers all I/O after each. */
void test_world_advance(struct test_world *world, uint64_t ms);
/* The process died: what is in flight is forgotten, timers too. */
void test_world_drop(struct test_world *world);
/* The nth I/O (from 1) of that event fails with -error, once. */
struct test_plan *test_world_fail(struct test_world *world, enum blk_event event, unsigned nth, int error);
void test_world_no_errors(struct test_world *world);
const char *test_world_log(const struct test_world *world);
void test_world_log_clear(struct test_world *world);
uint64_t test_world_random(struct test_world *world);

/* `length` zero bytes. */
struct test_dev *test_dev_create(struct test_world *world, uint64_t length);
/* Same bytes, same world. */
struct test_dev *test_dev_clone(struct test_world *world, const struct test_dev *from);
void test_dev_destroy(struct test_dev *dev);
/* From now on a device of this length that cannot be resized, and has none of the optional operations. */
void test_dev_fix(struct test_dev *dev, uint64_t length);
/* A device without hints, events and gates, but one that grows. */
void test_dev_plain(struct test_dev *dev);
/* Direct access, past the log and the errors; the device grows as needed. */
void test_dev_poke(struct test_dev *dev, uint64_t offset, const void *bytes, size_t count);
void test_dev_poke64(struct test_dev *dev, uint64_t offset, uint64_t value);
void test_dev_poke32(struct test_dev *dev, uint64_t offset, uint32_t value);
uint64_t test_dev_peek64(const struct test_dev *dev, uint64_t offset);
uint32_t test_dev_peek32(const struct test_dev *dev, uint64_t offset);
bool test_dev_all(const struct test_dev *dev, uint64_t offset, uint64_t count, uint8_t value);
void test_dev_set_length(struct test_dev *dev, uint64_t length);
void test_dev_dump(const struct test_dev *dev, uint64_t offset, uint64_t count);

#endif
