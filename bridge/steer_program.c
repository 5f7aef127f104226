/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_program.c - loads a steering program into the kernel: that of this project, or one of the user's.
 *
 * Room: bridge.
 */
#include "steer_program.h"

#include "log.h"
#include "steer_bpf.skel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What libbpf has to say is of use to who asks for details; with the verifier's words it is long. */
__attribute__((format(printf, 2, 0))) static int log_libbpf(enum libbpf_print_level level, const char *format,
                                                            va_list arguments)
{
    char text[400];
    char *rest = text;

    if (level != LIBBPF_WARN)
        return 0;
    (void)vsnprintf(text, sizeof(text), format, arguments);
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (*line)
            log_debug("%s", line);
    }
    return 0;
}

static int explain_load(int ret, steer_why why)
{
    (void)snprintf(why, sizeof(steer_why), "loading the program: %s%s", strerror(-ret),
                   ret == -EPERM ? "; run with CAP_BPF, or as root" : "; --verbose says more");
    return ret;
}

/* ---- Ours ---- */

static size_t round_to_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

/* Where the program counts. The rest libbpf has mapped. */
static struct steer_stats *map_stats(const struct steer_bpf *skeleton, size_t size)
{
    void *stats =
        mmap(NULL, round_to_pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skeleton->maps.stats), 0);

    return stats == MAP_FAILED ? NULL : stats;
}

int steer_program_load(struct steer_program *ret_program, steer_why why)
{
    int processors = libbpf_num_possible_cpus();
    struct steer_program program = {.processors = processors > 0 ? (unsigned)processors : 1};
    struct steer_bpf *skeleton;
    int ret;

    libbpf_set_print(log_libbpf);
    skeleton = steer_bpf__open();
    if (!skeleton)
        return explain_load(-errno, why);
    program.object = skeleton;
    ret = bpf_map__set_max_entries(skeleton->maps.stats, program.processors);
    if (!ret)
        ret = steer_bpf__load(skeleton);
    if (ret) {
        steer_bpf__destroy(skeleton);
        return explain_load(ret, why);
    }
    program.fd = bpf_program__fd(skeleton->progs.steer);
    program.control = &skeleton->bss->control;
    program.policies = skeleton->bss->policies;
    program.stats = map_stats(skeleton, sizeof(*program.stats) * program.processors);
    if (!program.stats) {
        ret = -errno;
        (void)snprintf(why, sizeof(steer_why), "mapping its tables: %s", strerror(-ret));
        steer_program_unload(&program);
        return ret;
    }
    *ret_program = program;
    return 0;
}

/* ---- The user's ---- */

static int load_object(struct bpf_object *object, const char *path, const char *name, int *ret_fd, steer_why why)
{
    struct bpf_program *program = bpf_object__find_program_by_name(object, name);
    int ret;

    if (!program) {
        (void)snprintf(why, sizeof(steer_why), "%.100s: no program %.60s in it; bpftool prog shows names", path, name);
        return -ENOENT;
    }
    if (bpf_program__type(program) != BPF_PROG_TYPE_SOCKET_FILTER) {
        (void)snprintf(why, sizeof(steer_why), "%.100s: %.60s is no socket filter; put it into SEC(\"socket\")", path,
                       name);
        return -EINVAL;
    }
    ret = bpf_object__load(object);
    if (ret)
        return explain_load(ret, why);
    *ret_fd = bpf_program__fd(program);
    return 0;
}

int steer_program_load_user(const char *path, const char *name, struct steer_program *ret_program, steer_why why)
{
    struct steer_program program = {.fd = -1};
    struct bpf_object *object;
    int ret;

    libbpf_set_print(log_libbpf);
    object = bpf_object__open_file(path, NULL);
    if (!object) {
        ret = errno == ENOENT || errno == EACCES ? -errno : -EINVAL;
        (void)snprintf(why, sizeof(steer_why), "%.160s: %s", path,
                       ret == -EINVAL ? "no object file for BPF; make it with clang -target bpf -g" : strerror(-ret));
        return ret;
    }
    ret = load_object(object, path, name, &program.fd, why);
    if (ret) {
        bpf_object__close(object);
        return ret;
    }
    program.object = object;
    *ret_program = program;
    return 0;
}

void steer_program_unload(struct steer_program *program)
{
    if (!program->object)
        return;
    if (program->processors) {
        if (program->stats)
            munmap(program->stats, round_to_pages(sizeof(*program->stats) * program->processors));
        steer_bpf__destroy(program->object);
    } else {
        bpf_object__close(program->object);
    }
    *program = (struct steer_program){.fd = -1};
}
