/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox_need.h - which system calls a part of the bridge makes once everything is set up.
 *
 * Room: bridge. Each part says so in its own file, beside the code that makes them, and sandbox_list.c gathers them. A
 * call that no part has named ends the process. So whoever adds one adds it here as well, and looks first whether an
 * existing one will do: there are at most SANDBOX_CALLS_MAX for an shm link.
 */
#ifndef VOP_BRIDGE_SANDBOX_NEED_H
#define VOP_BRIDGE_SANDBOX_NEED_H

#include <stddef.h>
#include <stdint.h>

#define SANDBOX_CALLS_MAX 30

/* Is this a build in which a sanitizer makes calls of its own? */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

enum sandbox_rule {
    SANDBOX_ALWAYS,
    SANDBOX_EQUAL,   /* if the argument is `value` */
    SANDBOX_WITHOUT, /* if the argument has none of the bits of `value` */
};

struct sandbox_call {
    const char *name; /* of the system call. One that this machine does not have is passed over */
    enum sandbox_rule rule;
    unsigned argument; /* its number, from 0 */
    uint64_t value;
};

#define SANDBOX_CALL(name_) \
    {                       \
        .name = #name_      \
    }
#define SANDBOX_CALL_IF(name_, argument_, value_)                                                   \
    {                                                                                               \
        .name = #name_, .rule = SANDBOX_EQUAL, .argument = (argument_), .value = (uint64_t)(value_) \
    }
#define SANDBOX_CALL_WITHOUT(name_, argument_, value_)                                                \
    {                                                                                                 \
        .name = #name_, .rule = SANDBOX_WITHOUT, .argument = (argument_), .value = (uint64_t)(value_) \
    }

/** What one part needs. */
struct sandbox_need {
    const char *part;
    const struct sandbox_call *calls;
    size_t count;
};

#define SANDBOX_NEED(part_, calls_)                                                       \
    {                                                                                     \
        .part = (part_), .calls = (calls_), .count = sizeof(calls_) / sizeof((calls_)[0]) \
    }

#endif
