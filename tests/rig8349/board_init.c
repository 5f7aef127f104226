/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board_init.c - the first process of a machine that is the board: it does what firmware does, and runs the board's
 * program, whose words are its own arguments, again and again.
 *
 * Room: tests. Static, and for that machine only. What it says is on the console.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
#define PART "0x1957 0x0086" /* what machine.c says */

static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR);

    for (int i = 0; fd >= 0 && i < 3; i++)
        (void)dup2(fd, i);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

static bool read_word(const char *device, const char *name, char word[32])
{
    char path[320];
    FILE *file;
    bool is_read;

    (void)snprintf(path, sizeof(path), DEVICES "/%s/%s", device, name);
    file = fopen(path, "re");
    is_read = file && fscanf(file, "%31s", word) == 1;
    if (file)
        (void)fclose(file);
    return is_read;
}

/* Windows open when the device is turned on. */
static bool turn_on(const char *device)
{
    char path[320];
    int fd;
    bool is_on;

    (void)snprintf(path, sizeof(path), DEVICES "/%s/enable", device);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    is_on = fd >= 0 && write(fd, "1", 1) == 1;
    if (fd >= 0)
        close(fd);
    return is_on;
}

static bool find_part(void)
{
    DIR *all = opendir(DEVICES);
    const struct dirent *entry;
    bool is_on = false;

    while (all && !is_on && (entry = readdir(all))) {
        char vendor[32], device[32], both[80];

        if (!read_word(entry->d_name, "vendor", vendor) || !read_word(entry->d_name, "device", device))
            continue;
        (void)snprintf(both, sizeof(both), "%s %s", vendor, device);
        is_on = strcmp(both, PART) == 0 && turn_on(entry->d_name);
    }
    if (all)
        (void)closedir(all);
    return is_on;
}

int main(int argc, char **argv)
{
    static const uint16_t one = 1;
    struct utsname name;

    if (argc < 2 || getpid() != 1) {
        fprintf(stderr, "usage: board-init PROGRAM [WORD...], as the first process of a machine\n");
        return 2;
    }
    (void)mount("proc", "/proc", "proc", 0, NULL);
    (void)mount("sysfs", "/sys", "sysfs", 0, NULL);
    (void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    open_console();
    (void)uname(&name);
    printf("board: Linux %s on %s, %s-endian\n", name.release, name.machine, *(const char *)&one ? "little" : "big");
    if (!find_part())
        printf("board: no PCI device " PART "\n");
    for (;;) {
        pid_t child = fork();
        int status = 0;

        if (child == 0) {
            execv(argv[1], argv + 1);
            perror(argv[1]);
            _exit(127);
        }
        (void)waitpid(child, &status, 0);
        printf("board: %s ended with status 0x%x\n", argv[1], (unsigned)status);
        (void)sleep(1);
    }
}
