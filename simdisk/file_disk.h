/* file_disk.h: a plain file (or host device) as a blockdev; every request completes inline. */
#ifndef SIMDISK_FILE_DISK_H
#define SIMDISK_FILE_DISK_H

#include "engine/blockdev.h"

struct file_disk_id {
    uint64_t device, inode;
};

enum file_disk_mode { FILE_DISK_READ_ONLY, FILE_DISK_READ_WRITE, FILE_DISK_CREATE /* must not exist or is emptied */ };

/* 0 or -errno. Takes an exclusive flock when writing and a shared one when reading; -EBUSY when somebody else has it.
 * Interrupted and short transfers are retried; next_data is lseek(SEEK_DATA). A block device has a fixed length. */
int file_disk_open(const char *path, enum file_disk_mode mode, struct blockdev **dev);
void file_disk_identify(const struct blockdev *dev, struct file_disk_id *id);

#endif
