#include "simdisk/file_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "simdisk/xalloc.h"

struct file_disk {
    struct blockdev blk; /* first: the disk is found from it */
    int fd;
    bool read_only;
    bool fixed;                  /* a block device */
    uint64_t fixed_length_bytes; /* its length */
    struct file_disk_id id;
};

static struct file_disk *from_blk(struct blockdev *dev)
{
    return (struct file_disk *)dev;
}

/* ---- transfers ---- */

/* Reads all of it; what lies beyond the end of the file is zeros. */
static int read_all(int fd, uint64_t offset_bytes, uint8_t *buf, size_t length)
{
    while (length > 0) {
        ssize_t n = pread(fd, buf, length, (off_t)offset_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            memset(buf, 0, length);
            return 0;
        }
        buf += n;
        offset_bytes += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

static int write_all(int fd, uint64_t offset_bytes, const uint8_t *buf, size_t length)
{
    while (length > 0) {
        ssize_t n = pwrite(fd, buf, length, (off_t)offset_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* it takes no more and says nothing; asking again would be for ever */
        buf += n;
        offset_bytes += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

static void file_readv(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                       void *opaque)
{
    int ret = 0;

    for (int i = 0; i < niov && !ret; i++) {
        ret = read_all(from_blk(dev)->fd, offset_bytes, iov[i].iov_base, iov[i].iov_len);
        offset_bytes += iov[i].iov_len;
    }
    done(opaque, ret);
}

/* 0 if such a write may be tried at all. */
static int may_write(const struct file_disk *disk, uint64_t offset_bytes, const struct iovec *iov, int niov)
{
    uint64_t end = offset_bytes;

    if (disk->read_only)
        return -EACCES;
    for (int i = 0; i < niov; i++)
        end += iov[i].iov_len;
    return disk->fixed && end > disk->fixed_length_bytes ? -ENOSPC : 0;
}

static void file_writev(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                        void *opaque)
{
    int ret = may_write(from_blk(dev), offset_bytes, iov, niov);

    for (int i = 0; i < niov && !ret; i++) {
        ret = write_all(from_blk(dev)->fd, offset_bytes, iov[i].iov_base, iov[i].iov_len);
        offset_bytes += iov[i].iov_len;
    }
    done(opaque, ret);
}

static void file_flush(struct blockdev *dev, blk_done *done, void *opaque)
{
    /* Not retried on EINTR or any other error: once it failed, what was pending may already count as clean. */
    done(opaque, fdatasync(from_blk(dev)->fd) < 0 ? -errno : 0);
}

static int punch_hole(const struct file_disk *disk, uint64_t offset_bytes, uint64_t length_bytes)
{
    int ret;

    if (disk->read_only)
        return -EACCES;
    if (length_bytes == 0)
        return 0;
    do {
        ret = fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset_bytes, (off_t)length_bytes);
    } while (ret < 0 && errno == EINTR);
    /* Contents that stay what they were are a discard too. */
    return ret < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

static void file_discard(struct blockdev *dev, uint64_t offset_bytes, uint64_t length_bytes, blk_done *done,
                         void *opaque)
{
    done(opaque, punch_hole(from_blk(dev), offset_bytes, length_bytes));
}

/* ---- length ---- */

static int file_length(struct blockdev *dev, uint64_t unit_bytes, uint64_t *length_bytes)
{
    struct file_disk *disk = from_blk(dev);
    uint64_t exact = disk->fixed_length_bytes;
    struct stat st;

    if (!disk->fixed) {
        if (fstat(disk->fd, &st) < 0)
            return -errno;
        exact = (uint64_t)st.st_size;
    }
    *length_bytes = exact & ~(unit_bytes - 1);
    return 0;
}

static int file_resize(struct blockdev *dev, uint64_t length_bytes)
{
    int ret;

    if (from_blk(dev)->read_only)
        return -EACCES;
    do {
        ret = ftruncate(from_blk(dev)->fd, (off_t)length_bytes);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static uint64_t file_next_data(struct blockdev *dev, uint64_t offset_bytes, uint64_t end_bytes)
{
    off_t found;

    if (offset_bytes >= end_bytes)
        return end_bytes;
    found = lseek(from_blk(dev)->fd, (off_t)offset_bytes, SEEK_DATA);
    if (found < 0)
        return errno == ENXIO ? end_bytes : offset_bytes; /* nothing but hole from here on; or it cannot tell */
    return (uint64_t)found < end_bytes ? (uint64_t)found : end_bytes;
}

/* ---- life ---- */

static void file_close(struct blockdev *dev)
{
    close(from_blk(dev)->fd);
    free(dev);
}

static const struct blockdev_ops growing_ops = {
    .readv = file_readv,
    .writev = file_writev,
    .flush = file_flush,
    .discard = file_discard,
    .length = file_length,
    .resize = file_resize,
    .next_data = file_next_data,
    .close = file_close,
};

static const struct blockdev_ops fixed_ops = {
    .readv = file_readv,
    .writev = file_writev,
    .flush = file_flush,
    .discard = file_discard,
    .length = file_length,
    .next_data = file_next_data,
    .close = file_close,
};

/* An open descriptor, locked; or -errno. */
static int open_locked(const char *path, enum file_disk_mode mode)
{
    int flags = mode == FILE_DISK_READ_ONLY ? O_RDONLY : mode == FILE_DISK_READ_WRITE ? O_RDWR : O_RDWR | O_CREAT;
    /* O_NONBLOCK: a pipe opened by mistake must not hang. It changes nothing for files and block devices. */
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0666);
    int error;

    if (fd >= 0 && flock(fd, (mode == FILE_DISK_READ_ONLY ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
        return fd;
    error = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fd >= 0)
        close(fd);
    return error;
}

/* What kind of file this is, and how long a block device is. */
static int examine(struct file_disk *disk)
{
    struct stat st;

    if (fstat(disk->fd, &st) < 0)
        return -errno;
    disk->id = (struct file_disk_id){.device = st.st_dev, .inode = st.st_ino};
    disk->fixed = S_ISBLK(st.st_mode);
    if (disk->fixed)
        return ioctl(disk->fd, BLKGETSIZE64, &disk->fixed_length_bytes) < 0 ? -errno : 0;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

int file_disk_open(const char *path, enum file_disk_mode mode, struct blockdev **dev)
{
    struct file_disk *disk;
    int fd = open_locked(path, mode);
    int ret;

    if (fd < 0)
        return fd;
    disk = xcalloc(1, sizeof(*disk));
    disk->fd = fd;
    disk->read_only = mode == FILE_DISK_READ_ONLY;
    ret = examine(disk);
    disk->blk.ops = disk->fixed ? &fixed_ops : &growing_ops;
    /* Only now: somebody else's file must not be emptied before the lock says that nobody uses it. */
    if (!ret && mode == FILE_DISK_CREATE && !disk->fixed)
        ret = file_resize(&disk->blk, 0);
    if (ret) {
        file_close(&disk->blk);
        return ret;
    }
    *dev = &disk->blk;
    return 0;
}

void file_disk_identify(const struct blockdev *dev, struct file_disk_id *id)
{
    *id = ((const struct file_disk *)dev)->id;
}
