/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_broker.c - a broker does what its bridge needs, and nothing that a worker in other hands asks for.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "broker.h"
#include "broker_link.h"
#include "broker_message.h"
#include "capture_files.h"
#include "interface.h"
#include "netlink_away.h"
#include "options.h"
#include "sandbox_need.h"
#include "setup.h"
#include "unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/vop-broker-XXXXXX";
static char path[64];
static struct options options;
static struct interface interface;

static void set_link(const char *link, bool is_listening)
{
    memset(&options, 0, sizeof(options));
    snprintf(options.link, sizeof(options.link), "%s", link);
    snprintf(options.tap, sizeof(options.tap), "vop-none");
    options.listen = is_listening;
}

/* ---- The rules ---- */

static bool allows(const char *uri, bool is_listening, uint32_t what, const char *name, uint32_t flags, uint32_t mode)
{
    const struct vop_opener_request request = {.what = what, .flags = flags, .mode = mode, .path = name};
    static struct broker_link link;

    set_link(uri, is_listening);
    broker_link_init(&link, &options);
    return broker_link_allows(&link, &request);
}

static void test_sockets(void **state)
{
    (void)state;
    assert_true(allows("shm:/run/a", true, VOP_OPENER_LISTEN, "/run/a", SOCK_SEQPACKET, 0600));
    assert_true(allows("shm:/run/a", false, VOP_OPENER_CONNECT, "/run/a", SOCK_SEQPACKET, 0));
    assert_true(allows("shm:/run/a", false, VOP_OPENER_FACTS, "/run/a", 0, 0));
    assert_false(allows("shm:/run/a", true, VOP_OPENER_LISTEN, "/run/b", SOCK_SEQPACKET, 0600));
    assert_false(allows("shm:/run/a", true, VOP_OPENER_LISTEN, "/run/a", SOCK_STREAM, 0600));
    assert_false(allows("shm:/run/a", true, VOP_OPENER_LISTEN, "/run/a", SOCK_SEQPACKET, 0666));
    assert_false(allows("shm:/run/a", true, VOP_OPENER_CONNECT, "/run/a", SOCK_SEQPACKET, 0));
    assert_false(allows("shm:/run/a", false, VOP_OPENER_LISTEN, "/run/a", SOCK_SEQPACKET, 0600));
    assert_false(allows("shm:/run/a", false, VOP_OPENER_CONNECT, "/run/dbus", SOCK_SEQPACKET, 0));
    assert_false(allows("shm:/run/a", true, VOP_OPENER_REMOVE, "/run/a", 0, 0)); /* it has made none */
    assert_false(allows("shm:fd:3", true, VOP_OPENER_LISTEN, "fd:3", SOCK_SEQPACKET, 0600));
    assert_true(allows("vhost-user:/run/a", true, VOP_OPENER_LISTEN, "/run/a", SOCK_STREAM, 0600));
    assert_true(allows("vhost-user:/run/a?front", true, VOP_OPENER_CONNECT, "/run/a", SOCK_STREAM, 0));
    assert_false(allows("vhost-user:/run/a?front", true, VOP_OPENER_LISTEN, "/run/a", SOCK_STREAM, 0600));
    assert_true(
        allows("vhost-user:/run/a?packed", true, VOP_OPENER_FILE, "/run/a.rings", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    assert_false(allows("vhost-user:/run/a", true, VOP_OPENER_FILE, "/run/a.rings", O_RDWR | O_CREAT, 0600));
    assert_false(
        allows("vhost-user:/run/a", true, VOP_OPENER_FILE, "/run/b.rings", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
}

static void test_files(void **state)
{
    const char *links[] = {"shm:/run/a",    "ivshmem:/dev/shm/a", "ivshmem:0000:00:04.0",
                           "mpc8349:board", "vhost-user:/run/a",  "virtio-pci:00:05.0"};
    const char *names[] = {"/etc/shadow",    "/dev/mem",
                           "/proc/self/mem", "/dev/uio999",
                           "/dev/vfio/999",  "/sys/bus/pci/devices/0000:00:99.0/config",
                           "/run/a/../b",    ""};

    (void)state;
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
            assert_false(allows(links[i], true, VOP_OPENER_FILE, names[j], O_RDWR, 0));
            assert_false(allows(links[i], true, VOP_OPENER_LINK, names[j], 0, 0));
        }
    }
    assert_true(allows("ivshmem:/dev/shm/a?side=1", true, VOP_OPENER_FILE, "/dev/shm/a", O_RDWR | O_NONBLOCK, 0));
    assert_false(allows("ivshmem:/dev/shm/a", true, VOP_OPENER_FILE, "/dev/shm/a", O_RDWR | O_CREAT, 0600));
    assert_false(allows("ivshmem:/dev/shm/a", true, VOP_OPENER_FILE, "/dev/shm/a", O_RDWR | O_TRUNC, 0));
}

static void test_devices(void **state)
{
    static const char uri[] = "ivshmem:00:04.0";
    static const char base[] = "/sys/bus/pci/devices/0000:00:04.0/";
    char name[128];

    (void)state;
#define SYSFS(rest, flags) \
    (snprintf(name, sizeof(name), "%s%s", base, rest), allows(uri, true, VOP_OPENER_FILE, name, flags, 0))
    assert_true(SYSFS("config", O_RDWR));
    assert_true(SYSFS("resource2", O_RDWR));
    assert_true(SYSFS("vendor", O_RDONLY));
    assert_true(SYSFS("uio/uio0/name", O_RDONLY));
    assert_false(SYSFS("remove", O_WRONLY));
    assert_false(SYSFS("driver_override", O_RDWR));
    assert_false(SYSFS("driver/unbind", O_WRONLY));
    assert_false(SYSFS("driver/0000:00:05.0/config", O_RDONLY));
    assert_false(SYSFS("uio/uio0/device/driver/unbind", O_WRONLY));
    assert_false(SYSFS("../0000:00:05.0/config", O_RDWR));
    assert_false(SYSFS("vendor", O_RDWR));
    assert_false(SYSFS("vendor", O_RDONLY | O_CREAT));
}

/* ---- Lies ---- */

/* As a worker in other hands: any message at all. Returns what the answer says. */
static int say(uint32_t what, const void *bytes, size_t size)
{
    static struct broker_message message;
    struct broker_fds fds;

    message.head = (struct broker_head){.what = what, .size = (uint32_t)size};
    memcpy(message.bytes, bytes, size);
    assert_int_equal(broker_message_send(broker_socket(), &message, NULL), 0);
    assert_int_equal(broker_message_receive(broker_socket(), &message, &fds), 0);
    while (fds.count > 0)
        close(fds.fd[--fds.count]);
    return message.head.ret;
}

static int say_open(uint32_t what, const char *name, uint32_t flags, uint32_t mode, size_t cut)
{
    struct {
        struct broker_open open;
        char name[128];
    } question;
    size_t size = offsetof(__typeof__(question), name) + strlen(name) + 1 - cut;

    memset(&question, 0, sizeof(question));
    question.open.request = (struct vop_opener_request){
        .what = what, .flags = flags, .mode = mode, .backlog = 8, .path = (const char *)0x1234};
    memcpy(question.name, name, strlen(name) + 1);
    return say(BROKER_OPEN, &question, size);
}

static int make_directory(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/a.sock", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void start(void)
{
    const struct broker_setup setup = {.options = &options, .interface = &interface};
    char link[80];

    snprintf(link, sizeof(link), "shm:%s", path);
    set_link(link, true);
    interface = INTERFACE_CLOSED;
    interface.options = &options;
    interface.tap.queue_fd[0] = -1;
    assert_int_equal(netlink_open(-1, &interface.netlink), 0);
    assert_int_equal(broker_start(&setup), 0);
}

static void stop(void)
{
    broker_stop();
    assert_false(broker_is_there());
    netlink_close(interface.netlink);
}

/* What it is for works before and after all the lies. */
static void check_works(void)
{
    struct vop_opener_request request = {
        .what = VOP_OPENER_LISTEN, .flags = SOCK_SEQPACKET, .mode = 0600, .backlog = 8, .path = path};
    struct vop_opener_answer answer;
    struct stat st;

    assert_int_equal(broker_link_ask(NULL, &request, &answer), 0);
    assert_true(answer.fd >= 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    request =
        (struct vop_opener_request){.what = VOP_OPENER_REMOVE, .device = st.st_dev, .inode = st.st_ino, .path = path};
    assert_int_equal(broker_link_ask(NULL, &request, &answer), 0);
    assert_int_equal(lstat(path, &st), -1);
}

static void test_lies(void **state)
{
    struct netlink_question netlink = {.op = NETLINK_SET_MTU, .number = 67};
    const struct capture_question capture = {.keep = 1};
    static uint8_t noise[BROKER_BYTES_MAX];

    (void)state;
    start();
    check_works();
    assert_int_equal(say_open(VOP_OPENER_FILE, "/etc/shadow", O_RDONLY, 0, 0), -EPERM);
    assert_int_equal(say_open(VOP_OPENER_LISTEN, path, SOCK_SEQPACKET, 0777, 0), -EPERM);
    assert_int_equal(say_open(VOP_OPENER_CONNECT, path, SOCK_SEQPACKET, 0, 0), -EPERM);
    assert_int_equal(say_open(VOP_OPENER_LISTEN, path, SOCK_SEQPACKET, 0600, 1), -EPERM); /* without its zero */
    assert_int_equal(say_open(0, path, 0, 0, 0), -EPERM);
    assert_int_equal(say_open(UINT32_MAX, path, 0, 0, 0), -EPERM);
    assert_int_equal(say(BROKER_OPEN, noise, 0), -EPERM);
    assert_int_equal(say(BROKER_OPEN, noise, 7), -EPERM);
    assert_int_equal(say(BROKER_WHATS, noise, 0), -EPERM);
    assert_int_equal(say(UINT32_MAX, noise, 1), -EPERM);
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM);
    netlink.number = 65522;
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM);
    netlink.op = NETLINK_OPS;
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM);
    netlink = (struct netlink_question){.op = NETLINK_ADD_ADDRESS, .address = {.family = AF_INET, .prefix = 8}};
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM); /* not of the options */
    netlink = (struct netlink_question){.op = NETLINK_ADD_ROUTE, .route = {.family = AF_INET}};
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM);
    netlink = (struct netlink_question){.op = NETLINK_SET_MASTER, .name = "br0"};
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM);
    netlink = (struct netlink_question){.op = NETLINK_SET_MAC, .mac = {2, 0, 0, 0, 0, 1}};
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM); /* the peer is no card */
    memset(netlink.name, 'x', sizeof(netlink.name));
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM); /* no end */
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink) - 1), -EPERM);
    assert_int_equal(say(BROKER_INTERFACE, noise, 3), -EPERM);
    assert_int_equal(say(BROKER_SOCKET, noise, 1), -EPERM);
    assert_int_equal(say(BROKER_SOCKET, noise, sizeof(struct unix_socket_question)), -EPERM); /* there is none */
    assert_int_equal(say(BROKER_CUT, noise, sizeof(uint64_t)), -EPERM);                       /* and no file */
    assert_int_equal(say(BROKER_OPTIONS, noise, 1), -EPERM);
    assert_int_equal(say(BROKER_NETNS, noise, 0), -EPERM); /* likewise */
    assert_int_equal(say(BROKER_CAPTURE, &capture, sizeof(capture)), -EPERM);
    check_works();
    stop();
}

/* What would be a bool here is a byte there, and one of 2 is no bool. */
static void test_bools(void **state)
{
    struct netlink_question netlink = {.op = NETLINK_NEIGHBOURS_NOTE};
    struct {
        uint32_t op;
        struct setup_again again;
    } home; /* as interface_away.c has it */

    (void)state;
    start();
    for (uint8_t byte = 0; byte < 2; byte++) {
        memset(&netlink.route.has_gateway, byte, sizeof(netlink.route.has_gateway));
        assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), 0);
    }
    memset(&netlink.route.has_gateway, 2, sizeof(netlink.route.has_gateway));
    assert_int_equal(say(BROKER_NETLINK, &netlink, sizeof(netlink)), -EPERM);
    memset(&home, 0, sizeof(home));
    home.op = 2;
    assert_int_equal(say(BROKER_INTERFACE, &home, sizeof(home)), 0);
    memset(&home.again.is_persistent, 2, sizeof(home.again.is_persistent));
    assert_int_equal(say(BROKER_INTERFACE, &home, sizeof(home)), -EPERM);
    check_works();
    stop();
}

/* Messages that are none, of all lengths, and of bytes that mean nothing. */
static void test_noise(void **state)
{
    static struct broker_message answer;
    uint8_t bytes[600];
    struct broker_fds fds;

    (void)state;
    start();
    srand(1);
    for (size_t size = 1; size < sizeof(bytes); size += 7) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)rand();
        bytes[0] = (uint8_t)(size % (BROKER_WHATS + 2)); /* now and then it is nearly right */
        if (size > 16) {
            memset(bytes + 1, 0, 15);
            bytes[8] = (uint8_t)(size - 16);
            bytes[9] = (uint8_t)((size - 16) >> 8);
        }
        assert_int_equal(send(broker_socket(), bytes, size, 0), size);
        assert_int_equal(broker_message_receive(broker_socket(), &answer, &fds), 0);
        assert_int_equal(fds.count, 0);
    }
    check_works();
    stop();
}

static void on_lost(void *context)
{
    *(bool *)context = true;
}

/* A broker that is gone is noticed, and asking it does not wait. */
static void test_death(void **state)
{
    struct ucred broker;
    socklen_t size = sizeof(broker);
    bool is_lost = false;
    uv_loop_t loop;

    (void)state;
    start();
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(broker_watch(&loop, on_lost, &is_lost), 0);
    assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 1);
    assert_false(is_lost);
    assert_int_equal(getsockopt(broker_socket(), SOL_SOCKET, SO_PEERCRED, &broker, &size), 0);
    assert_int_equal(shutdown(broker_socket(), SHUT_WR), 0); /* it ends as when the worker has ended */
    while (!is_lost)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(broker_ask(BROKER_NAME, NULL, 0, NULL, 0, NULL), -EPIPE);
    broker_unwatch();
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets), cmocka_unit_test(test_files), cmocka_unit_test(test_devices),
        cmocka_unit_test(test_lies),    cmocka_unit_test(test_bools), cmocka_unit_test(test_noise),
        cmocka_unit_test(test_death),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
