/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_socket.c - where the control socket of a bridge lies: makes it there, and takes it away again.
 *
 * Room: bridge.
 */
#include "control_socket.h"

#include "broker.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".sock"
#define SUFFIX_UNFINISHED ".new" /* bound, and not listening yet */
#define UNFINISHED_SECONDS 10    /* nobody takes as long as that from one to the other */
#define TRIES 10                 /* somebody may remove the directory, which is empty, before there is a file in it */

/* ---- What killed bridges have left ---- */

/* Is it "vop0.1234" and the suffix? Others may have files there, too. */
static bool is_of_bridge(const char *name, const char *suffix)
{
    const char *end = strrchr(name, '.');
    const char *digits = end;

    while (digits && digits > name && isdigit((unsigned char)digits[-1]))
        digits--;
    return end && strcmp(end, suffix) == 0 && digits < end && digits > name && digits[-1] == '.';
}

static bool is_old(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && time(NULL) - st.st_mtime > UNFINISHED_SECONDS;
}

static void remove_dead(const char *directory)
{
    DIR *dir = opendir(directory);
    char path[CONTROL_PATH_SIZE];

    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        bool is_finished = is_of_bridge(entry->d_name, SUFFIX);
        int length = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);

        if ((is_finished || is_of_bridge(entry->d_name, SUFFIX_UNFINISHED)) && length > 0 &&
            (size_t)length < sizeof(path) && (is_finished || is_old(path)) && unix_socket_is_dead(path))
            unlink(path);
    }
    closedir(dir);
}

/* ---- Making one ---- */

static int make_socket(const char *directory, const char *name, mode_t mode, struct unix_socket *ret_socket)
{
    char unfinished[NAME_MAX], finished[NAME_MAX];

    snprintf(unfinished, sizeof(unfinished), ".%s.%ld" SUFFIX_UNFINISHED, name, (long)getpid());
    snprintf(finished, sizeof(finished), "%s.%ld" SUFFIX, name, (long)getpid());
    return unix_socket_open(directory, unfinished, finished, mode, ret_socket);
}

/* Root's directory can be read by everybody, so that who may use a bridge finds it. */
static mode_t get_directory_mode(void)
{
    return geteuid() == 0 ? 0755 : 0700;
}

/* If it is empty. Somebody may have made it with other rights, and wants to find it there again. */
static void remove_directory(const char *directory)
{
    struct stat st;

    if (lstat(directory, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 07777) == get_directory_mode())
        rmdir(directory);
}

static int open_in(const char *directory, const char *name, mode_t mode, struct control_socket *ret_socket)
{
    struct control_socket made;
    int ret = -ENOENT;

    for (int i = 0; ret == -ENOENT && i < TRIES; i++) {
        if (mkdir(directory, get_directory_mode()) == 0)
            (void)chmod(directory, get_directory_mode()); /* whatever the umask says */
        else if (errno != EEXIST) {
            ret = -errno;
            break;
        }
        remove_dead(directory);
        ret = make_socket(directory, name, mode, &made.file);
    }
    if (ret) {
        remove_directory(directory);
        return ret;
    }
    snprintf(made.directory, sizeof(made.directory), "%s", directory); /* shorter than its path */
    *ret_socket = made;
    return 0;
}

int control_socket_open(const char *directory, const char *name, mode_t mode, struct control_socket *ret_socket,
                        char ret_path[CONTROL_PATH_SIZE])
{
    const char *own = getenv("XDG_RUNTIME_DIR");
    int length, ret;

    snprintf(ret_path, CONTROL_PATH_SIZE, "%s", directory ? directory : CONTROL_DIRECTORY);
    ret = open_in(directory ? directory : CONTROL_DIRECTORY, name, mode, ret_socket);
    if (directory || (ret != -EACCES && ret != -EROFS && ret != -EPERM && ret != -ENOENT))
        return ret;
    if (!own || own[0] != '/')
        return ret;
    length = snprintf(ret_path, CONTROL_PATH_SIZE, "%s%s", own, strrchr(CONTROL_DIRECTORY, '/'));
    if (length < 0 || (size_t)length >= CONTROL_PATH_SIZE)
        return -ENAMETOOLONG;
    return open_in(ret_path, name, mode, ret_socket);
}

/* ---- Another name ---- */

/* ".1234.sock" of such a path: the process that renames it may be another one. */
static const char *find_suffix(const char *path)
{
    const char *suffix = path + strlen(path) - strlen(SUFFIX);

    while (*--suffix != '.')
        ;
    return suffix;
}

int control_socket_rename(struct control_socket *socket, const char *name)
{
    char file[NAME_MAX];

    if (broker_is_there())
        return unix_socket_away(UNIX_SOCKET_RENAME, &socket->file, 0, socket->file.path);
    snprintf(file, sizeof(file), "%s%s", name, find_suffix(socket->file.path));
    return unix_socket_rename(&socket->file, file);
}

/* ---- Taking it away ---- */

void control_socket_close(struct control_socket *socket)
{
    if (!socket->file.path[0])
        return;
    unix_socket_close(&socket->file);
    if (!broker_is_there()) /* it has done that, too */
        remove_directory(socket->directory);
}
