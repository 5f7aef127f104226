/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json.c - a device as JSON.
 *
 * Room: tools.
 */
#include "commands.h"
#include "device.h"

static void put_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fprintf(out, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static void put_member(const char *name, const char *value, FILE *out)
{
    fprintf(out, ", \"%s\": ", name);
    if (value[0])
        put_string(value, out);
    else
        fputs("null", out);
}

void json_device(const struct device *d, FILE *out)
{
    fprintf(out, "{\"address\": \"%s\", \"vendor\": \"%04x\", \"device\": \"%04x\"", d->address, d->vendor, d->number);
    put_member("what", d->what, out);
    put_member("driver", d->driver, out);
    put_member("node", d->node, out);
    fprintf(out, ", \"ready\": %s", d->is_ready ? "true" : "false");
    put_member("advice", d->advice, out);
    fputc('}', out);
}
