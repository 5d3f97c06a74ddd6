/* minimal.h: the fewest survivors that still show a finding.
 *
 * A witness is made of *survivors*: units that are not as durable, atoms that persisted, a length of its own. They are
 * taken away, first many at a time and then one by one, as long as the rest shows the same (class, guest cluster). What
 * remains is minimal: without any one of them this state shows it no more. (Another, smaller set may exist; a minimal
 * one is found by trying n things, a minimum by trying 2^n.) A witness never comes to need more than it did: a second
 * life, or a second power failure during recovery.
 *
 * With an ordered cache what survived is a prefix, and only its end can be taken away: that is a state of another space.
 */
#ifndef HARNESS_MINIMAL_H
#define HARNESS_MINIMAL_H

#include "harness/judge.h"
#include "simdisk/crash_state.h"

#define MINIMAL_NO_CLUSTER UINT64_MAX

/* What must remain to be seen. */
struct minimal_target {
    enum verdict_class class;
    uint64_t cluster;      /* guest cluster, or MINIMAL_NO_CLUSTER: the image as a whole */
    bool second_life;      /* may it take one */
    bool nested;           /* may it take a second power failure */
    uint64_t guest_sector; /* where it should be seen, if it can be seen in several sectors */
};

/* How a state shows it: the first life before the second, few picks before many, then the sector asked for,
 * then the first. */
struct minimal_shown {
    bool shown, second_life;
    uint64_t guest_sector, image_sector;
    uint32_t picks[JUDGE_MAX_PICKS];
    unsigned pick_count;
};

struct minimal {
    struct judge *judge;
    struct crash_disk *disk;
    const struct crash_space *space; /* on the disk, all set: minimal_load */
};

void minimal_load(struct minimal *m, const struct crash_space *space);
bool minimal_shows(const struct minimal *m, const struct crash_state *st, const struct minimal_target *target,
                   struct minimal_shown *shown);
/* Takes away what is not needed. False if the state does not show the target at all. */
bool minimal_state(const struct minimal *m, struct crash_state *st, const struct minimal_target *target,
                   struct minimal_shown *shown);
/* The ordered cache: the first space of this one's epoch in which so many operations persisted; NULL if there is none. The
 * caller's. */
struct crash_space *minimal_with_prefix(const struct crash_space *space, uint32_t prefix_ops);

#endif
