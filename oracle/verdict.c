/* verdict.c: the names and meanings of the verdict classes, and nothing else. */
#include "oracle/verdict.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name, *meaning;
} classes[VERDICT_CLASS_COUNT] = {
    [VERDICT_OK] = {"ok", "every sector shows what the guest was promised"},
    [VERDICT_LOST_COW] = {"lost-cow", "bytes the guest never wrote changed"},
    [VERDICT_LOST_FLUSHED] = {"lost-flushed", "an acknowledged flush did not hold"},
    [VERDICT_DISCLOSURE] = {"disclosure",
                            "bytes of another guest location, of a freed cluster or of stale space became visible"},
    [VERDICT_TORN] = {"torn", "a sector is a mix inside one atomic unit"},
    [VERDICT_CORRUPT] = {"corrupt", "the tables are broken and the image is not marked for repair"},
    [VERDICT_BAD_REPAIR] = {"bad-repair", "repair fails, loses good data or is not idempotent"},
    [VERDICT_UNOPENABLE] = {"unopenable", "the image cannot be opened after the crash"},
    [VERDICT_WRONG_READ] = {"wrong-read", "a live read returned what it must not"},
    [VERDICT_STUCK] = {"stuck", "a request never completes"},
    [VERDICT_DIED] = {"died", "the process that judged this crashed or hung, and came to no verdict"},
};

const char *verdict_class_name(enum verdict_class c)
{
    assert((unsigned)c < VERDICT_CLASS_COUNT);
    return classes[c].name;
}

enum verdict_class verdict_class_parse(const char *name)
{
    unsigned c = 0;

    while (c < VERDICT_CLASS_COUNT && strcmp(classes[c].name, name) != 0)
        c++;
    return (enum verdict_class)c;
}

const char *verdict_class_meaning(enum verdict_class c)
{
    assert((unsigned)c < VERDICT_CLASS_COUNT);
    return classes[c].meaning;
}
