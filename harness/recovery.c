/* recovery.c: see recovery.h. */
#include "harness/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simdisk/xalloc.h"

static void look(struct crash_disk *disk, struct qed *q, struct recovery_check *out)
{
    struct walk *walk = xalloc_check(walk_create());
    out->walk_ret = walk_image(walk, crash_disk_blk(disk), &out->walk);
    walk_destroy(walk);
    out->check_ret = q ? qed_check(q, false, &out->check) : -ENODATA;
}

/* As it lies there: opened for looking only, so that no mark is acted on. */
static void look_before(struct crash_disk *disk, const struct qed_design *design, struct run_backing *backing,
                        struct recovery_check *out)
{
    struct qed_open_options options = {.design = design, .read_only = true, .backing_host = &backing->host};
    struct qed *q = NULL;
    struct qed_error err;
    if (qed_open(crash_disk_blk(disk), &options, &q, &err))
        q = NULL;
    look(disk, q, out);
    if (q)
        qed_abandon(q);
    crash_disk_rewind(disk, 0);
}

void recovery_watch(struct crash_disk *disk, const struct recording *recording, const struct qed_design *design,
                    struct recovery *out)
{
    struct qed_design plain = *design; /* looking on asks the design nothing */
    struct run_backing backing;
    struct qed *q = NULL;
    plain.asked = NULL;
    *out = (struct recovery){0};
    run_backing_init(&backing, recording->scenario, NULL);
    look_before(disk, &plain, &backing, &out->before);
    struct qed_open_options options = {.design = &plain, .backing_host = &backing.host};
    out->open_ret = qed_open(crash_disk_blk(disk), &options, &q, &out->error);
    out->writes = crash_disk_writes(disk);
    out->flushes = crash_disk_flushes(disk);
    if (out->open_ret) {
        q = NULL;
    } else {
        out->scanned = qed_opened(q)->scanned;
        out->repaired = qed_opened(q)->check;
    }
    look(disk, q, &out->after);
    if (q)
        qed_abandon(q);
    crash_disk_rewind(disk, 0);
    run_backing_destroy(&backing);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void tell_scan(const struct recovery *r, char *buf, size_t size)
{
    char wrote[48] = "wrote nothing";
    if (r->writes)
        snprintf(wrote, sizeof(wrote), "wrote %" PRIu64 " time%s", r->writes, plural(r->writes));
    if (!r->scanned)
        snprintf(buf, size, "The image was %smarked; recovery looked at no table and %s.",
                 r->before.walk.marked ? "" : "not ", wrote);
    else if (r->repaired.corruptions_fixed || r->repaired.corruptions)
        snprintf(buf, size,
                 "The image was marked; recovery walked its tables, cleared %" PRIu64
                 " broken reference%s, left %" PRIu64 " and %s.",
                 r->repaired.corruptions_fixed, plural(r->repaired.corruptions_fixed), r->repaired.corruptions, wrote);
    else
        snprintf(buf, size, "The image was marked; recovery walked its tables, found nothing broken and %s.", wrote);
}

static void tell_after(const struct recovery *r, char *buf, size_t size)
{
    uint64_t faults = walk_faults(&r->after.walk);
    if (r->after.walk_ret || r->open_ret)
        buf[0] = 0;
    else if (faults)
        snprintf(buf, size, " Then %" PRIu64 " broken reference%s remained: %s.", faults, plural(faults),
                 r->after.walk.first_fault);
    else
        snprintf(buf, size, " Then the tables were sound, with %" PRIu64 " leaked cluster%s.", r->after.walk.leaked,
                 plural(r->after.walk.leaked));
}

void recovery_tell(const struct recovery *r, char *buf, size_t size)
{
    if (r->open_ret) {
        snprintf(buf, size, "The image did not open: %s", r->error.text);
        size_t used = strlen(buf);
        if (used && buf[used - 1] != '.' && used + 1 < size)
            memcpy(buf + used, ".", 2);
        return;
    }
    tell_scan(r, buf, size);
    size_t used = strlen(buf);
    tell_after(r, buf + used, size - used);
}
