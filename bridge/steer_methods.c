/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_methods.c - steering as clients of the control socket see and change it.
 *
 * Room: bridge.
 */
#include "steer_methods.h"

#include "steer_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- Showing ---- */

/* What steers, and why not what was wished for. */
json_t *steer_describe_mode(const struct steer *steer)
{
    return json_pack("{s:s, s:s?}", "mode", steer_mode_words.word[steer->mode], "fallback",
                     steer->has_fallen_back ? steer->why : NULL);
}

static json_t *describe_set(const struct steer_words *words, unsigned set)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < words->count; i++) {
        if (set & (1u << i))
            json_array_append_new(list, json_string(words->word[i]));
    }
    return list;
}

static json_t *describe_shorts(const uint16_t *numbers, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    return list;
}

static json_t *describe_counts(const __u64 *numbers, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_integer((json_int_t)numbers[i]));
    return list;
}

static json_t *describe_pins(const struct steer_policy *policy)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < STEER_PIN_SLOTS; i++) {
        const struct steer_pin *pin = &policy->pin[i];
        char protocol[STEER_END_TEXT_SIZE], source[STEER_END_TEXT_SIZE], destination[STEER_END_TEXT_SIZE];

        if (!pin->flow.version)
            continue;
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:i}", "protocol", steer_format_protocol(&pin->flow, protocol),
                                        "source", steer_format_end(&pin->flow, true, source), "destination",
                                        steer_format_end(&pin->flow, false, destination), "queue", (int)pin->queue));
    }
    return list;
}

static void add_class(json_t *list, enum steer_stage stage, uint32_t value, unsigned queue)
{
    if (queue != STEER_NO_QUEUE)
        json_array_append_new(list, json_pack("{s:s, s:I, s:i}", "kind", steer_stage_words.word[stage], "value",
                                              (json_int_t)value, "queue", (int)queue));
}

static json_t *describe_classes(const struct steer_policy *p)
{
    const struct {
        const __u16 *queue;
        unsigned count;
        enum steer_stage stage;
    } tables[] = {
        {p->priority, 16, STEER_PRIORITY},
        {p->pcp, 8, STEER_PCP},
        {p->dscp, 64, STEER_DSCP},
        {p->cpu, STEER_CPUS, STEER_CPU},
    };
    json_t *list = json_array();

    for (unsigned i = 0; i < p->mark_rules; i++)
        add_class(list, STEER_MARK, p->mark[i].value, p->mark[i].queue);
    for (unsigned i = 0; i < p->user_rules; i++)
        add_class(list, STEER_USER, p->user[i].value, p->user[i].queue);
    for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (unsigned value = 0; value < tables[i].count; value++)
            add_class(list, tables[i].stage, value, tables[i].queue[value]);
    }
    return list;
}

static json_t *describe_stages(const struct steer_stats *stats)
{
    json_t *stages = json_object();

    for (unsigned i = 0; i < STEER_STAGES; i++)
        json_object_set_new(stages, steer_stage_words.word[i], json_integer((json_int_t)stats->stages[i]));
    return stages;
}

static json_t *describe_rss(const struct steer *steer, const struct steer_policy *policy)
{
    char key[STEER_KEY_TEXT_SIZE];

    return json_pack("{s:s, s:s, s:o, s:o, s:i, s:b, s:o}", "hfunc", steer_hash_words.word[policy->hash], "hkey",
                     steer_format_key(steer->key, key), "types", describe_set(&steer_type_words, policy->hash_types),
                     "inner", describe_set(&steer_inner_words, policy->inner), "default", (int)policy->default_queue,
                     "sparse", (int)policy->sparse, "table", describe_shorts(policy->table, STEER_TABLE));
}

/* A parameter that a method without any got, or one that was not taken. */
static bool refuse_params(json_t *params, struct control_failure *failure)
{
    if (json_object_size(params) == 0)
        return false;
    control_fail(failure, CONTROL_BAD_PARAMS, "%.64s: no such parameter of this method; see docs/CONTROL.md",
                 json_object_iter_key(json_object_iter(params)));
    return true;
}

json_t *steer_run_show(void *context, json_t *params, struct control_failure *failure)
{
    const struct steer *steer = context;
    const struct steer_policy *policy = steer_policy(steer);
    struct steer_stats stats;
    json_t *result;

    if (refuse_params(params, failure))
        return NULL;
    result = steer_describe_mode(steer);
    json_object_set_new(result, "queues", json_integer(steer->queues));
    if (!policy)
        return result;
    steer_stats(steer, &stats);
    json_object_set_new(result, "changes", json_integer(steer_changes(steer)));
    json_object_set_new(result, "rss", describe_rss(steer, policy));
    json_object_set_new(result, "pins", describe_pins(policy));
    json_object_set_new(result, "classes", describe_classes(policy));
    json_object_set_new(result, "stages", describe_stages(&stats));
    json_object_set_new(result, "moved", json_integer((json_int_t)stats.moved));
    json_object_set_new(result, "frames", describe_counts(stats.frames, steer->queues));
    json_object_set_new(result, "bytes", describe_counts(stats.bytes, steer->queues));
    return result;
}

/* ---- Changing ---- */

/* What a change that failed means. Returns the result of the method. */
static json_t *finish(int ret, const struct steer *steer, struct control_failure *failure)
{
    switch (-ret) {
    case 0:
        return json_pack("{s:i}", "changes", (int)steer_changes(steer));
    case EOPNOTSUPP:
        return control_fail(failure, CONTROL_FAILED, "%s steers here; start the bridge with --steer rss%s%s",
                            steer->mode == STEER_MODE_USER ? "a program of the user's" : "the kernel",
                            steer->has_fallen_back ? ". That was tried: " : "",
                            steer->has_fallen_back ? steer->why : "");
    case ERANGE:
        return control_fail(failure, CONTROL_BAD_PARAMS,
                            "a queue or a value that is not there, or no weight at all; there are %u queues, from 0 on",
                            steer->queues);
    case ENOSPC:
        return control_fail(failure, CONTROL_FAILED, "no room for another one; take one out first");
    case ENOENT:
        return control_fail(failure, CONTROL_FAILED, "this flow is not pinned; steer.show lists those that are");
    default:
        return control_fail(failure, CONTROL_FAILED, "%s", strerror(-ret));
    }
}

/*
 * Each of these takes one parameter out of `params`, if it is there: so those that are left are unknown. False: it is
 * wrong, and `failure` says so.
 */
static bool take_number(json_t *params, const char *name, unsigned limit, bool *ret_has, unsigned *ret_number,
                        struct control_failure *failure)
{
    const json_t *value = json_object_get(params, name);
    json_int_t number = json_integer_value(value);

    *ret_has = value != NULL;
    if (!value)
        return true;
    if (!json_is_integer(value) || number < 0 || number > (json_int_t)limit) {
        control_fail(failure, CONTROL_BAD_PARAMS, "%s: not a whole number from 0 to %u", name, limit);
        return false;
    }
    *ret_number = (unsigned)number;
    json_object_del(params, name);
    return true;
}

static bool take_bool(json_t *params, const char *name, bool *ret_has, bool *ret_value, struct control_failure *failure)
{
    const json_t *value = json_object_get(params, name);

    *ret_has = value != NULL;
    if (!value)
        return true;
    if (!json_is_boolean(value)) {
        control_fail(failure, CONTROL_BAD_PARAMS, "%s: neither true nor false", name);
        return false;
    }
    *ret_value = json_is_true(value);
    json_object_del(params, name);
    return true;
}

static bool take_word(json_t *params, const char *name, const struct steer_words *words, bool *ret_has,
                      unsigned *ret_place, struct control_failure *failure)
{
    const json_t *value = json_object_get(params, name);
    int place = json_is_string(value) ? steer_find_word(words, json_string_value(value)) : -1;

    *ret_has = value != NULL;
    if (!value)
        return true;
    if (place < 0) {
        control_fail(failure, CONTROL_BAD_PARAMS, "%s: not one of the words that it can be; see docs/CONTROL.md", name);
        return false;
    }
    *ret_place = (unsigned)place;
    json_object_del(params, name);
    return true;
}

static bool take_set(json_t *params, const char *name, const struct steer_words *words, bool *ret_has,
                     unsigned *ret_set, struct control_failure *failure)
{
    const json_t *list = json_object_get(params, name);
    unsigned set = 0;

    *ret_has = list != NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        int place = word ? steer_find_word(words, word) : -1;

        if (place < 0) {
            control_fail(failure, CONTROL_BAD_PARAMS, "%s: %.32s is not one of the words that it can have", name,
                         word ? word : "what is no text");
            return false;
        }
        set |= 1u << place;
    }
    if (list && !json_is_array(list)) {
        control_fail(failure, CONTROL_BAD_PARAMS, "%s: not a list of words", name);
        return false;
    }
    *ret_set = set;
    json_object_del(params, name);
    return true;
}

/* A list that has one element at least; `ret_count` is 0 if there is none. */
static bool take_numbers(json_t *params, const char *name, size_t least, size_t most, uint16_t *ret_numbers,
                         unsigned *ret_count, struct control_failure *failure)
{
    const json_t *list = json_object_get(params, name);
    size_t count = json_array_size(list);

    *ret_count = 0;
    if (!list)
        return true;
    if (count < least || count > most) {
        control_fail(failure, CONTROL_BAD_PARAMS, "%s: not a list of %zu to %zu numbers", name, least, most);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t number = json_integer_value(value);

        if (!json_is_integer(value) || number < 0 || number > 65535) {
            control_fail(failure, CONTROL_BAD_PARAMS, "%s: its element %zu is no number from 0 to 65535", name, i);
            return false;
        }
        ret_numbers[i] = (uint16_t)number;
    }
    *ret_count = (unsigned)count;
    json_object_del(params, name);
    return true;
}

static bool take_key(json_t *params, struct steer_rss *rss, struct control_failure *failure)
{
    const json_t *value = json_object_get(params, "hkey");

    rss->has_key = value != NULL;
    if (!value)
        return true;
    if (!json_is_string(value) || !steer_read_key(json_string_value(value), rss->key)) {
        control_fail(failure, CONTROL_BAD_PARAMS, "hkey: not %d bytes in hexadecimal, as in 6d:5a:...", STEER_KEY_SIZE);
        return false;
    }
    json_object_del(params, "hkey");
    return true;
}

/* equal, weight and table exclude each other. */
static bool take_spread(json_t *params, struct steer_rss *rss, struct control_failure *failure)
{
    struct steer_spread *spread = &rss->spread;
    unsigned equal = 0, weights, entries;
    bool has_equal;

    if (!take_number(params, "equal", STEER_QUEUES, &has_equal, &equal, failure) ||
        !take_numbers(params, "weight", 1, STEER_QUEUES, spread->weight, &weights, failure) ||
        !take_numbers(params, "table", STEER_TABLE, STEER_TABLE, spread->list, &entries, failure))
        return false;
    if (has_equal + (weights != 0) + (entries != 0) > 1) {
        control_fail(failure, CONTROL_BAD_PARAMS, "equal, weight, table: more than one of them; choose");
        return false;
    }
    rss->has_spread = has_equal || weights || entries;
    spread->count = has_equal ? equal : weights;
    spread->kind = has_equal ? STEER_SPREAD_EQUAL : weights ? STEER_SPREAD_WEIGHTS : STEER_SPREAD_LIST;
    return true;
}

json_t *steer_run_rss(void *context, json_t *params, struct control_failure *failure)
{
    struct steer *steer = context;
    struct steer_rss rss = {.has_key = false};
    unsigned hash = 0;

    if (json_object_size(params) == 0)
        return control_fail(failure, CONTROL_BAD_PARAMS, "nothing to change; name hfunc, hkey, equal, weight, ...");
    if (!take_word(params, "hfunc", &steer_hash_words, &rss.has_hash, &hash, failure) ||
        !take_key(params, &rss, failure) || !take_spread(params, &rss, failure) ||
        !take_set(params, "types", &steer_type_words, &rss.has_types, &rss.types, failure) ||
        !take_set(params, "inner", &steer_inner_words, &rss.has_inner, &rss.inner, failure) ||
        !take_number(params, "default", STEER_QUEUES - 1, &rss.has_default, &rss.default_queue, failure) ||
        !take_bool(params, "sparse", &rss.has_sparse, &rss.is_sparse, failure) || refuse_params(params, failure))
        return NULL;
    rss.hash = hash;
    return finish(steer_rss(steer, &rss), steer, failure);
}

/* A queue, or null: none. */
static bool take_queue(json_t *params, unsigned *ret_queue, struct control_failure *failure)
{
    bool has_queue = json_is_null(json_object_get(params, "queue"));

    *ret_queue = STEER_NO_QUEUE;
    if (has_queue)
        json_object_del(params, "queue");
    else if (!take_number(params, "queue", STEER_QUEUES - 1, &has_queue, ret_queue, failure))
        return false;
    if (!has_queue)
        control_fail(failure, CONTROL_BAD_PARAMS, "queue: missing; it is a number, or null for none");
    return has_queue;
}

json_t *steer_run_pin(void *context, json_t *params, struct control_failure *failure)
{
    struct steer *steer = context;
    const char *protocol = json_string_value(json_object_get(params, "protocol"));
    const char *source = json_string_value(json_object_get(params, "source"));
    const char *destination = json_string_value(json_object_get(params, "destination"));
    struct steer_flow flow;
    unsigned queue;
    const char *why;

    if (!protocol || !source || !destination)
        return control_fail(failure, CONTROL_BAD_PARAMS, "%s: missing, or no text",
                            !protocol ? "protocol"
                            : !source ? "source"
                                      : "destination");
    why = steer_read_flow(protocol, source, destination, &flow);
    if (why)
        return control_fail(failure, CONTROL_BAD_PARAMS, "%.16s %.50s %.50s: %s", protocol, source, destination, why);
    json_object_del(params, "protocol");
    json_object_del(params, "source");
    json_object_del(params, "destination");
    if (!take_queue(params, &queue, failure) || refuse_params(params, failure))
        return NULL;
    return finish(steer_pin(steer, &flow, queue), steer, failure);
}

json_t *steer_run_class(void *context, json_t *params, struct control_failure *failure)
{
    struct steer *steer = context;
    unsigned stage = 0, value = 0, queue;
    bool has_kind, has_value;

    if (!take_word(params, "kind", &steer_stage_words, &has_kind, &stage, failure) ||
        !take_number(params, "value", UINT32_MAX, &has_value, &value, failure) ||
        !take_queue(params, &queue, failure) || refuse_params(params, failure))
        return NULL;
    if (!has_kind || !has_value || stage < STEER_MARK || stage > STEER_CPU)
        return control_fail(failure, CONTROL_BAD_PARAMS,
                            "kind, value: missing, or no kind of class; it is mark, user, priority, pcp, dscp or cpu, "
                            "and a number");
    return finish(steer_class(steer, stage, value, queue), steer, failure);
}

json_t *steer_run_reset(void *context, json_t *params, struct control_failure *failure)
{
    struct steer *steer = context;

    if (refuse_params(params, failure))
        return NULL;
    return finish(steer_reset(steer), steer, failure);
}
