/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_methods.c - methods of the control socket that begin, end and show captures.
 *
 * Room: bridge. docs/CONTROL.md describes them.
 */
#include "capture_methods.h"

#include "capture_files.h"

#include <errno.h>
#include <string.h>

/* Larger than any file or time can be. */
#define NUMBER_MAX (INT64_C(1) << 40)

static const char *const direction_names[] = {NULL, "in", "out", "inout"}; /* by sets of CAPTURE_IN and CAPTURE_OUT */

/* ---- Parameters: each is taken out of the object, so that what is left is not known ---- */

/* A whole number from `least` to `most`, or as it is if it is not given. */
static bool take_number(json_t *params, const char *name, json_int_t least, json_int_t most, uint64_t *number,
                        struct control_failure *failure)
{
    const json_t *value = json_object_get(params, name);
    json_int_t given = json_integer_value(value);
    bool is_right = !value || (json_is_integer(value) && given >= least && given <= most);

    if (!is_right)
        control_fail(failure, CONTROL_BAD_PARAMS,
                     "%s: not a whole number from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, name, least,
                     most);
    else if (value)
        *number = (uint64_t)given;
    json_object_del(params, name);
    return is_right;
}

static bool take_direction(json_t *params, unsigned *directions, struct control_failure *failure)
{
    const json_t *value = json_object_get(params, "direction");
    const char *name = json_string_value(value);

    *directions = value ? 0 : CAPTURE_IN | CAPTURE_OUT;
    for (unsigned i = 1; name && i < sizeof(direction_names) / sizeof(direction_names[0]); i++) {
        if (strcmp(name, direction_names[i]) == 0)
            *directions = i;
    }
    json_object_del(params, "direction");
    if (*directions)
        return true;
    control_fail(failure, CONTROL_BAD_PARAMS, "direction: neither in (what the interface receives), out nor inout");
    return false;
}

static bool read_instruction(const json_t *value, struct capture_instruction *ret_instruction)
{
    static const json_int_t most[4] = {UINT16_MAX, UINT8_MAX, UINT8_MAX, UINT32_MAX};
    json_int_t number[4];

    if (json_array_size(value) != 4)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        const json_t *part = json_array_get(value, i);

        number[i] = json_integer_value(part);
        if (!json_is_integer(part) || number[i] < 0 || number[i] > most[i])
            return false;
    }
    *ret_instruction = (struct capture_instruction){
        .code = (uint16_t)number[0], .jt = (uint8_t)number[1], .jf = (uint8_t)number[2], .k = (uint32_t)number[3]};
    return true;
}

/* Returns NULL, or what is wrong. */
static const char *read_program(const json_t *value, struct capture_filter *ret_filter)
{
    size_t count = json_array_size(value);

    if (count == 0 || count > CAPTURE_FILTER_MAX)
        return "not a list of 1 to 512 instructions";
    for (size_t i = 0; i < count; i++) {
        if (!read_instruction(json_array_get(value, i), &ret_filter->program[i]))
            return "not each of its instructions is a list of four numbers: code, jt, jf, k";
    }
    ret_filter->count = (unsigned)count;
    return capture_filter_is_right(ret_filter) ? NULL : "not a program of BPF that ends and keeps to its bounds";
}

/* It is shown in terminals. */
static bool is_printable(const char *text)
{
    while (*text && (unsigned char)*text >= ' ' && *text != 0x7f)
        text++;
    return !*text;
}

/* The text, and the program that it was compiled to: both or none. */
static bool take_filter(json_t *params, struct capture_wish *wish, struct control_failure *failure)
{
    const json_t *text = json_object_get(params, "filter"), *program = json_object_get(params, "program");
    const char *words = json_string_value(text);
    const char *why = NULL;

    if (program)
        why = read_program(program, &wish->choice.filter);
    if (why)
        control_fail(failure, CONTROL_BAD_PARAMS, "program: %s; tcpdump -y EN10MB -ddd prints one", why);
    else if ((text && !words) || (words && (strlen(words) >= sizeof(wish->filter) || !is_printable(words))))
        control_fail(failure, CONTROL_BAD_PARAMS, "filter: not a text of %zu bytes at most, without control characters",
                     sizeof(wish->filter) - 1);
    else if (words && *words && !program)
        control_fail(failure, CONTROL_BAD_PARAMS,
                     "filter: it comes without its program; vop bridge capture compiles one, as does tcpdump -ddd");
    else if (words)
        memcpy(wish->filter, words, strlen(words) + 1);
    json_object_del(params, "filter");
    json_object_del(params, "program");
    return !*failure->text;
}

/* What was taken out is not there any more. */
static bool has_no_more(json_t *params, struct control_failure *failure)
{
    if (json_object_size(params) == 0)
        return true;
    control_fail(failure, CONTROL_BAD_PARAMS, "%.64s: no such parameter",
                 json_object_iter_key(json_object_iter(params)));
    return false;
}

static bool take_wish(json_t *params, struct capture_wish *wish, struct control_failure *failure)
{
    uint64_t snaplen = CAPTURE_SNAPLEN_DEFAULT, files = 0;

    failure->text[0] = '\0';
    if (!take_direction(params, &wish->choice.directions, failure) || !take_filter(params, wish, failure) ||
        !take_number(params, "snaplen", CAPTURE_SNAPLEN_MIN, CAPTURE_SNAPLEN_MAX, &snaplen, failure) ||
        !take_number(params, "rotate_size", CAPTURE_ROTATE_SIZE_MIN, NUMBER_MAX, &wish->rotate_size, failure) ||
        !take_number(params, "rotate_files", 1, CAPTURE_FILES_MAX, &files, failure) ||
        !take_number(params, "frames", 1, NUMBER_MAX, &wish->frames, failure) ||
        !take_number(params, "seconds", 1, INT32_MAX, &wish->seconds, failure) || !has_no_more(params, failure))
        return false;
    wish->choice.snaplen = (uint32_t)snaplen;
    wish->rotate_files = (unsigned)files;
    if (!files || wish->rotate_size)
        return true;
    control_fail(failure, CONTROL_BAD_PARAMS, "rotate_files: without rotate_size there is one file only; give both");
    return false;
}

/* ---- Methods ---- */

static bool is_there(const struct capture *capture, struct control_failure *failure)
{
    if (!capture)
        control_fail(failure, CONTROL_FAILED,
                     "this bridge was started without captures; start it with a directory for them: --capture-dir");
    return capture != NULL;
}

json_t *capture_run_start(struct capture *capture, json_t *params, struct control_failure *failure)
{
    struct capture_wish wish = {.filter = ""};
    char path[PATH_MAX];
    int ret;

    if (!is_there(capture, failure) || !take_wish(params, &wish, failure))
        return NULL;
    ret = capture_start(capture, &wish, path);
    if (!ret)
        return json_pack("{s:s}", "file", path);
    if (ret == -EBUSY)
        return control_fail(failure, CONTROL_FAILED, "a capture is running, or is not written yet; stop it first");
    if (ret == -ENOMEM)
        return control_fail(failure, CONTROL_FAILED, "no memory for the frames; %u bytes a queue are needed",
                            CAPTURE_RING_BYTES);
    return control_fail(failure, CONTROL_FAILED, "%.160s: %s; --capture-dir of vop-bridge says where files are written",
                        path, strerror(-ret));
}

static json_t *describe_wish(const struct capture_wish *wish)
{
    return json_pack("{s:s, s:I, s:s*, s:I, s:I, s:I, s:I}", "direction", direction_names[wish->choice.directions],
                     "snaplen", (json_int_t)wish->choice.snaplen, "filter", *wish->filter ? wish->filter : NULL,
                     "rotate_size", (json_int_t)wish->rotate_size, "rotate_files", (json_int_t)wish->rotate_files,
                     "frames_max", (json_int_t)wish->frames, "seconds_max", (json_int_t)wish->seconds);
}

static json_t *describe(struct capture *capture)
{
    static const char *const states[] = {"none", "running", "stopping", "ended"};
    struct capture_facts facts;
    json_t *result, *wish;

    capture_look(capture, &facts);
    if (facts.state == CAPTURE_NONE)
        return json_pack("{s:s}", "state", states[facts.state]);
    wish = describe_wish(facts.wish);
    result = json_pack("{s:s, s:s, s:s?, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state", states[facts.state], "file",
                       facts.path, "why", facts.why, "failed", facts.has_failed, "duration_ms",
                       (json_int_t)facts.duration_ms, "received", (json_int_t)facts.counts.received, "accepted",
                       (json_int_t)facts.counts.accepted, "dropped", (json_int_t)facts.counts.dropped, "frames",
                       (json_int_t)facts.written.frames, "bytes", (json_int_t)facts.written.bytes, "files",
                       (json_int_t)facts.written.files);
    json_object_update(result, wish);
    json_decref(wish);
    return result;
}

json_t *capture_run_stop(struct capture *capture, json_t *params, struct control_failure *failure)
{
    if (!is_there(capture, failure) || !has_no_more(params, failure))
        return NULL;
    capture_stop(capture);
    return describe(capture);
}

json_t *capture_run_show(struct capture *capture, json_t *params, struct control_failure *failure)
{
    if (!is_there(capture, failure) || !has_no_more(params, failure))
        return NULL;
    return describe(capture);
}
