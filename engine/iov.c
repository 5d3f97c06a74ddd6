/* iov.c: slices of a guest's scatter-gather list. */
#include <string.h>

#include "engine/internal.h"

int qed_iov_slice(const struct iovec *iov, int niov, uint64_t from, uint64_t bytes, struct iovec *out)
{
    int n = 0;
    for (int i = 0; i < niov && bytes; i++) {
        if (from >= iov[i].iov_len) {
            from -= iov[i].iov_len;
            continue;
        }
        uint64_t part = iov[i].iov_len - from < bytes ? iov[i].iov_len - from : bytes;
        out[n++] = (struct iovec){.iov_base = (uint8_t *)iov[i].iov_base + from, .iov_len = part};
        bytes -= part;
        from = 0;
    }
    return n;
}

void qed_iov_zero(const struct iovec *iov, int niov, uint64_t from, uint64_t bytes)
{
    for (int i = 0; i < niov && bytes; i++) {
        if (from >= iov[i].iov_len) {
            from -= iov[i].iov_len;
            continue;
        }
        uint64_t part = iov[i].iov_len - from < bytes ? iov[i].iov_len - from : bytes;
        memset((uint8_t *)iov[i].iov_base + from, 0, part);
        bytes -= part;
        from = 0;
    }
}
