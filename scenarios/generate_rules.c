/* generate_rules.c: which word may follow which: what can be played at all, and the reductions.
 *
 * A reduction leaves a workload out because another one shows what it could. Each has its reason with it.
 * tests/unit/test_scenarios_generate.c explores the unreduced enumeration too, and compares the findings.
 */
#include <string.h>

#include "scenarios/generate_internal.h"

#define BESIDE_MAX 2u /* requests side by side; a flush may be the third */

bool gen_is_event(enum gen_kind kind)
{
    return kind == GEN_KIND_FLUSH || kind == GEN_KIND_CLOSE || kind >= GEN_KIND_CRASH;
}

bool gen_is_request(enum gen_kind kind)
{
    return kind <= GEN_KIND_FLUSH;
}

unsigned gen_place_index(char place)
{
    return (unsigned)(strchr(GEN_PLACES, place) - GEN_PLACES);
}

char gen_place_next(char place)
{
    static const char from[] = "pabjt", to[] = "abctu";
    const char *at = strchr(from, place);
    return at && *at ? to[at - from] : 0;
}

static bool is_touched(const struct gen_state *s, char place)
{
    return s->touched[gen_place_index(place)] != 0;
}

/* --- what can be played -------------------------------------------------------------------------------------------- */

/* Beside a request: another one, its cancellation, or what meets it half-way. Later lives have one order only. */
static bool can_be_beside(const struct gen_bound *b, const struct gen_state *s, const struct gen_word *word)
{
    enum gen_kind kind = word->kind;
    if (!(b->classes & GEN_BESIDE) || !s->beside || s->crashed)
        return false;
    switch (kind) {
    case GEN_KIND_CANCEL:
    case GEN_KIND_CLOSE:
    case GEN_KIND_TRUNCATE:
    case GEN_KIND_REBASE:
    case GEN_KIND_MODE:
    case GEN_KIND_KILL:
        return true;
    default:
        return gen_is_request(kind) && s->beside < BESIDE_MAX + (kind == GEN_KIND_FLUSH);
    }
}

static bool can_play(const struct gen_workload *w, const struct gen_state *s, const struct gen_word *word)
{
    switch (word->kind) {
    case GEN_KIND_WRITE:
    case GEN_KIND_ZERO:
    case GEN_KIND_DISCARD:
    case GEN_KIND_FLUSH:
        return !s->read_only;
    case GEN_KIND_READ:
    case GEN_KIND_CLOSE:
    case GEN_KIND_SLEEP:
        return true;
    case GEN_KIND_TRUNCATE:
        return !s->read_only && !s->grown;
    case GEN_KIND_REBASE:
        return !s->read_only && !s->rebased && w->backing != GEN_BACKING_NONE;
    case GEN_KIND_MODE:
        return strcmp(word->text, "ow") != 0 || s->read_only;
    case GEN_KIND_CRASH:
        return true;
    case GEN_KIND_KILL:
    case GEN_KIND_INJECT:
        return !s->crashed;
    case GEN_KIND_CANCEL:
        return false; /* but beside */
    }
    return false;
}

/* --- reductions ---------------------------------------------------------------------------------------------------- */

/* Clusters are named in the order of their first use: a before b before c, t before u; and the first table is the one that
 * is used first. (The engine treats the entries of a table alike; which of them it was told first is all that differs.) */
static bool is_first_name(const struct gen_state *s, char place)
{
    static const char before[][3] = {"ba", "cb", "ut"};
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        if (place == before[i][0])
            return is_touched(s, before[i][1]);
    if (place == 't')
        return is_touched(s, 'p') || is_touched(s, 'a') || is_touched(s, 'e') || is_touched(s, 'l');
    return true;
}

/* In a cluster that somebody wrote to before, a sector is the one he wrote or another one: which other makes no difference,
 * for the whole cluster is there. */
static bool is_first_shape(const struct gen_state *s, const struct gen_word *word)
{
    char was = s->touched[gen_place_index(word->place)];
    if (!was || strchr("fd", word->shape))
        return true;
    return word->shape == was || word->shape == (was == 'm' ? 'h' : 'm');
}

static bool request_counts(const struct gen_state *s, const struct gen_word *word)
{
    if (!is_first_name(s, word->place) || !is_first_shape(s, word))
        return false;
    /* Nothing is there to be discarded, and of what nobody wrote a read shows the backing file or zeros; every judge of a
     * crash state reads one such cluster. */
    if (word->kind == GEN_KIND_DISCARD || word->kind == GEN_KIND_READ)
        return is_touched(s, word->place);
    return true;
}

static bool counts(const struct gen_workload *w, const struct gen_state *s, const struct gen_word *word, bool beside)
{
    bool first = w->count == 0;
    switch (word->kind) {
    case GEN_KIND_WRITE:
    case GEN_KIND_ZERO:
    case GEN_KIND_DISCARD:
    case GEN_KIND_READ:
        /* A flush that is begun first covers only what was done before it: "f" alone, then the other. */
        if (beside && gen_words[w->steps[w->count - 1].word].kind == GEN_KIND_FLUSH)
            return false;
        return request_counts(s, word);
    case GEN_KIND_FLUSH:
        return !s->flushed || s->failed; /* there is nothing to be flushed, if the last one did not fail */
    case GEN_KIND_CLOSE:
        /* Closing what was only opened; but behind a kill a close vouches for what the dead process had written. */
        return !s->fresh || !s->flushed || s->read_only || s->failed;
    case GEN_KIND_CRASH:
        return !first; /* nothing is pending yet */
    case GEN_KIND_KILL:
    case GEN_KIND_SLEEP:
        return !s->fresh; /* nobody has done anything, no timer runs */
    default:
        return true;
    }
}

/* --- the rules ----------------------------------------------------------------------------------------------------- */

void gen_state_begin(struct gen_state *s, const struct gen_workload *w)
{
    memset(s, 0, sizeof(*s));
    s->fresh = s->flushed = true;
    if (w->prepared)
        s->touched[gen_place_index('p')] = 'f';
}

bool gen_may_follow(const struct gen_bound *b, const struct gen_workload *w, const struct gen_state *s,
                    const struct gen_word *word, bool beside)
{
    if ((word->classes & b->classes) != word->classes || (s->armed && word->kind >= GEN_KIND_CRASH))
        return false;
    if (gen_is_event(word->kind) ? s->events >= b->events : s->ops >= b->ops)
        return false;
    if (word->place == 'p' && !w->prepared)
        return false;
    if (beside ? !can_be_beside(b, s, word) : !can_play(w, s, word))
        return false;
    if (beside && word->kind != GEN_KIND_CANCEL && !can_play(w, s, word))
        return false;
    return b->unreduced || counts(w, s, word, beside);
}

static void touch(struct gen_state *s, char place, char shape)
{
    s->touched[gen_place_index(place)] = shape;
}

static void after_request(struct gen_state *s, const struct gen_word *word)
{
    s->fresh = false;
    s->flushed = word->kind == GEN_KIND_FLUSH;
    if (word->kind == GEN_KIND_FLUSH || word->kind == GEN_KIND_READ)
        return;
    touch(s, word->place, word->kind == GEN_KIND_WRITE ? word->shape : 'f');
    if (word->shape == 'd' && gen_place_next(word->place))
        touch(s, gen_place_next(word->place), 'f');
}

static void after_other(struct gen_state *s, const struct gen_word *word)
{
    switch (word->kind) {
    case GEN_KIND_CLOSE:
    case GEN_KIND_MODE:
        s->fresh = s->flushed = true;
        s->read_only = !strcmp(word->text, "or") || !strcmp(word->text, "cr");
        break;
    case GEN_KIND_KILL:
        s->fresh = true;
        s->read_only = !strcmp(word->text, "kr");
        break;
    case GEN_KIND_CRASH:
        s->fresh = s->flushed = s->crashed = true;
        s->read_only = !strcmp(word->text, "xr");
        break;
    case GEN_KIND_TRUNCATE:
        s->grown = true;
        s->fresh = s->flushed = false;
        break;
    case GEN_KIND_REBASE:
        s->rebased = true;
        s->fresh = s->flushed = false;
        break;
    default:
        break;
    }
}

void gen_state_step(struct gen_state *s, const struct gen_word *word, bool beside)
{
    s->armed = word->kind == GEN_KIND_INJECT;
    s->failed |= s->armed;
    if (gen_is_event(word->kind))
        s->events++;
    else
        s->ops++;
    if (gen_is_request(word->kind)) {
        s->beside = beside ? s->beside + 1 : 1;
        after_request(s, word);
    } else {
        s->beside = 0;
        after_other(s, word);
    }
    if (s->crashed)
        s->beside = 0;
}

bool gen_may_end(const struct gen_bound *b, const struct gen_state *s)
{
    if (s->armed)
        return false;
    /* What comes after a crash is judged anyway; a crash at the end adds nothing. */
    return b->unreduced || !s->crashed || !s->fresh;
}
