/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_capture.c - vop bridge capture: what its arguments mean as parameters of a method, and its answers for people.
 *
 * Room: tools.
 */
#include "bridge_capture.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arguments ---- */

const char *capture_set_option(json_t *params, const char *option, const char *value)
{
    char name[32];
    char *end;
    long long number;

    snprintf(name, sizeof(name), "%s", option);
    for (char *at = strchr(name, '-'); at; at = strchr(at, '-'))
        *at = '_';
    if (strcmp(name, "direction") == 0)
        return json_object_set_new(params, name, json_string(value)) == 0 ? NULL : "not text in UTF-8";
    errno = 0;
    number = isdigit((unsigned char)value[0]) ? strtoll(value, &end, 10) : -1;
    if (number < 0 || errno || *end)
        return "not a number";
    return json_object_set_new(params, name, json_integer(number)) == 0 ? NULL : "no memory";
}

bool capture_add_word(json_t *params, const char *word)
{
    const char *before = json_string_value(json_object_get(params, "filter"));

    return json_object_set_new(params, "filter", before ? json_sprintf("%s %s", before, word) : json_string(word)) == 0;
}

static json_t *describe_program(const struct bpf_program *program)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < program->bf_len; i++) {
        const struct bpf_insn *insn = &program->bf_insns[i];

        json_array_append_new(
            list, json_pack("[i, i, i, I]", (int)insn->code, (int)insn->jt, (int)insn->jf, (json_int_t)insn->k));
    }
    return list;
}

bool capture_compile(json_t *params, char why[256])
{
    const char *filter = json_string_value(json_object_get(params, "filter"));
    struct bpf_program program;
    pcap_t *pcap;
    bool is_right;

    if (!filter)
        return true;
    pcap = pcap_open_dead(DLT_EN10MB, 262144);
    is_right = pcap && pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (is_right) {
        is_right = json_object_set_new(params, "program", describe_program(&program)) == 0;
        pcap_freecode(&program);
        snprintf(why, 256, "no memory");
    } else {
        snprintf(why, 256, "%s", pcap ? pcap_geterr(pcap) : "no memory");
    }
    if (pcap)
        pcap_close(pcap);
    return is_right;
}

/* ---- Answers ---- */

static const char *get_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static json_int_t get_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void capture_print_file(const char *name, const json_t *answer, FILE *out)
{
    const char *file = get_text(answer, "file");

    (void)name;
    fprintf(out, "%s\n", file ? file : "-");
}

/* Those that there are. */
static void print_limits(const json_t *capture, FILE *out)
{
    static const struct {
        const char *member, *text;
    } limits[] = {
        {"rotate_size", "bytes a file"},
        {"rotate_files", "files kept"},
        {"frames_max", "frames"},
        {"seconds_max", "seconds"},
    };
    unsigned count = 0;

    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (get_number(capture, limits[i].member))
            fprintf(out, "%s%" JSON_INTEGER_FORMAT " %s", count++ ? ", " : "  limits    ",
                    get_number(capture, limits[i].member), limits[i].text);
    }
    if (count)
        fputc('\n', out);
}

void capture_print(const char *name, const json_t *capture, FILE *out)
{
    const char *state = get_text(capture, "state");

    fprintf(out, "%s: capture %s", name, state ? state : "-");
    if (!get_text(capture, "file")) {
        fputc('\n', out);
        return;
    }
    fprintf(out, ", %" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT " s", get_number(capture, "duration_ms") / 1000,
            get_number(capture, "duration_ms") % 1000 / 100);
    if (get_text(capture, "why"))
        fprintf(out, ": %s", get_text(capture, "why"));
    fprintf(out, "\n  file      %s", get_text(capture, "file"));
    if (get_number(capture, "files") > 1)
        fprintf(out, ", number %" JSON_INTEGER_FORMAT, get_number(capture, "files"));
    fprintf(out, "\n  frames    %" JSON_INTEGER_FORMAT " written, %" JSON_INTEGER_FORMAT " bytes\n",
            get_number(capture, "frames"), get_number(capture, "bytes"));
    fprintf(out,
            "  dropped   %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
            " that the filter accepted, of %" JSON_INTEGER_FORMAT " seen\n",
            get_number(capture, "dropped"), get_number(capture, "accepted"), get_number(capture, "received"));
    fprintf(out, "  captured  %s, the first %" JSON_INTEGER_FORMAT " bytes of a frame%s%s\n",
            get_text(capture, "direction"), get_number(capture, "snaplen"),
            get_text(capture, "filter") ? ", filter " : "",
            get_text(capture, "filter") ? get_text(capture, "filter") : "");
    print_limits(capture, out);
}

bool capture_is_stopping(const json_t *capture)
{
    const char *state = get_text(capture, "state");

    return state && strcmp(state, "stopping") == 0;
}
