/* promise_judge.c: holding one sector's bytes against the recorded timeline. The rule is stated in promise.h; here it
 * is one walk over the sector's requests, newest first, because the first firm one met hides every older one that had
 * been acknowledged before it was submitted. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oracle/promise.h"
#include "oracle/promise_timeline.h"

/* From where one looks: after a crash, or at a live read. */
struct view {
    uint64_t begun_by; /* requests begun later do not exist */
    uint64_t firm_by;
    bool live;
};

static struct view crash_view(uint64_t when)
{
    /* TIMELINE_NEVER as a position means "at the end", and must not make "never" true. */
    uint64_t by = when == TIMELINE_NEVER ? when - 1 : when;

    return (struct view){.begun_by = by, .firm_by = by};
}

static struct view live_view(uint64_t from, uint64_t to)
{
    return (struct view){.begun_by = crash_view(to).begun_by, .firm_by = crash_view(from).firm_by, .live = true};
}

static inline bool is_firm(const struct timeline_op *op, const struct view *view)
{
    if (view->live)
        return op->ok && op->end <= view->firm_by;
    return op->covered_at <= view->firm_by;
}

/* A step along a list: the visible requests (begun, not hidden), newest first. */
struct cursor {
    uint32_t node;
    uint32_t barrier; /* begin_call of the newest firm replacing request met so far, or 0 */
};

static inline const struct timeline_op *next_visible(const struct promise *p, const struct view *view,
                                                     struct cursor *cursor)
{
    while (cursor->node != TIMELINE_NONE) {
        const struct timeline_node *node = &p->nodes[cursor->node];
        const struct timeline_op *op = &p->ops[node->op];

        cursor->node = node->next;
        if (op->begin > view->begun_by || op->end_call < cursor->barrier)
            continue;
        if (!cursor->barrier && op->replaces && is_firm(op, view))
            cursor->barrier = op->begin_call;
        return op;
    }
    return NULL;
}

static inline bool is_content_of(const struct timeline_op *op, const struct tag *tag)
{
    return op->content == tag->kind &&
           (tag->kind != TAG_GUEST || (op->write_id == tag->write_id && op->generation == tag->generation));
}

/* What the sector may show where no firm request hides its initial content. */
static void initial_contents(const struct promise *p, const struct view *view, uint64_t sector, bool *backing,
                             bool *zero)
{
    *backing = sector < p->backing_sectors;
    *zero = !*backing;
    for (uint32_t node = p->rebases; node != TIMELINE_NONE; node = p->nodes[node].next) {
        const struct timeline_op *rebase = &p->ops[p->nodes[node].op];
        if (rebase->begin <= view->begun_by)
            *zero = true;
        if (is_firm(rebase, view))
            *backing = false;
    }
}

static bool is_allowed(const struct promise *p, const struct view *view, uint64_t sector, const struct tag *tag)
{
    struct cursor cursor = {.node = timeline_head(p, sector)};
    const struct timeline_op *op;
    bool backing, zero;

    while ((op = next_visible(p, view, &cursor))) {
        if (is_content_of(op, tag))
            return true;
    }
    if (cursor.barrier)
        return false;
    initial_contents(p, view, sector, &backing, &zero);
    return (tag->kind == TAG_BACKING && backing) || (tag->kind == TAG_ZERO && zero);
}

bool promise_maybe_initial(const struct promise *p, uint64_t when, uint64_t sector)
{
    struct view view = live_view(when, when);
    struct cursor cursor = {.node = timeline_head(p, sector)};

    while (next_visible(p, &view, &cursor))
        ;
    return !cursor.barrier;
}

/* A content this sector can have had at some time: not another place's. */
static bool is_own(const struct tag *tag, uint64_t sector)
{
    return tag->kind == TAG_ZERO || ((tag->kind == TAG_GUEST || tag->kind == TAG_BACKING) && tag->sector == sector);
}

/* The first cell says what to look for; only an allowed content is worth comparing in full. */
static bool is_right(const struct promise *p, const struct view *view, uint64_t sector, const uint8_t *bytes)
{
    struct tag tag;

    tag_cell(bytes, 0, &tag);
    return is_own(&tag, sector) && is_allowed(p, view, sector, &tag) && tag_is(bytes, &tag);
}

/* ---- the class of what is wrong ---- */

static enum verdict_class class_of_mix(uint64_t sector, const uint8_t *bytes)
{
    for (unsigned cell = 0; cell < TAG_CELLS; cell++) {
        struct tag tag;
        tag_cell(bytes, cell, &tag);
        if (!is_own(&tag, sector))
            return VERDICT_DISCLOSURE;
    }
    return VERDICT_TORN;
}

/* The request of this sector that makes this content, begun by then; NULL if there is none. */
static const struct timeline_op *find_maker(const struct promise *p, uint64_t begun_by, uint64_t sector,
                                            const struct tag *tag)
{
    for (uint32_t node = timeline_head(p, sector); node != TIMELINE_NONE; node = p->nodes[node].next) {
        const struct timeline_op *op = &p->ops[p->nodes[node].op];
        if (op->begin <= begun_by && is_content_of(op, tag))
            return op;
    }
    return NULL;
}

/* Something firm had replaced the initial content: the guest's flush, or recovery's own word for a guest write. What
 * recovery showed of bytes the guest had never written is no flush's business. */
static bool is_replaced(const struct promise *p, const struct view *view, uint64_t sector)
{
    for (uint32_t node = timeline_head(p, sector); node != TIMELINE_NONE; node = p->nodes[node].next) {
        const struct timeline_op *op = &p->ops[p->nodes[node].op];
        if (op->replaces && is_firm(op, view) && (op->kind != TIMELINE_OBSERVED || op->content == TAG_GUEST))
            return true;
    }
    return false;
}

static enum verdict_class class_of(const struct promise *p, const struct view *view, uint64_t sector,
                                   const uint8_t *bytes, const struct tag *tag)
{
    switch (tag->kind) {
    case TAG_MIXED:
        return class_of_mix(sector, bytes);
    case TAG_STALE:
    case TAG_FOREIGN:
        return VERDICT_DISCLOSURE;
    case TAG_GUEST:
        if (tag->sector != sector || !find_maker(p, view->begun_by, sector, tag))
            return VERDICT_DISCLOSURE;
        break;
    case TAG_BACKING:
        if (tag->sector != sector)
            return VERDICT_DISCLOSURE;
        break;
    case TAG_ZERO:
        break;
    }
    return is_replaced(p, view, sector) ? VERDICT_LOST_FLUSHED : VERDICT_LOST_COW;
}

/* ---- in words ---- */

/* Alternatives joined by a word; what does not fit becomes "...". */
struct phrase {
    char *text;
    size_t size, used;
    bool full;
};

static void phrase_add(struct phrase *phrase, const char *joiner, const char *words)
{
    static const char more[] = " ...";

    if (phrase->full)
        return;
    if (phrase->used == 0)
        joiner = "";
    size_t need = strlen(joiner) + strlen(words);
    if (phrase->used + need + sizeof(more) > phrase->size) {
        phrase->full = true;
        joiner = more;
        words = "";
    }
    phrase->used += (size_t)snprintf(phrase->text + phrase->used, phrase->size - phrase->used, "%s%s", joiner, words);
}

enum { WORDS_BYTES = 64 };

static const char *describe(const struct tag *tag, uint64_t sector, char words[WORDS_BYTES])
{
    if (tag->kind == TAG_BACKING)
        snprintf(words, WORDS_BYTES, "backing %" PRIu64, tag->sector);
    else if (tag->kind == TAG_GUEST && tag->sector == sector)
        snprintf(words, WORDS_BYTES, "guest write %" PRIu32, tag->write_id);
    else
        tag_describe(tag, words, WORDS_BYTES);
    return words;
}

/* The first two contents of a mix. */
static void explain_mix(struct phrase *found, uint64_t sector, const uint8_t *bytes)
{
    struct tag first, other;
    char words[WORDS_BYTES];
    unsigned cell = 1;

    tag_cell(bytes, 0, &first);
    do
        tag_cell(bytes, cell, &other);
    while (tag_equal(&first, &other) && ++cell < TAG_CELLS);
    phrase_add(found, "", "mix of ");
    phrase_add(found, "", describe(&first, sector, words));
    phrase_add(found, " and ", cell < TAG_CELLS ? describe(&other, sector, words) : "itself, shifted");
}

static void explain_found(const struct promise *p, const struct view *view, uint64_t sector, const uint8_t *bytes,
                          const struct tag *tag, struct phrase *found)
{
    char words[WORDS_BYTES];

    if (tag->kind == TAG_MIXED) {
        explain_mix(found, sector, bytes);
        return;
    }
    phrase_add(found, "", describe(tag, sector, words));
    if (tag->kind != TAG_GUEST || tag->sector != sector || find_maker(p, view->begun_by, sector, tag))
        return;
    phrase_add(found, "", find_maker(p, TIMELINE_NEVER, sector, tag) ? " (not begun yet)" : " (no such write here)");
}

static void explain_op(const struct timeline_op *op, const struct view *view, uint64_t sector, struct phrase *expected)
{
    const struct tag tag = {
        .kind = (enum tag_kind)op->content,
        .sector = sector,
        .write_id = op->content == TAG_GUEST ? op->write_id : 0,
    };
    char words[WORDS_BYTES];

    phrase_add(expected, " or ", describe(&tag, sector, words));
    if (!view->live && op->replaces && is_firm(op, view))
        phrase_add(expected, "", op->kind == TIMELINE_OBSERVED ? " (shown before)" : " (flushed)");
}

/* Every allowed content once, the initial one first, then the requests in the order they were submitted. */
static void explain_expected(const struct promise *p, const struct view *view, uint64_t sector, struct phrase *expected)
{
    enum { MOST = 16 }; /* more never fit into the phrase */
    const struct timeline_op *shown[MOST];
    size_t count = 0;
    struct cursor cursor = {.node = timeline_head(p, sector)};
    bool backing = false, zero = false, zero_shown = false;
    char words[WORDS_BYTES];

    while (count < MOST && (shown[count] = next_visible(p, view, &cursor)))
        count++;
    while (count == MOST && next_visible(p, view, &cursor))
        ; /* for the barrier */
    if (!cursor.barrier)
        initial_contents(p, view, sector, &backing, &zero);
    if (backing)
        phrase_add(expected, " or ", describe(&(struct tag){.kind = TAG_BACKING, .sector = sector}, sector, words));
    if (zero)
        phrase_add(expected, " or ", "zero");
    zero_shown = zero;
    while (count-- > 0) {
        bool is_zero = shown[count]->content == TAG_ZERO;
        if (!is_zero || !zero_shown)
            explain_op(shown[count], view, sector, expected);
        zero_shown = zero_shown || is_zero;
    }
}

/* ---- the judges ---- */

/* Out of line: almost nothing comes here. */
static __attribute__((noinline)) enum verdict_class judge_wrong(const struct promise *p, const struct view *view,
                                                                uint64_t sector, const uint8_t *bytes,
                                                                struct promise_explanation *explanation)
{
    struct tag tag;

    tag_identify(bytes, &tag);
    if (explanation) {
        *explanation = (struct promise_explanation){.expected = ""};
        struct phrase expected = {.text = explanation->expected, .size = sizeof(explanation->expected)};
        struct phrase found = {.text = explanation->found, .size = sizeof(explanation->found)};
        explain_expected(p, view, sector, &expected);
        explain_found(p, view, sector, bytes, &tag, &found);
    }
    return view->live ? VERDICT_WRONG_READ : class_of(p, view, sector, bytes, &tag);
}

enum verdict_class promise_judge(const struct promise *p, uint64_t when, uint64_t sector,
                                 const uint8_t bytes[TAG_SECTOR_BYTES], struct promise_explanation *explanation)
{
    const struct view view = crash_view(when);

    if (is_right(p, &view, sector, bytes))
        return VERDICT_OK;
    return judge_wrong(p, &view, sector, bytes, explanation);
}

enum verdict_class promise_judge_live(const struct promise *p, uint64_t from, uint64_t to, uint64_t sector,
                                      const uint8_t bytes[TAG_SECTOR_BYTES], struct promise_explanation *explanation)
{
    const struct view view = live_view(from, to);

    assert(from <= to);
    if (is_right(p, &view, sector, bytes))
        return VERDICT_OK;
    return judge_wrong(p, &view, sector, bytes, explanation);
}

bool promise_size_allowed(const struct promise *p, uint64_t when, uint64_t image_bytes)
{
    const struct view view = crash_view(when);
    struct cursor cursor = {.node = p->resizes};
    const struct timeline_op *op;

    while ((op = next_visible(p, &view, &cursor))) {
        if (op->image_bytes == image_bytes)
            return true;
    }
    return !cursor.barrier && image_bytes == p->initial_bytes;
}
