/* crash_disk.h: the disk after the power has failed, as a blockdev.
 *
 * It stands over one crash_space. Each unit is *set* (its version is known) or *open*: nobody has read it yet, and it is
 * still all of its versions at once. Reading an open unit asks the chooser which version it was; so an explorer branches
 * only where recovery looks. The file's length is one more open choice, asked for no more exactly than length() was.
 *
 *        read sector ──▶ open? ──▶ chooser: one of {durable, v1, ..} that earlier choices still allow ──▶ bytes
 *
 * What recovery writes goes on top and is logged; crash_disk_rewind takes back writes and choices to any earlier mark, so
 * one loaded disk serves any number of states without allocating. Every request completes inline.
 *
 * What earlier choices allow. Units are independent, with two exceptions, kept here and nowhere else:
 *   - atoms: a version that stands says its operation persisted, and that every later one in this unit did not;
 *   - the length of a file that follows its data: once the length is known, nothing beyond it persisted, and something
 *     that ends there did (the last open unit that could be it, must).
 */
#ifndef SIMDISK_CRASH_DISK_H
#define SIMDISK_CRASH_DISK_H

#include "simdisk/crash_space.h"

#define CRASH_OPEN UINT32_MAX

struct crash_disk;

enum crash_choice { CRASH_CHOICE_UNIT, CRASH_CHOICE_LENGTH, CRASH_CHOICE_CUT, CRASH_CHOICE_NESTED };

struct crash_chooser {
    /* Which of the n >= 2 alternatives? (A single alternative is taken without asking.) For a unit: alternatives[i] is a
     * version; for the length: a bucket number; for a cut: 0 or 1; nested choices are just numbers. Returns an index
     * below n. */
    uint32_t (*choose)(struct crash_chooser *chooser, enum crash_choice kind, size_t index,
                       const uint32_t *alternatives, uint32_t n);
};

struct crash_disk *crash_disk_create(void);
void crash_disk_destroy(struct crash_disk *d);
struct blockdev *crash_disk_blk(struct crash_disk *d);

/* Stands over this space from now on (which must outlive it), everything open, chooser for what is read. */
void crash_disk_load(struct crash_disk *d, const struct crash_space *space, struct crash_chooser *chooser);

/* Setting by hand, for enumeration; only while nothing has been written or chosen. Setting an atom does not touch the
 * units it has versions in: crash_state.c keeps them in step. All must be set before the disk is used without a chooser.
 */
void crash_disk_set_unit(struct crash_disk *d, size_t unit, uint32_t version);
void crash_disk_set_atom(struct crash_disk *d, size_t atom, bool in);
void crash_disk_set_length(struct crash_disk *d, size_t length_index);
/* Everything set to its durable version. */
void crash_disk_set_durable(struct crash_disk *d);

/* A mark to come back to. crash_disk_rewind(d, 0) takes back all that was written and chosen since load / set. */
size_t crash_disk_mark(const struct crash_disk *d);
void crash_disk_rewind(struct crash_disk *d, size_t mark);

/* Watching. What of each choice has mattered since the last rewind to 0: of a unit's bytes, those that were looked at
 * (a bit per 8 bytes; bytes read as part of a table count only when looked_at says so, all others when they are read); of
 * the length, what it was compared with. Two alternatives that agree in all that mattered lead to the same run. */
#define CRASH_USED_WORDS 8 /* 4096 / 8 / 64 */
const uint64_t *crash_disk_used(const struct crash_disk *d, size_t unit);
struct crash_length_use {
    bool exact;       /* every byte of it mattered */
    uint64_t at_most; /* any length in [at_least, at_most) would have compared the same */
    uint64_t at_least;
};
struct crash_length_use crash_disk_length_use(const struct crash_disk *d);
/* From here on, what the client does depends on the length in ways it does not tell of. */
void crash_disk_use_length(struct crash_disk *d);
/* Was the read under way announced as that of an L2 table? */
bool crash_disk_reads_table(const struct crash_disk *d);
/* Does this open unit decide nothing but the bytes that the guest reads? It is being read for the guest, no choice is made
 * together with it, and no version of it has a say in how long the file is. */
bool crash_disk_decides_bytes_alone(const struct crash_disk *d, size_t unit);
/* The bytes of a length bucket on offer (CRASH_CHOICE_LENGTH of a file that follows its data). */
uint64_t crash_disk_bucket(const struct crash_disk *d, uint32_t alternative);

/* The version of a unit as known now, or CRASH_OPEN. */
uint32_t crash_disk_unit(const struct crash_disk *d, size_t unit);
/* May the open unit still be this version? */
bool crash_disk_allows(const struct crash_disk *d, size_t unit, uint32_t version);
/* Index into space->lengths, or CRASH_OPEN. */
uint32_t crash_disk_length_choice(const struct crash_disk *d);
bool crash_disk_atom_in(const struct crash_disk *d, size_t atom);
/* First crash point at which what is known so far can exist. */
uint32_t crash_disk_when(const struct crash_disk *d);
const struct crash_space *crash_disk_space(const struct crash_disk *d);

/* A completion of what is known: every open choice made, survivors as few as possible. Marks nothing; use a mark. */
void crash_disk_settle(struct crash_disk *d);

/* The power fails again, while recovery is writing. From crash_disk_log_start on the disk remembers what is written, epoch
 * by epoch (an epoch ends with a flush; on a disk whose cache keeps order, or that writes through, with every write).
 * crash_disk_fail_again then makes the disk what a power failure in one of these epochs leaves: later epochs are lost,
 * earlier ones durable, and of that epoch each atomic unit (each write, where writes are atomic) holds one of its
 * versions, asked for at once: choose(opaque, n) picks one of n, the fewest changes first. A cut of the file, which persists
 * whole or not, is asked for before them, a length that is still open after. */
void crash_disk_log_start(struct crash_disk *d);
void crash_disk_log_stop(struct crash_disk *d);
/* Epochs in which something was written; and how many of them are over. */
uint32_t crash_disk_log_epochs(const struct crash_disk *d);
uint32_t crash_disk_log_closed(const struct crash_disk *d);
void crash_disk_fail_again(struct crash_disk *d, uint32_t epoch, uint32_t (*choose)(void *opaque, uint32_t n),
                           void *opaque);
/* For choose(): what is being asked for, if it is a piece of the disk and decides nothing but what that holds: a number from
 * 1 (0: anything else). And later: has anybody looked at what it holds? If not, all answers lead to the same run. */
uint32_t crash_disk_asking(const struct crash_disk *d);
bool crash_disk_asked_was_read(const struct crash_disk *d, uint32_t asked);

/* What recovery did since the last rewind to 0. */
uint64_t crash_disk_writes(const struct crash_disk *d);
uint64_t crash_disk_flushes(const struct crash_disk *d);
/* Times this disk had to ask malloc since it was created. */
uint64_t crash_disk_allocations(const struct crash_disk *d);

#endif
