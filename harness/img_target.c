/* img_target.c: a file to be written, without losing one that holds something. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "harness/img.h"

/* True if the file is there now because of us. */
static bool make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

/* One line; the path, where it is not the image that img_error() names anyway. */
static __attribute__((format(printf, 3, 4))) void complain(const struct img_args *args, const char *path,
                                                           const char *fmt, ...)
{
    bool named = path == args->file;
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    img_error(args, "%s%s%s", named ? "" : path, named ? "" : ": ", text);
}

static int refuse_full(const struct img_args *args, const struct img_target *target)
{
    uint64_t length;
    int ret = target->dev->ops->length(target->dev, 1, &length);

    if (ret) {
        complain(args, target->path, "failed to get its length: %s", strerror(-ret));
    } else if (length && !args->force) {
        ret = -EEXIST;
        complain(args, target->path,
                 "exists and holds %" PRIu64 " bytes; expected a new or empty file; --force overwrites it", length);
    }
    return ret;
}

int img_target_open(const struct img_args *args, const char *path, struct img_target *target)
{
    int ret;

    *target = (struct img_target){.path = path, .made = make_file(path)};
    ret = file_disk_open(path, FILE_DISK_READ_WRITE, &target->dev);
    if (ret) {
        target->dev = NULL;
        complain(args, path, "%s",
                 ret == -ENOENT ? "cannot be made: its directory does not exist; make that first"
                                : img_open_words(ret));
    } else {
        ret = refuse_full(args, target);
    }
    if (ret)
        img_target_close(target, false);
    return ret;
}

void img_target_close(struct img_target *target, bool keep)
{
    /* Removed while it is still locked: nobody else can have begun to use it. */
    if (target->made && !keep)
        unlink(target->path);
    if (target->dev)
        target->dev->ops->close(target->dev);
    *target = (struct img_target){0};
}
