/* img_chain.c: opening an image and the files below it. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/img.h"
#include "simdisk/xalloc.h"

/* ---- devices that complete inline ---- */

struct inline_wait {
    bool done;
    int ret;
};

static void inline_done(void *opaque, int ret)
{
    struct inline_wait *wait = opaque;

    wait->done = true;
    wait->ret = ret;
}

int img_dev_read(struct blockdev *dev, uint64_t offset, void *buf, size_t length)
{
    struct iovec iov = {.iov_base = buf, .iov_len = length};
    struct inline_wait wait = {.ret = -EIO};

    dev->ops->readv(dev, offset, &iov, 1, inline_done, &wait);
    return wait.done ? wait.ret : -EIO;
}

/* ---- names ---- */

static __attribute__((format(printf, 3, 4))) int fail(struct qed_error *err, int ret, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return ret;
}

/* `name` as seen from the directory of `from`. */
static char *path_beside(const char *from, const char *name)
{
    const char *slash = strrchr(from, '/');
    char *path;

    if (name[0] == '/' || !slash)
        path = strdup(name);
    else if (asprintf(&path, "%.*s/%s", (int)(slash - from), from, name) < 0)
        path = NULL;
    return xalloc_check(path);
}

/* Formats that are no QED but not raw either. Read as raw they would show the guest nonsense. */
static const char *foreign_format(const uint8_t head[BLK_SECTOR_BYTES])
{
    static const struct {
        size_t length;
        const char *magic, *name;
    } formats[] = {
        {4, "QFI\xfb", "qcow"}, {4, "KDMV", "VMDK"}, {8, "vhdxfile", "VHDX"},
        {8, "conectix", "VPC"}, {4, "<<< ", "VDI"},
    };

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (!memcmp(head, formats[i].magic, formats[i].length))
            return formats[i].name;
    return NULL;
}

/* ---- the chain ---- */

static void push(struct img_host *host, const struct file_disk_id *id, struct blockdev *dev)
{
    host->links = xgrow(host->links, host->link_count, &host->link_cap, sizeof(*host->links));
    host->links[host->link_count++] = (struct img_link){.id = *id, .dev = dev};
}

static bool contains(const struct img_host *host, const struct file_disk_id *id)
{
    for (size_t i = 0; i < host->link_count; i++)
        if (host->links[i].id.device == id->device && host->links[i].id.inode == id->inode)
            return true;
    return false;
}

bool img_host_has(const struct img_host *host, const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && contains(host, &(struct file_disk_id){.device = st.st_dev, .inode = st.st_ino});
}

static int refuse_loop(const char *name, struct qed_error *err)
{
    return fail(err, -ELOOP,
                "backing file '%.150s' leads back into its own chain; expected a chain that ends; give one image of it "
                "another backing file",
                name);
}

static int refuse_foreign(struct blockdev *dev, const char *name, struct qed_error *err)
{
    uint8_t head[BLK_SECTOR_BYTES];
    const char *format;
    int ret = img_dev_read(dev, 0, head, sizeof(head));

    if (ret)
        return fail(err, ret, "backing file '%.150s' cannot be read: %s", name, strerror(-ret));
    format = foreign_format(head);
    if (format)
        return fail(err, -ENOTSUP, "backing file '%.150s' looks like a %s image; expected raw or QED", name, format);
    return 0;
}

static int open_backing_file(const char *path, const char *name, bool raw, struct blockdev **dev, struct qed_error *err)
{
    int ret = file_disk_open(path, FILE_DISK_READ_ONLY, dev);

    if (ret)
        return fail(err, ret, "backing file '%.150s': %s", name, img_open_words(ret));
    ret = raw ? 0 : refuse_foreign(*dev, name, err);
    if (ret)
        (*dev)->ops->close(*dev);
    return ret;
}

int img_host_open_next(struct img_host *host, const char *name, bool raw, struct blockdev **dev, struct qed_error *err)
{
    char *path = path_beside(host->path, name);
    struct file_disk_id id;
    /* Looked at before it is locked: our own lock on the image would only say that somebody uses it. */
    int ret = img_host_has(host, path) ? refuse_loop(name, err) : open_backing_file(path, name, raw, dev, err);

    if (ret) {
        *dev = NULL;
        free(path);
        return ret;
    }
    file_disk_identify(*dev, &id);
    push(host, &id, *dev);
    free(host->path);
    host->path = path;
    return 0;
}

/* The engine asks. Whether the file may be looked at is written in the header of the image that names it. */
static int open_for_engine(struct qed_backing_host *base, const char *name, struct blockdev **dev,
                           struct qed_error *err)
{
    struct img_host *host = (struct img_host *)base;
    struct blockdev *parent = host->link_count ? host->links[host->link_count - 1].dev : NULL;
    uint8_t head[BLK_SECTOR_BYTES] = {0};
    struct qed_header header;
    int ret = parent ? img_dev_read(parent, 0, head, sizeof(head)) : 0;

    if (ret)
        return fail(err, ret, "failed to read QED header: %s", strerror(-ret));
    qed_header_decode(head, &header);
    return img_host_open_next(host, name, header.features & QED_F_BACKING_FORMAT_NO_PROBE, dev, err);
}

void img_host_init(struct img_host *host, const char *path, struct blockdev *dev)
{
    struct file_disk_id id;
    struct stat st;

    *host = (struct img_host){.host = {.open = open_for_engine}, .path = xalloc_check(strdup(path))};
    if (dev) {
        file_disk_identify(dev, &id);
        push(host, &id, dev);
    } else if (stat(path, &st) == 0) {
        id = (struct file_disk_id){.device = st.st_dev, .inode = st.st_ino};
        push(host, &id, NULL);
    }
}

void img_host_free(struct img_host *host)
{
    free(host->links);
    free(host->path);
    *host = (struct img_host){0};
}

int img_host_measure(struct img_host *host, struct blockdev *dev, bool must_be_qed, bool *raw, uint64_t *bytes,
                     struct qed_error *err)
{
    struct qed_open_options options = {
        .design = qed_design_find("careful"), .read_only = true, .backing_host = &host->host};
    uint8_t head[BLK_SECTOR_BYTES];
    struct qed *q;
    int ret = *raw ? 0 : img_dev_read(dev, 0, head, sizeof(head));

    if (!ret && !*raw && !must_be_qed)
        *raw = qed_probe(head, sizeof(head)) == 0;
    if (!ret && *raw)
        ret = dev->ops->length(dev, 1, bytes);
    if (ret)
        return fail(err, ret, "cannot be read: %s", strerror(-ret));
    if (*raw)
        return 0;
    ret = qed_open(dev, &options, &q, err);
    if (ret)
        return ret;
    *bytes = qed_image_bytes(q);
    return qed_close(q);
}

/* ---- images ---- */

int img_open_file(const struct img_args *args, bool read_only, struct img_image *image)
{
    int ret;

    *image = (struct img_image){0};
    ret = file_disk_open(args->file, read_only ? FILE_DISK_READ_ONLY : FILE_DISK_READ_WRITE, &image->dev);
    if (ret) {
        image->dev = NULL;
        img_error(args, "%s", img_open_words(ret));
        return ret;
    }
    img_host_init(&image->host, args->file, image->dev);
    return 0;
}

int img_open_engine(const struct img_args *args, unsigned how, struct img_image *image)
{
    struct qed_open_options options = {
        .design = args->design,
        .read_only = how & IMG_READ_ONLY,
        .check_mode = how & IMG_CHECK_MODE,
        .no_backing = how & IMG_NO_BACKING,
        .backing_host = &image->host.host,
    };
    struct qed_error err = {.text = ""};
    int ret = qed_open(image->dev, &options, &image->q, &err);

    if (ret)
        img_error(args, "%s", err.text);
    return ret;
}

int img_open(const struct img_args *args, unsigned how, struct img_image *image)
{
    int ret = img_open_file(args, how & IMG_READ_ONLY, image);

    if (!ret)
        ret = img_open_engine(args, how, image);
    if (ret)
        img_close(args, image);
    return ret;
}

int img_close(const struct img_args *args, struct img_image *image)
{
    int ret = image->q ? qed_close(image->q) : 0;

    if (ret)
        img_error(args, "closing failed: %s; what was written last may not be durable", strerror(-ret));
    if (image->dev)
        image->dev->ops->close(image->dev);
    img_host_free(&image->host);
    *image = (struct img_image){0};
    return ret;
}
