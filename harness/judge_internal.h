/* judge_internal.h: what the judge is made of; for judge.c, sweep.c and lives.c alone. */
#ifndef HARNESS_JUDGE_INTERNAL_H
#define HARNESS_JUDGE_INTERNAL_H

#include "harness/judge.h"

#define SECTOR                 BLK_SECTOR_BYTES
#define JUDGE_MAX_ALTERNATIVES 256u
#define MANY_CLUSTERS          64u   /* fewer are judged one by one; see sweep.c */
#define QUIET_RUNS             8u    /* for each sector; see is_quiet() */
#define SECOND_LIFE_GENERATION 1000u /* no scenario has that many lives */

struct judge {
    const struct recording *recording;
    const struct qed_design *design;
    struct qed_pool *pool;
    bool own_pool;
    struct walk *walk;
    struct run_backing backing;
    struct promise_range *ranges; /* touched sectors, whole clusters */
    size_t range_count;
    uint32_t cluster_sectors;
    uint64_t beside; /* first sector of a cluster nobody touched, or JUDGE_NO_SECTOR */
    uint8_t *shown;  /* one cluster, as recovery showed it; then as it must be seen */
    uint8_t *right;  /* per sector of it: nothing was wrong with it */
    uint8_t *now;    /* one cluster, read again */
    uint8_t *fresh;  /* one sector: what the second life wrote beside */
    bool explain, second_life;
    bool glance; /* the script about the structure has a look at all contents too */
    struct promise_explanation words;
    char what[320];
    struct judge_counts counts;
    unsigned nested;
    struct explorer *own; /* asks about second power failures on a disk that is set */
    struct crash_chooser *chooser;
    const uint32_t *forced;
    unsigned forced_count;
    uint32_t picks[JUDGE_MAX_PICKS];
    unsigned pick_count;
    uint32_t numbers[JUDGE_MAX_ALTERNATIVES];

    /* The state being judged. */
    struct crash_disk *disk;
    uint32_t when; /* of a set state; for an open one, what the disk knows says it */
    bool open;     /* choices are open: an explorer is at work */
    violation_fn *report;
    judge_go_on *go_on;
    void *opaque;
    uint64_t first, count; /* sectors of the cluster the script is about */

    /* The scenario's own later lives; see lives.c. */
    struct promise *life;  /* what the guest was promised in them; NULL: the scenario has none */
    uint32_t life_when;    /* position of the last power failure, in that promise */
    bool lived;            /* in the script under way, they have been lived */
    uint32_t assumed_when; /* at the first failure */
    bool rehearsal;        /* nothing is reported yet; */
    bool rehearsal_found;  /* something would have been */
    bool reported;         /* something was, since somebody cleared this */
    uint64_t touched_clusters, many;
    struct sweep *sweep;
    uint64_t focus;      /* first sector of the only cluster of interest, or JUDGE_NO_SECTOR */
    uint8_t *heard;      /* per sector of the cluster: a rehearsal would have reported it */
    uint32_t quiet_runs; /* left to script_quiet */
    bool interrupted;    /* in it */

    struct judge_qemu *qemu; /* NULL: our engine recovers */
    uint64_t image_sectors;  /* of the image as QEMU opened it */
};

/* Gives one of n answers about a second power failure, and remembers it among the picks. */
uint32_t judge_ask(void *opaque, uint32_t n);
void judge_report_image(struct judge *j, enum verdict_class class, bool second, const char *what, const char *detail);

/* words: the judge's own, filled by what found it. */
void judge_report_sector(struct judge *j, enum verdict_class class, uint64_t sector, bool second, bool words,
                         const char *what);
/* Right, at the state's point? Reports what is not. */
bool judge_shown_sector(struct judge *j, uint64_t sector, const uint8_t *bytes);
/* Reports a sector that in the second life is not what it was. */
void judge_changed_sector(struct judge *j, uint64_t sector, const uint8_t *was, const uint8_t *is);
/* What a second life writes to a sector; and which sector of a cluster it writes over. */
void judge_fresh_bytes(const struct judge *j, uint64_t sector, uint8_t *bytes);
uint64_t judge_over_sector(const struct judge *j, uint64_t first);

/* judge_qemu.c: the state that the disk is set to. */
void judge_qemu_state(struct judge *j);
/* Where QEMU has the guest sector in the file; JUDGE_NO_SECTOR also where nobody explains, for it is dear. */
uint64_t judge_qemu_place(struct judge *j, uint64_t sector);
void judge_qemu_destroy(struct judge_qemu *q);

int judge_recover(struct judge *j, struct qed **q, struct qed_error *err);
/* Reads the cluster the script is about and judges it; j->right says of which sectors nothing is wrong. True if any is. */
bool judge_first_life(struct judge *j, struct qed *q);
/* The second life's writes: into the middle of the cluster nobody has touched (was it?), and over one sector of the
 * cluster the script is about (which one, or JUDGE_NO_SECTOR). */
bool judge_write_beside(struct judge *j, struct qed *q);
uint64_t judge_write_over(struct judge *j, struct qed *q, uint8_t bytes[SECTOR]);
/* Closes and opens again; NULL if that was reported as impossible. */
struct qed *judge_next_life(struct judge *j, struct qed *q);
void judge_second_life_of(struct judge *j, struct qed *q, uint64_t over, const uint8_t *over_bytes, bool beside);
/* All states of one cluster, at the most. */
void judge_contents(struct judge *j, struct explorer *x, uint64_t first, uint64_t count, bool *stopped);

/* sweep.c: the contents of all clusters, in all states of the space that is loaded. */
void sweep_create(struct judge *j);
void sweep_destroy(struct judge *j);
void sweep_contents(struct judge *j, struct explorer *x, bool *stopped);

/* lives.c: does the scenario say what the guest does after a crash? */
bool lives_wanted(const struct recording *recording);
void lives_create(struct judge *j);
void lives_destroy(struct judge *j);
/* Plays them on the crashed disk, each on what the failure before it left. False if the script ends there (the image does
 * not open, which script_structure reports). */
bool lives_play(struct judge *j);

#endif
