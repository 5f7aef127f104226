/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_files.c - the files of captures: opens one after the other, and keeps so many of a capture.
 *
 * Room: bridge.
 */
#include "capture_files.h"

#include "broker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 1000 /* with other numbers, where a file is there already */

void capture_files_init(struct capture_files *files, const char *directory, const char *interface)
{
    memset(files, 0, sizeof(*files));
    files->directory = directory;
    snprintf(files->interface, sizeof(files->interface), "%s", interface);
}

static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && mkdir(path, 0700) == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void make_name(const struct capture_files *files, unsigned number, char ret_name[NAME_MAX])
{
    struct tm tm;
    char time[32], suffix[16] = "";

    gmtime_r(&files->began, &tm);
    strftime(time, sizeof(time), "%Y%m%d-%H%M%S", &tm);
    if (number)
        snprintf(suffix, sizeof(suffix), "-%u", number);
    snprintf(ret_name, NAME_MAX, "%s-%s%s.pcapng", files->interface, time, suffix);
}

/* If that is still the file that was made. */
static void remove_oldest(struct capture_files *files, int directory)
{
    const struct capture_file *file = &files->kept[files->oldest];
    char name[NAME_MAX];
    struct stat st;

    make_name(files, file->number, name);
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == file->inode)
        (void)unlinkat(directory, name, 0);
    files->oldest = (files->oldest + 1) % files->keep;
    files->count--;
}

static void remember(struct capture_files *files, int fd)
{
    struct stat st;

    if (!files->keep)
        return;
    files->kept[(files->oldest + files->count++) % files->keep] =
        (struct capture_file){.number = files->number, .inode = fstat(fd, &st) == 0 ? st.st_ino : 0};
}

static int make_file(struct capture_files *files, int directory, char ret_path[PATH_MAX])
{
    char name[NAME_MAX];
    int fd = -1;

    for (unsigned i = 0; i < TRIES; i++, files->number++) {
        make_name(files, files->number, name);
        snprintf(ret_path, PATH_MAX, "%s/%s", files->directory, name);
        fd = openat(directory, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    if (fd < 0)
        return -errno;
    remember(files, fd);
    files->number++;
    return fd;
}

static int next_away(bool is_first, unsigned keep, char ret_path[PATH_MAX], int *ret_fd)
{
    const struct capture_question question = {.is_first = is_first, .keep = keep};
    struct broker_fds fds;
    int ret = broker_ask(BROKER_CAPTURE, &question, sizeof(question), ret_path, PATH_MAX, &fds);

    if (!ret && fds.count == 1)
        *ret_fd = fds.fd[0];
    ret_path[PATH_MAX - 1] = '\0';
    return ret > 0 ? -ret : ret;
}

int capture_files_next(struct capture_files *files, bool is_first, unsigned keep, char ret_path[PATH_MAX], int *ret_fd)
{
    int directory, fd;

    if (broker_is_there())
        return next_away(is_first, keep, ret_path, ret_fd);
    if (is_first) {
        files->began = time(NULL);
        files->number = files->count = files->oldest = 0;
        files->keep = keep < CAPTURE_FILES_MAX ? keep : CAPTURE_FILES_MAX;
    }
    snprintf(ret_path, PATH_MAX, "%s", files->directory);
    directory = open_directory(files->directory);
    if (directory < 0)
        return directory;
    while (files->keep && files->count >= files->keep)
        remove_oldest(files, directory);
    fd = make_file(files, directory, ret_path);
    close(directory);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}
