/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_rpc.c - one line of a client of the control socket, and the line that answers it: JSON-RPC 2.0.
 *
 * Room: bridge.
 */
#include "control_rpc.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

json_t *control_fail(struct control_failure *failure, int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    failure->code = code;
    (void)vsnprintf(failure->text, sizeof(failure->text), format, arguments);
    va_end(arguments);
    return NULL;
}

/* Takes over `answer`, which may be NULL. */
static char *format_line(json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    char *line = NULL;

    json_decref(answer);
    if (!text || asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    return line;
}

/* `id` is NULL where it is not known. */
static char *format_failure(json_t *id, const struct control_failure *failure)
{
    /* A text cut off in the middle of a character is no JSON: then its code must do. */
    json_t *text = json_string(failure->text);

    return format_line(json_pack("{s:s, s:O?, s:{s:i, s:o}}", "jsonrpc", "2.0", "id", id, "error", "code",
                                 failure->code, "message", text ? text : json_string("")));
}

char *control_rpc_refusal(int code, const char *text)
{
    struct control_failure failure;

    control_fail(&failure, code, "%s", text);
    return format_failure(json_null(), &failure);
}

static const struct control_method *find_method(const struct control_method *methods, const char *name)
{
    for (; methods->name; methods++) {
        if (strcmp(methods->name, name) == 0)
            return methods;
    }
    return NULL;
}

static bool is_id(const json_t *id)
{
    return !id || json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* Returns the result, or NULL with the failure. */
static json_t *run_request(const struct control_method *methods, void *context, const json_t *request,
                           struct control_failure *failure)
{
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));
    const char *name = json_string_value(json_object_get(request, "method"));
    json_t *params = json_object_get(request, "params");
    const struct control_method *method;
    json_t *result;

    if (!json_is_object(request))
        return control_fail(failure, CONTROL_NOT_REQUEST, "not an object; send one request a line");
    if (!is_id(json_object_get(request, "id")))
        return control_fail(failure, CONTROL_NOT_REQUEST, "id: neither a string nor a number; make it one");
    if (!version || strcmp(version, "2.0") != 0)
        return control_fail(failure, CONTROL_NOT_REQUEST, "no \"jsonrpc\": \"2.0\" in it; add that");
    if (!name)
        return control_fail(failure, CONTROL_NOT_REQUEST, "no method named; say which, as a string");
    method = find_method(methods, name);
    if (!method)
        return control_fail(failure, CONTROL_NO_METHOD, "%.64s: no such method; see docs/CONTROL.md", name);
    if (params && !json_is_object(params))
        return control_fail(failure, CONTROL_BAD_PARAMS, "params: not an object; give them by name");
    params = params ? json_incref(params) : json_object();
    result = params ? method->run(context, params, failure) : NULL;
    json_decref(params);
    return result;
}

char *control_rpc_answer(const struct control_method *methods, void *context, const char *line, size_t length)
{
    struct control_failure failure = {.code = CONTROL_NO_MEMORY, .text = "no memory left; try again later"};
    json_error_t error;
    json_t *request = json_loadb(line, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    json_t *id = json_object_get(request, "id");
    json_t *result;
    char *answer = NULL;

    if (!request) {
        control_fail(&failure, CONTROL_NOT_JSON, "byte %d: %s", error.position, error.text);
        return format_failure(json_null(), &failure);
    }
    result = run_request(methods, context, request, &failure);
    if (result && id)
        answer = format_line(json_pack("{s:s, s:O, s:O}", "jsonrpc", "2.0", "id", id, "result", result));
    else if (!result && (id || failure.code == CONTROL_NOT_REQUEST))
        answer = format_failure(id && is_id(id) ? id : json_null(), &failure);
    json_decref(result);
    json_decref(request);
    return answer;
}
