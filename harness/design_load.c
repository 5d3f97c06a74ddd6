/* design_load.c: see design_load.h. */
#include "harness/design_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scenarios/scenario.h"
#include "simdisk/xalloc.h"

#define MAX_FILE_BYTES 65536

bool design_is_file(const char *text)
{
    size_t length = strlen(text);
    return strchr(text, '/') || (length > 7 && !strcmp(text + length - 7, ".design"));
}

static int read_file(const char *path, char **text, size_t *length, struct qed_design_error *err)
{
    FILE *in = fopen(path, "r");
    *text = NULL;
    *length = 0;
    if (!in) {
        int ret = -errno;
        snprintf(err->text, sizeof(err->text), "cannot read the design %.200s: %s", path, strerror(-ret));
        return ret;
    }
    *text = xmalloc(MAX_FILE_BYTES + 1);
    *length = fread(*text, 1, MAX_FILE_BYTES + 1, in);
    int ret = ferror(in) ? -EIO : *length > MAX_FILE_BYTES ? -EFBIG : 0;
    fclose(in);
    if (ret)
        snprintf(err->text, sizeof(err->text), "cannot read the design %.200s: %s", path,
                 ret == -EFBIG ? "it is larger than 64 KiB" : strerror(-ret));
    return ret;
}

static void say_nearest(const char *text, struct qed_design_error *err)
{
    const char *words[64] = {0};
    size_t n = 0;
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ","), text);
    if (qed_design_find(name))
        return; /* something behind the comma */
    for (; n < qed_design_count && n < 63; n++)
        words[n] = qed_designs[n].name;
    const char *near = scn_nearest_word(name, words);
    size_t used = strlen(err->text);
    if (near)
        snprintf(err->text + used, sizeof(err->text) - used, "; did you mean '%s'?", near);
}

int design_load(const char *text, const struct qed_design **out, struct qed_design_error *err)
{
    *out = qed_design_find(text);
    if (*out)
        return 0;
    struct qed_design *d = xcalloc(1, sizeof(*d));
    char *name = xalloc_check(strdup(text)), *file = NULL;
    size_t length = 0;
    int ret;
    if (design_is_file(text)) {
        ret = read_file(text, &file, &length, err);
        if (!ret)
            ret = qed_design_parse_file(name, file, length, d, err);
    } else {
        ret = qed_design_parse(name, d, err);
        if (ret)
            say_nearest(text, err);
    }
    free(file);
    if (ret) {
        free(name);
        free(d);
        return ret;
    }
    d->name = name;
    *out = d;
    return 0;
}

static struct qed_design qemu;

const struct qed_design *design_qemu(void)
{
    qemu = *qed_design_find("upstream");
    qemu.name = "qemu";
    return &qemu;
}

bool design_is_qemu(const struct qed_design *design)
{
    return design == &qemu;
}

void design_unload(const struct qed_design *design)
{
    if (!design || design == &qemu || (design >= qed_designs && design < qed_designs + qed_design_count))
        return;
    free((char *)design->name);
    free((struct qed_design *)design);
}
