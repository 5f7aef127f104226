/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_options.c - the command line of vop-bridge: what each option sets, and that a wrong value sets nothing.
 *
 * Room: tests. The lines that the user sees are checked by tests/system/test_bridge_inputs.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "offload.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 48

/* Parses a line of words. They stay valid until the next call. */
static int parse(const char *line, struct options *ret_options)
{
    static char copy[1024];
    char *argv[WORDS_MAX + 1] = {copy};
    char *rest;
    int argc = 1;

    strcpy(copy, "vop-bridge ");
    strcat(copy, line);
    strtok_r(copy, " ", &rest);
    for (char *word; argc < WORDS_MAX && (word = strtok_r(NULL, " ", &rest));)
        argv[argc++] = word;
    return options_parse(argc, argv, NULL, NULL, ret_options);
}

static void test_defaults(void **state)
{
    struct options options;

    (void)state;
    assert_int_equal(parse("--link shm:/run/a --tap vop0", &options), 0);
    assert_string_equal(options.link, "shm:/run/a");
    assert_string_equal(options.tap, "vop0");
    assert_false(options.listen || options.persist || options.has_mac || options.offload_is_named);
    assert_string_equal(options.master, "");
    assert_string_equal(options.netns, "");
    assert_int_equal(options.address_count, 0);
    assert_int_equal(options.mtu, 0);
    assert_int_equal(options.txqueuelen, 0);
    assert_int_equal(options.socket_mode, 0);
    assert_false(options.has_peer_uid);
    assert_false(options.no_control || options.has_control_uid);
    assert_string_equal(options.control, "");
    assert_int_equal(options.control_mode, 0600);
    assert_int_equal(options.offload, OFFLOAD_ALL);
    assert_int_equal(options.slots, OPTIONS_SLOTS_DEFAULT);
    assert_int_equal(options.slot_size, OPTIONS_SLOT_SIZE_DEFAULT);
    assert_int_equal(options.spin_us, OPTIONS_SPIN_US_DEFAULT);
    assert_true(options.queues >= 1 && options.queues <= OPTIONS_QUEUES_MAX);
    assert_false(options.queues_are_named || options.has_affinity);
    assert_int_equal(parse("--link shm:/run/a --tap vop0 --queues 16 --affinity 1,3", &options), 0);
    assert_int_equal(options.queues, 16);
    assert_true(options.queues_are_named && options.has_affinity && CPU_COUNT(&options.affinity) == 2);
    assert_int_equal(parse("--link vhost-user:/run/a --tap vop0 --socket-mode 0660", &options), 0);
    assert_true(options.listen && options.queues == 1);
    assert_int_equal(parse("--link mpc8349-2009:0000:02:00.0?device=1 --tap vop0", &options), 0);
    assert_true(options.listen && options.queues == 1);
    assert_int_equal(parse("--link mpc8349-2009:board?device=1 --listen --tap vop0", &options), 0);
    assert_true(!options.listen && options.queues == 1);
}

static void test_everything(void **state)
{
    struct options options;

    (void)state;
    assert_int_equal(
        parse("--link=shm:/run/a --listen --socket-mode 0660 --peer-uid root --slots 64 --slot-size 4096 --tap "
              "vop1 "
              "--address 10.0.0.1/8 --address fd00::1/64 --mtu 9000 --mac 02:00:00:00:00:01 "
              "--master br0 --netns blue --txqueuelen 500 --persist --offload csum,tso4 --spin-us 7 -v",
              &options),
        0);
    assert_true(options.listen && options.persist && options.has_mac && options.offload_is_named);
    assert_int_equal(options.socket_mode, 0660);
    assert_true(options.has_peer_uid);
    assert_int_equal(options.peer_uid, 0);
    assert_int_equal(options.slots, 64);
    assert_int_equal(options.slot_size, 4096);
    assert_int_equal(options.address_count, 2);
    assert_string_equal(options.addresses[0].text, "10.0.0.1/8");
    assert_string_equal(options.addresses[1].text, "fd00::1/64");
    assert_int_equal(options.mtu, 9000);
    assert_memory_equal(options.mac, "\2\0\0\0\0\1", 6);
    assert_string_equal(options.master, "br0");
    assert_string_equal(options.netns, "blue");
    assert_int_equal(options.txqueuelen, 500);
    assert_int_equal(options.offload, OFFLOAD_CSUM | OFFLOAD_TSO4);
    assert_int_equal(options.spin_us, 7);
}

static void test_control(void **state)
{
    struct options options;

    (void)state;
    assert_int_equal(parse("--link shm:/a --tap vop0 --control /run/x --control-mode 0660", &options), 0);
    assert_string_equal(options.control, "/run/x");
    assert_int_equal(options.control_mode, 0660);
    assert_int_equal(parse("--link shm:/a --tap vop0 --control-uid root", &options), 0);
    assert_true(options.has_control_uid && options.control_uid == 0);
    assert_int_equal(options.control_mode, 0666);
    assert_int_equal(parse("--link shm:/a --tap vop0 --control-uid root --control-mode 0600", &options), 0);
    assert_int_equal(options.control_mode, 0600);
    assert_int_equal(parse("--link shm:/a --tap vop0 --control none", &options), 0);
    assert_true(options.no_control);
}

static void test_service(void **state)
{
    struct options options;

    (void)state;
    assert_int_equal(parse("--link shm:/a --tap vop0", &options), 0);
    assert_int_equal(options.on_peer_loss, ON_PEER_LOSS_DROP);
    assert_int_equal(options.on_tap_loss, ON_TAP_LOSS_EXIT);
    assert_int_equal(options.carrier, CARRIER_FOLLOW);
    assert_int_equal(options.log_level, LOG_LEVEL_NOTICE);
    assert_int_equal(options.log_format, LOG_FORMAT_AUTO);
    assert_int_equal(options.metrics.kind, ENDPOINT_NONE);
    assert_false(options.has_user || options.no_sandbox || options.check_config);
    assert_int_equal(options.tap_fd_count, 0);
    assert_int_equal(parse("--link shm:/a --tap-fd 5,4 --on-peer-loss hold --carrier on "
                           "--drain-ms 0 --log-level error --log-format journald --metrics tcp:[::1]:9100 --user root "
                           "--sandbox off --capture-dir /x --altname a --altname b --route default",
                           &options),
                     0);
    assert_int_equal(options.on_peer_loss, ON_PEER_LOSS_HOLD);
    assert_int_equal(options.carrier, CARRIER_ON);
    assert_int_equal(options.drain_ms, 0);
    assert_int_equal(options.log_level, LOG_LEVEL_ERROR);
    assert_int_equal(options.log_format, LOG_FORMAT_JOURNALD);
    assert_true(options.metrics.kind == ENDPOINT_TCP && options.metrics.port == 9100);
    assert_int_equal(options.metrics.family, AF_INET6);
    assert_true(options.has_user && options.no_sandbox);
    assert_string_equal(options.capture_dir, "/x");
    assert_true(options.altname_count == 2 && options.route_count == 1);
    assert_string_equal(options.altnames[1], "b");
    assert_true(options.tap_fd_count == 2 && options.tap_fds[0] == 5 && options.queues == 2);
    assert_int_equal(parse("--link shm:/a --tap vop0 --on-tap-loss recreate", &options), 0);
    assert_int_equal(options.on_tap_loss, ON_TAP_LOSS_RECREATE);
}

static void test_steer(void **state)
{
    struct options options;

    (void)state;
    assert_int_equal(parse("--link shm:/a --tap vop0", &options), 0);
    assert_int_equal(options.steer.mode, STEER_MODE_PROGRAM);
    assert_int_equal(parse("--link shm:/a --tap vop0 --steer kernel", &options), 0);
    assert_int_equal(options.steer.mode, STEER_MODE_KERNEL);
    assert_int_equal(parse("--link shm:/a --tap vop0 --steer rss", &options), 0);
    assert_int_equal(options.steer.mode, STEER_MODE_PROGRAM);
    assert_int_equal(parse("--link shm:/a --tap vop0 --steer obj=/a,prog=b,prog=c", &options), 0);
    assert_int_equal(options.steer.mode, STEER_MODE_USER);
    assert_string_equal(options.steer.object, "/a,prog=b");
    assert_string_equal(options.steer.program, "c");
}

static void test_wrong(void **state)
{
    static const char *const wrong[] = {
        "",
        "--link shm:/run/a",
        "--tap vop0",
        "--link shm:/run/a --tap vop0 more",
        "--link shm:/run/a --tap a-name-that-is-too-long",
        "--link shm:/run/a --tap vop0 --address 10.0.0.1",
        "--link shm:/run/a --tap vop0 --mtu 67",
        "--link shm:/run/a --tap vop0 --mtu 65522",
        "--link shm:/run/a --tap vop0 --mtu 1500x",
        "--link shm:/run/a --tap vop0 --mac 01:00:00:00:00:01",
        "--link shm:/run/a --tap vop0 --txqueuelen 0",
        "--link shm:/run/a --tap vop0 --slots 1000",
        "--link shm:/run/a --tap vop0 --slots 65536",
        "--link shm:/run/a --tap vop0 --slot-size 100",
        "--link shm:/run/a --tap vop0 --slots 32768 --slot-size 65536",
        "--link shm:/run/a --tap vop0 --offload tso4",
        "--link shm:/run/a --tap vop0 --spin-us -1",
        "--link shm:/run/a --tap vop0 --socket-mode 0660",
        "--link shm:/run/a --tap vop0 --listen --socket-mode 0888",
        "--link shm:/run/a --tap vop0 --peer-uid no-such-user",
        "--link shm:/run/a --tap vop0 --peer-uid 4294967295",
        "--link shm:/run/a --tap vop0 --peer-uid -1",
        "--link shm:/run/a --tap vop0 --control here",
        "--link shm:/run/a --tap vop0 --control-mode 0888",
        "--link shm:/run/a --tap vop0 --control-uid no-such-user",
        "--link shm:/run/a --tap vop0 --control none --control-mode 0600",
        "--link shm:/run/a --tap vop0 --master a/b",
        "--link shm:/run/a --tap vop0 --tap all",
        "--link shm:/run/a --tap vop0 --netns b --on-netns-loss wait",
        "--link shm:/run/a --tap vop0 --on-netns-loss keep",
        "--link shm:/run/a --tap vop0 --address fd00::1/64 --mtu 1279",
        "--link shm:/run/a --tap vop0 --queues 0",
        "--link shm:/run/a --tap vop0 --queues 17",
        "--link mpc8349-2009:board --tap vop0 --queues 2",
        "--link shm:/run/a --tap vop0 --affinity 3-1",
        "--link shm:/run/a --tap vop0 --queues 16 --slots 32768 --slot-size 4096",
    };
    struct options options = {.mtu = 77};
    int silence = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int terminal = dup(STDERR_FILENO);

    (void)state;
    dup2(silence, STDERR_FILENO);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int ret = parse(wrong[i], &options);

        if (ret != -EINVAL || options.mtu != 77) {
            dup2(terminal, STDERR_FILENO);
            fail_msg("%s: %d", wrong[i], ret);
        }
    }
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    close(silence);
}

static void test_too_many_addresses(void **state)
{
    char line[1024] = "--link shm:/run/a --tap vop0";
    struct options options;

    (void)state;
    for (int i = 0; i < OPTIONS_ADDRESS_MAX; i++)
        strcat(line, " --address 10.0.0.1/8");
    assert_int_equal(parse(line, &options), 0);
    assert_int_equal(options.address_count, OPTIONS_ADDRESS_MAX);
    strcat(line, " --address 10.0.0.1/8");
    assert_int_equal(parse(line, &options), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_steer),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_too_many_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
