/* parse_expect.c: `expect`: which designs and disk models a line speaks of, and what it says of them.
 *
 *   expect design=v2|cow-flush disk=ssd unsafe     by name
 *   expect data_flush=never|cow safe               by what the design does, so that it holds for designs of users too
 */
#include <string.h>

#include "engine/design_text.h"
#include "scenarios/parse_internal.h"

/* ---- what fits ---- */

void scn_expect_init(struct scn_expect *e)
{
    *e = (struct scn_expect){0};
    memset(&e->fields, 0xff, sizeof(e->fields));
}

/* Values that have all the words of `value`, if the field is a set; else this one. */
static uint64_t values_with(enum qed_design_field field, unsigned value)
{
    uint64_t allowed = 0;

    if (!qed_design_field_is_set(field) || value == 0)
        return QED_VALUE(value);
    for (unsigned v = 0; v < qed_design_field_values(field); v++) {
        if ((v & value) == value)
            allowed |= QED_VALUE(v);
    }
    return allowed;
}

static uint64_t design_bit(const struct qed_design *design)
{
    const struct qed_design *named = qed_design_find(design->name);

    return named ? QED_VALUE(named - qed_designs) : 0;
}

void scn_expect_only(struct scn_expect *e, const struct qed_design *design, const struct sim_disk_model *disk)
{
    memset(&e->fields, 0xff, sizeof(e->fields));
    e->disks = QED_VALUE(disk - sim_disk_models);
    e->designs = design_bit(design);
    for (unsigned f = 0; f < QED_FIELD_COUNT && !e->designs; f++)
        e->fields.allowed[f] = values_with((enum qed_design_field)f, design->value[f]);
}

static bool design_fits(const struct scn_expect *e, const struct qed_design *design)
{
    if (e->designs && !(e->designs & design_bit(design)))
        return false;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        if (!(e->fields.allowed[f] >> design->value[f] & 1))
            return false;
    }
    return true;
}

const struct scn_expect *scenario_expectation(const struct scenario *s, const struct qed_design *design,
                                              const struct sim_disk_model *disk)
{
    for (size_t i = s->expect_count; i > 0; i--) {
        const struct scn_expect *e = &s->expects[i - 1];
        bool disk_fits = e->disks ? e->disks >> (disk - sim_disk_models) & 1 : disk->keeps_its_word;

        if (disk_fits && design_fits(e, design))
            return e;
    }
    return NULL;
}

/* ---- the words ---- */

const char *const *scn_parse_design_words(struct parser *ps)
{
    size_t n = 0;

    for (; n < qed_design_count && n < SCN_NAMES_MAX; n++)
        ps->words[n] = qed_designs[n].name;
    ps->words[n] = NULL;
    return ps->words;
}

static const char *const *disk_words(struct parser *ps)
{
    size_t n = 0;

    for (; n < sim_disk_model_count && n < SCN_NAMES_MAX; n++)
        ps->words[n] = sim_disk_models[n].name;
    ps->words[n] = NULL;
    return ps->words;
}

/* The first of the words between '|', taken off `rest`, which has no text any more when it was the last. */
static bool next_word(struct token *rest, struct token *word)
{
    const char *bar;

    *word = *rest;
    if (!rest->text)
        return false;
    bar = memchr(rest->text, '|', rest->length);
    if (bar) {
        word->length = (size_t)(bar - rest->text);
        rest->length -= word->length + 1;
        rest->column += (unsigned)word->length + 1;
    }
    rest->text = bar ? bar + 1 : NULL;
    return true;
}

static int parse_designs(struct parser *ps, const struct token *value, struct scn_expect *expect)
{
    struct token rest = *value, word;
    char text[64];

    while (next_word(&rest, &word)) {
        const struct qed_design *design = qed_design_find(scn_token_word(&word, text, sizeof(text)));

        if (!design)
            return scn_parse_fail_unknown(ps, &word, "design", scn_parse_design_words(ps));
        expect->designs |= QED_VALUE(design - qed_designs);
    }
    return 0;
}

static int parse_disks(struct parser *ps, const struct token *value, struct scn_expect *expect)
{
    struct token rest = *value, word;
    char text[64];

    while (next_word(&rest, &word)) {
        const struct sim_disk_model *disk = sim_disk_model_find(scn_token_word(&word, text, sizeof(text)));

        if (!disk)
            return scn_parse_fail_unknown(ps, &word, "disk", disk_words(ps));
        expect->disks |= QED_VALUE(disk - sim_disk_models);
    }
    return 0;
}

/* A set's single words; of other fields, all there are. */
static int fail_value(struct parser *ps, enum qed_design_field field, const struct token *word)
{
    bool set = qed_design_field_is_set(field);
    unsigned values = qed_design_field_values(field);
    char text[SCN_NAMES_MAX][64], kind[64];
    size_t n = 0;

    for (unsigned v = 0; v < values && n < SCN_NAMES_MAX; v++) {
        if (!set || (v & (v - 1)) == 0) {
            ps->words[n] = qed_design_value_name(field, v, text[n]);
            n++;
        }
    }
    ps->words[n] = NULL;
    snprintf(kind, sizeof(kind), "value of %.40s", qed_design_field_name(field));
    return scn_parse_fail_unknown(ps, word, kind, ps->words);
}

static int parse_field(struct parser *ps, enum qed_design_field field, const struct token *value,
                       struct scn_expect *expect)
{
    struct token rest = *value, word;
    uint64_t allowed = 0;

    while (next_word(&rest, &word)) {
        int v = qed_design_value_find(field, word.text, word.length);

        if (v < 0)
            return fail_value(ps, field, &word);
        allowed |= values_with(field, (unsigned)v);
    }
    expect->fields.allowed[field] = allowed;
    return 0;
}

static int fail_key(struct parser *ps, const struct token *tok, size_t key_length)
{
    const struct token key = {tok->text, key_length, tok->column};
    size_t n = 0;

    ps->words[n++] = "design";
    ps->words[n++] = "disk";
    for (unsigned f = 0; f < QED_FIELD_COUNT && n < SCN_NAMES_MAX; f++)
        ps->words[n++] = qed_design_field_name((enum qed_design_field)f);
    ps->words[n] = NULL;
    return scn_parse_fail_unknown(ps, &key, "field of a design", ps->words);
}

static int fail_twice(struct parser *ps, const struct token *tok, size_t key_length)
{
    return scn_parse_fail(ps, tok->column, "%.*s= is given twice; expected it once", (int)key_length, tok->text);
}

/* KEY=VALUE at tok; `equals` is where its = stands. */
static int parse_key(struct parser *ps, const struct token *tok, const char *equals, struct scn_expect *expect)
{
    size_t key_length = (size_t)(equals - tok->text);
    struct token value;
    enum qed_design_field field;

    if (tok->length == key_length + 1)
        return scn_parse_fail(ps, tok->column + (unsigned)key_length + 1,
                              "no value after '='; expected one or more, "
                              "separated by |");
    if (scn_token_option(tok, "design", &value))
        return expect->designs ? fail_twice(ps, tok, key_length) : parse_designs(ps, &value, expect);
    if (scn_token_option(tok, "disk", &value))
        return expect->disks ? fail_twice(ps, tok, key_length) : parse_disks(ps, &value, expect);
    field = qed_design_field_find(tok->text, key_length);
    if (field == QED_FIELD_COUNT)
        return fail_key(ps, tok, key_length);
    if (expect->fields.allowed[field] != UINT64_MAX)
        return fail_twice(ps, tok, key_length);
    value = (struct token){equals + 1, tok->length - key_length - 1, tok->column + (unsigned)key_length + 1};
    return parse_field(ps, field, &value, expect);
}

static int parse_class(struct parser *ps, const struct token *tok, struct scn_expect *expect)
{
    char word[64];
    enum verdict_class class = verdict_class_parse(scn_token_word(tok, word, sizeof(word)));
    size_t n = 0;

    if (class == VERDICT_OK || class == VERDICT_CLASS_COUNT) {
        for (int c = VERDICT_OK + 1; c < VERDICT_CLASS_COUNT; c++)
            ps->words[n++] = verdict_class_name((enum verdict_class)c);
        ps->words[n] = NULL;
        return scn_parse_fail_unknown(ps, tok, "class", ps->words);
    }
    for (unsigned i = 0; i < expect->class_count; i++) {
        if (expect->classes[i] == class)
            return scn_parse_fail(ps, tok->column, "%s is given twice; expected it once", verdict_class_name(class));
    }
    expect->classes[expect->class_count++] = class;
    return 0;
}

int scn_parse_expect(struct parser *ps, const struct line_tokens *t)
{
    static const char usage[] = "expect [design=NAME] [FIELD=VALUE...] [disk=NAME] safe, or ... unsafe [CLASS...]";
    static const char *const verdicts[] = {"safe", "unsafe", "design=", "disk=", NULL};
    struct scn_expect expect;
    size_t i = 1;
    const char *equals;
    int ret = 0;

    scn_expect_init(&expect);
    expect.line = ps->line;
    for (; !ret && i < t->count && (equals = memchr(t->word[i].text, '=', t->word[i].length)); i++)
        ret = parse_key(ps, &t->word[i], equals, &expect);
    if (ret)
        return ret;
    if (i == t->count)
        return scn_parse_fail_missing(ps, t, usage);
    if (scn_token_is(&t->word[i], "unsafe"))
        expect.unsafe = true;
    else if (!scn_token_is(&t->word[i], "safe"))
        return scn_parse_fail_unknown(ps, &t->word[i], "verdict", verdicts);
    i++;
    if (!expect.unsafe)
        ret = scn_parse_no_more(ps, t, i, usage);
    for (; !ret && i < t->count; i++)
        ret = parse_class(ps, &t->word[i], &expect);
    if (ret)
        return ret;
    if (!scn_parse_grow(&ps->s->expects, ps->s->expect_count, &ps->expect_cap, sizeof(expect)))
        return scn_parse_no_memory(ps);
    ps->s->expects[ps->s->expect_count++] = expect;
    return 0;
}
