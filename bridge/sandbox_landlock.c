/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox_landlock.c - forbids all files, sockets and signals by Landlock, where the kernel has it.
 *
 * Room: bridge. The C library has no calls for it, and Debian no library. A ruleset names what it handles, and all that
 * no rule allows is forbidden; here there are no rules.
 */
#include "sandbox_landlock.h"

#include "sandbox_need.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As of ABI 6. The structure grows at its end. */
struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

#define BITS(n) ((UINT64_C(1) << (n)) - 1)

/* Each ABI knows some rights more than the one before: so many of access to files. */
static unsigned count_rights(long abi)
{
    static const unsigned known[] = {13, 14, 15, 15, 16}; /* 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV */
    unsigned last = sizeof(known) / sizeof(known[0]);

    return known[abi < (long)last ? abi - 1 : last - 1];
}

#if SANDBOX_SANITIZED
#define SPARED (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR) /* the sanitizer reads /proc/self */
#else
#define SPARED 0
#endif

int sandbox_landlock_enter(void)
{
    struct ruleset ruleset = {.handled_access_fs = 0};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t size = abi >= 6 ? sizeof(ruleset) : abi >= 4 ? offsetof(struct ruleset, scoped) : sizeof(uint64_t);
    int fd, ret;

    if (abi < 1)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
    ruleset.handled_access_fs = BITS(count_rights(abi)) & ~(uint64_t)SPARED;
    ruleset.handled_access_net = abi >= 4 ? BITS(2) : 0; /* bind and connect, TCP */
    ruleset.scoped = abi >= 6 ? BITS(2) : 0;             /* abstract Unix sockets, signals */
    fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (fd < 0)
        return -errno;
    ret = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 1;
    close(fd);
    return ret;
}
