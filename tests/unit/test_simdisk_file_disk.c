/* The plain file as a device. The system calls it uses are replaced here by ones that can be told to be interrupted, to
 * be short or to fail: a definition in the executable comes before the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "simdisk/file_disk.h"

/* ---- the system calls ---- */

static struct {
    int interruptions; /* so many calls are interrupted first */
    size_t at_most;    /* longest transfer; 0: no limit */
    int error;         /* every call fails with it */
    bool nothing;      /* writes take 0 bytes */
    bool block_device; /* every file claims to be one, of 8 KiB */
    unsigned calls;
} fake;

static bool fails(void)
{
    fake.calls++;
    if (fake.interruptions > 0) {
        fake.interruptions--;
        errno = EINTR;
        return true;
    }
    errno = fake.error;
    return fake.error != 0;
}

static size_t limited(size_t n)
{
    return fake.at_most && n > fake.at_most ? fake.at_most : n;
}

ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
    return fails() ? -1 : syscall(SYS_pread64, fd, buf, limited(n), offset);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    if (fails())
        return -1;
    return fake.nothing ? 0 : syscall(SYS_pwrite64, fd, buf, limited(n), offset);
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t length)
{
    return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return fails() ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

off_t lseek(int fd, off_t offset, int whence)
{
    return fails() ? -1 : (off_t)syscall(SYS_lseek, fd, offset, whence);
}

int fstat(int fd, struct stat *st)
{
    if (fake.error) {
        errno = fake.error;
        return -1;
    }
    int ret = fstatat(fd, "", st, AT_EMPTY_PATH);

    if (fake.block_device)
        st->st_mode = (st->st_mode & ~(mode_t)S_IFMT) | S_IFBLK;
    return ret;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (fake.block_device && request == BLKGETSIZE64) {
        *(uint64_t *)arg = 8192;
        return 0;
    }
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

/* ---- helpers ---- */

static char dir[] = "/tmp/test_file_disk.XXXXXX";
static char path[64];

static int reset(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    unlink(path);
    return 0;
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/image", dir);
    return 0;
}

static int remove_dir(void **state)
{
    reset(state);
    return rmdir(dir);
}

static struct blockdev *opened(enum file_disk_mode mode)
{
    struct blockdev *dev = NULL;

    assert_int_equal(file_disk_open(path, mode, &dev), 0);
    assert_non_null(dev);
    return dev;
}

static void done(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

#define PENDING 12345

static int transfer(struct blockdev *dev, bool write, uint64_t offset, uint8_t *buf, size_t length)
{
    struct iovec iov[3] = {{buf, length / 4}, {NULL, 0}, {buf + length / 4, length - length / 4}};
    int ret = PENDING;

    (write ? dev->ops->writev : dev->ops->readv)(dev, offset, iov, 3, done, &ret);
    assert_int_not_equal(ret, PENDING); /* inline */
    return ret;
}

static int fill(struct blockdev *dev, uint64_t offset, uint8_t byte, size_t length)
{
    uint8_t *buf = malloc(length);
    int ret;

    assert_non_null(buf);
    memset(buf, byte, length);
    ret = transfer(dev, true, offset, buf, length);
    free(buf);
    return ret;
}

static int flush(struct blockdev *dev)
{
    int ret = PENDING;

    dev->ops->flush(dev, done, &ret);
    return ret;
}

static int discard(struct blockdev *dev, uint64_t offset, uint64_t length)
{
    int ret = PENDING;

    dev->ops->discard(dev, offset, length, done, &ret);
    return ret;
}

static uint64_t length_of(struct blockdev *dev, uint64_t unit)
{
    uint64_t length;

    assert_int_equal(dev->ops->length(dev, unit, &length), 0);
    return length;
}

/* ---- tests ---- */

static void test_read_write_length(void **state)
{
    struct blockdev *dev = opened(FILE_DISK_CREATE);
    uint8_t buf[2048];

    (void)state;
    assert_null(dev->ops->event);
    assert_int_equal(length_of(dev, 1), 0);
    assert_int_equal(fill(dev, 512, 0x11, 1024), 0);
    assert_int_equal(length_of(dev, 1), 1536);
    assert_int_equal(length_of(dev, 1024), 1024);
    memset(buf, 0xee, sizeof(buf));
    assert_int_equal(transfer(dev, false, 0, buf, sizeof(buf)), 0);
    assert_int_equal(buf[511], 0);
    assert_int_equal(buf[512], 0x11);
    assert_int_equal(buf[1535], 0x11);
    assert_int_equal(buf[1536], 0); /* beyond the end */
    assert_int_equal(buf[2047], 0);
    assert_int_equal(flush(dev), 0);
    assert_int_equal(dev->ops->resize(dev, 1024), 0);
    assert_int_equal(dev->ops->resize(dev, 4096), 0);
    assert_int_equal(transfer(dev, false, 1024, buf, 512), 0);
    assert_int_equal(buf[0], 0);
    assert_int_equal(length_of(dev, 1), 4096);
    dev->ops->close(dev);
}

static void test_interrupted_and_short_transfers(void **state)
{
    struct blockdev *dev = opened(FILE_DISK_CREATE);
    uint8_t buf[4096];

    (void)state;
    fake.interruptions = 3;
    fake.at_most = 100;
    fake.calls = 0;
    assert_int_equal(fill(dev, 0, 0x22, sizeof(buf)), 0);
    if (fake.calls < 40)
        skip(); /* this C library does not let us in */
    fake.interruptions = 3;
    assert_int_equal(transfer(dev, false, 0, buf, sizeof(buf)), 0);
    assert_int_equal(buf[4095], 0x22);
    fake.interruptions = 1;
    assert_int_equal(dev->ops->resize(dev, 512), 0);
    fake.interruptions = 1;
    assert_int_equal(discard(dev, 0, 512), 0);
    fake.interruptions = 0;
    fake.nothing = true;
    assert_int_equal(fill(dev, 0, 1, 512), -EIO);
    dev->ops->close(dev);
}

static void test_errors_are_passed_on(void **state)
{
    struct blockdev *dev = opened(FILE_DISK_CREATE), *other = NULL;
    uint8_t buf[512];
    uint64_t length;

    (void)state;
    fake.error = EIO;
    assert_int_equal(fill(dev, 0, 1, 512), -EIO);
    assert_int_equal(transfer(dev, false, 0, buf, 512), -EIO);
    assert_int_equal(flush(dev), -EIO);
    assert_int_equal(dev->ops->resize(dev, 0), -EIO);
    assert_int_equal(discard(dev, 0, 512), -EIO);
    assert_int_equal(dev->ops->length(dev, 1, &length), -EIO);
    fake.error = EOPNOTSUPP;
    assert_int_equal(discard(dev, 0, 512), 0); /* best effort */
    fake.error = EINVAL;
    assert_int_equal(dev->ops->next_data(dev, 100, 200), 100); /* it cannot tell */
    fake.error = 0;
    fake.interruptions = 1;
    assert_int_equal(flush(dev), -EINTR); /* a flush is never tried twice */
    dev->ops->close(dev);
    fake.error = EIO;
    assert_int_equal(file_disk_open(path, FILE_DISK_READ_WRITE, &other), -EIO);
    assert_null(other);
}

static void test_read_only(void **state)
{
    struct blockdev *dev = NULL;
    uint8_t buf[512] = {0};

    (void)state;
    assert_int_equal(file_disk_open(path, FILE_DISK_READ_ONLY, &dev), -ENOENT);
    assert_int_equal(file_disk_open(path, FILE_DISK_READ_WRITE, &dev), -ENOENT);
    dev = opened(FILE_DISK_CREATE);
    assert_int_equal(fill(dev, 0, 7, 512), 0);
    dev->ops->close(dev);
    dev = opened(FILE_DISK_READ_ONLY);
    assert_int_equal(fill(dev, 0, 8, 512), -EACCES);
    assert_int_equal(dev->ops->resize(dev, 0), -EACCES);
    assert_int_equal(discard(dev, 0, 512), -EACCES);
    assert_int_equal(transfer(dev, false, 0, buf, 512), 0);
    assert_int_equal(buf[0], 7);
    dev->ops->close(dev);
}

static void test_locks(void **state)
{
    struct blockdev *writer = opened(FILE_DISK_CREATE), *other = NULL, *reader;
    struct file_disk_id a, b;

    (void)state;
    assert_int_equal(fill(writer, 0, 7, 512), 0);
    assert_int_equal(file_disk_open(path, FILE_DISK_READ_ONLY, &other), -EBUSY);
    assert_int_equal(file_disk_open(path, FILE_DISK_READ_WRITE, &other), -EBUSY);
    assert_int_equal(file_disk_open(path, FILE_DISK_CREATE, &other), -EBUSY);
    assert_null(other);
    assert_int_equal(length_of(writer, 1), 512); /* not emptied by the one that did not get it */
    file_disk_identify(writer, &a);
    writer->ops->close(writer);
    reader = opened(FILE_DISK_READ_ONLY);
    other = opened(FILE_DISK_READ_ONLY); /* readers share */
    file_disk_identify(other, &b);
    assert_int_equal(a.inode, b.inode);
    assert_int_equal(a.device, b.device);
    other->ops->close(other);
    assert_int_equal(file_disk_open(path, FILE_DISK_CREATE, &other), -EBUSY);
    assert_int_equal(length_of(reader, 1), 512);
    reader->ops->close(reader);
    other = opened(FILE_DISK_CREATE);
    assert_int_equal(length_of(other, 1), 0); /* emptied now */
    other->ops->close(other);
}

static void test_discard_and_next_data(void **state)
{
    struct blockdev *dev = opened(FILE_DISK_CREATE);
    const uint64_t mib = 1 << 20;
    uint8_t buf[512];
    uint64_t found;

    (void)state;
    assert_int_equal(fill(dev, mib, 1, 65536), 0);
    assert_int_equal(dev->ops->resize(dev, 4 * mib), 0);
    found = dev->ops->next_data(dev, 0, 4 * mib);
    assert_true(found <= mib);
    assert_int_equal(dev->ops->next_data(dev, mib + 512, 4 * mib), mib + 512);
    assert_int_equal(dev->ops->next_data(dev, 512, 512), 512);
    assert_int_equal(dev->ops->next_data(dev, 5 * mib, 6 * mib), 6 * mib); /* beyond the end: ENXIO */
    assert_int_equal(dev->ops->next_data(dev, 0, 4096), found < 4096 ? found : 4096);
    assert_int_equal(discard(dev, mib, 65536), 0);
    assert_int_equal(discard(dev, mib, 0), 0);
    assert_int_equal(length_of(dev, 1), 4 * mib);
    assert_int_equal(transfer(dev, false, mib, buf, 512), 0);
    assert_true(buf[0] == 0 || buf[0] == 1);
    dev->ops->close(dev);
}

static void test_block_device(void **state)
{
    struct blockdev *dev = opened(FILE_DISK_CREATE);

    (void)state;
    assert_int_equal(fill(dev, 0, 3, 512), 0);
    dev->ops->close(dev);
    fake.block_device = true;
    dev = opened(FILE_DISK_CREATE);
    if (dev->ops->resize) {
        dev->ops->close(dev);
        skip(); /* this C library does not let us in */
    }
    assert_int_equal(length_of(dev, 1), 8192);
    assert_int_equal(fill(dev, 8192 - 512, 1, 512), 0);
    assert_int_equal(fill(dev, 8192 - 512, 1, 1024), -ENOSPC);
    assert_int_equal(fill(dev, 1 << 20, 1, 512), -ENOSPC);
    dev->ops->close(dev);
    fake.block_device = false;
    dev = opened(FILE_DISK_READ_ONLY);
    uint8_t buf[512];

    assert_int_equal(transfer(dev, false, 0, buf, 512), 0);
    assert_int_equal(buf[0], 3); /* a device is not emptied by CREATE */
    dev->ops->close(dev);
}

static void test_what_is_no_file_is_refused(void **state)
{
    struct blockdev *dev = NULL;

    (void)state;
    assert_int_equal(file_disk_open(dir, FILE_DISK_READ_ONLY, &dev), -EISDIR);
    assert_int_equal(file_disk_open(dir, FILE_DISK_READ_WRITE, &dev), -EISDIR);
    assert_int_equal(file_disk_open("/dev/null", FILE_DISK_READ_ONLY, &dev), -EINVAL);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_disk_open(path, FILE_DISK_READ_ONLY, &dev), -EINVAL); /* and does not hang */
    assert_null(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_read_write_length, reset),
        cmocka_unit_test_setup(test_interrupted_and_short_transfers, reset),
        cmocka_unit_test_setup(test_errors_are_passed_on, reset),
        cmocka_unit_test_setup(test_read_only, reset),
        cmocka_unit_test_setup(test_locks, reset),
        cmocka_unit_test_setup(test_discard_and_next_data, reset),
        cmocka_unit_test_setup(test_block_device, reset),
        cmocka_unit_test_setup(test_what_is_no_file_is_refused, reset),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
