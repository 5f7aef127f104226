/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - vop-bridge: a network interface at one end of a link.
 *
 * Room: bridge. Exit status: 0 ended by a signal, 1 something failed, 2 the command line is wrong.
 */
#include "bridge.h"
#include "log.h"
#include "options.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* Fills descriptors 0 to 2, if they are closed: else the TAP would be one of them, and get the lines for stderr. */
static int fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) /* the lowest one free: this one */
            return -1;
    }
    return 0;
}

/* Signals that would end it without clean-up: of a stderr that is closed or at its limit, and those that ask. */
static void ignore_signals(void)
{
    static const int numbers[] = {SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        signal(numbers[i], SIG_IGN);
}

int main(int argc, char **argv)
{
    struct options options;
    int ret;

    if (fill_standard_streams() < 0)
        return 1; /* and there is nobody to tell */
    ignore_signals();
    log_set_format(LOG_FORMAT_AUTO);
    if (options_parse(argc, argv, NULL, NULL, &options) < 0)
        return 2;
    if (options.check_config)
        return 0;
    log_set_format(options.log_format);
    log_set_level(options.log_level);
    (void)log_open();
    ret = bridge_run(&options);
    log_close();
    return ret < 0 ? 1 : 0;
}
