/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - vop-bridge: a network interface at one end of a link.
 *
 * Room: bridge. Exit status: 0 ended by a signal, 1 something failed, 2 the command line is wrong.
 */
#include "bridge.h"
#include "log.h"
#include "options.h"

#include <signal.h>

int main(int argc, char **argv)
{
    struct options options;

    /* The library never raises it; a line to a stderr that is closed must not, either. */
    signal(SIGPIPE, SIG_IGN);
    if (options_parse(argc, argv, &options) < 0)
        return 2;
    log_set_verbose(options.verbose);
    return bridge_run(&options) < 0 ? 1 : 0;
}
