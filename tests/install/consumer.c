/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * consumer.c - a program that uses libvopipc as it is installed; compiled as C11 and as C++17.
 *
 * Room: tests. It calls the library, compares the version of the headers with that of the library, and sees one error.
 */
#include <vopipc/vopipc.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    char version[32];
    struct vop_options options;
    vop_channel *channel = NULL;

    snprintf(version, sizeof(version), "%d.%d.%d", VOP_VERSION_MAJOR, VOP_VERSION_MINOR, VOP_VERSION_PATCH);
    if (strcmp(version, vop_version()) != 0) {
        fprintf(stderr, "consumer: headers of %s, library of %s\n", version, vop_version());
        return 1;
    }

    vop_options_init(&options, sizeof(options));
    int r = vop_channel_connect("shm:/nonexistent/vopipc.sock", &options, 0, &channel);
    if (r != -ENOENT || channel != NULL) {
        fprintf(stderr, "consumer: connecting to nowhere gives %d (%s)\n", r, vop_error_text());
        return 1;
    }
    return 0;
}
