/* iov.h: moving bytes between iovecs, flat buffers and pages, for the disks of the simulator. */
#ifndef SIMDISK_IOV_H
#define SIMDISK_IOV_H

#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "simdisk/pages.h"
#include "simdisk/xalloc.h"

static inline size_t sim_iov_bytes(const struct iovec *iov, int niov)
{
    size_t total = 0;

    for (int i = 0; i < niov; i++)
        total += iov[i].iov_len;
    return total;
}

/* A copy of the array alone: submitters may reuse theirs at once. The caller frees it. */
static inline struct iovec *sim_iov_dup(const struct iovec *iov, int niov)
{
    struct iovec *copy = xcalloc((size_t)niov, sizeof(*copy));

    if (niov > 0)
        memcpy(copy, iov, (size_t)niov * sizeof(*copy));
    return copy;
}

/* All bytes in one new buffer, which the caller frees. */
static inline uint8_t *sim_iov_flatten(const struct iovec *iov, int niov)
{
    uint8_t *buf = xmalloc(sim_iov_bytes(iov, niov));
    size_t at = 0;

    for (int i = 0; i < niov; i++) {
        if (iov[i].iov_len > 0)
            memcpy(buf + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return buf;
}

static inline void sim_iov_from_pages(const struct sim_pages *pages, uint64_t offset, const struct iovec *iov, int niov)
{
    for (int i = 0; i < niov; i++) {
        sim_pages_read(pages, offset, iov[i].iov_base, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
}

static inline void sim_iov_to_pages(struct sim_pages *pages, uint64_t offset, const struct iovec *iov, int niov)
{
    for (int i = 0; i < niov; i++) {
        sim_pages_write(pages, offset, iov[i].iov_base, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
}

#endif
