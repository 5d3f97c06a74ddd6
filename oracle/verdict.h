/* verdict.h: the words in which a crash is judged. Shared by the oracle, the harness and the reports. */
#ifndef ORACLE_VERDICT_H
#define ORACLE_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

enum verdict_class {
    VERDICT_OK,
    VERDICT_LOST_COW,     /* bytes the guest never wrote changed */
    VERDICT_LOST_FLUSHED, /* an acknowledged flush did not hold */
    VERDICT_DISCLOSURE,   /* bytes of another guest location, a freed cluster or stale space became visible */
    VERDICT_TORN,         /* a mix inside one atomic unit */
    VERDICT_CORRUPT,      /* tables that check calls broken, and not marked for repair */
    VERDICT_BAD_REPAIR,   /* repair fails, loses good data or is not idempotent */
    VERDICT_UNOPENABLE,
    VERDICT_WRONG_READ, /* a live read returned what it must not */
    VERDICT_STUCK,      /* a request never completes */
    VERDICT_DIED,       /* the engine, or who judged it, crashed or hung: there is no verdict */
    VERDICT_CLASS_COUNT
};

/* "lost-cow", ... ; "ok". */
const char *verdict_class_name(enum verdict_class c);
/* VERDICT_CLASS_COUNT when there is none of that name. */
enum verdict_class verdict_class_parse(const char *name);
/* What the class means, as one clause for people ("bytes the guest never wrote changed"). */
const char *verdict_class_meaning(enum verdict_class c);

#endif
