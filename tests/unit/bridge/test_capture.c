/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_capture.c - captures from their beginning to their end, over the methods of the control socket, with workers and
 * with disks that do not answer.
 *
 * Room: tests. A worker is a thread that adds frames; a disk that does not answer is a pipe that nobody reads.
 */
#include "capture_files.h"
#include "capture_methods.h"
#include "support/test.h"

#include <pthread.h>

#define QUEUES 2

static struct capture *capture; /* here, so that one that is left behind is found by a sanitizer */
static uv_loop_t loop;
static struct capture_files files;
static char directory[64];
static int next_fd; /* what the next file is; -1: a file, or -errno */

static struct {
    pthread_mutex_t mutex;
    struct capture_ring *rings[QUEUES];
    pthread_t thread[QUEUES];
    unsigned added[QUEUES];
    bool is_over;
} workers = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- Whom a capture needs ---- */

static int open_file(void *context, bool is_first, unsigned keep, char ret_path[PATH_MAX], int *ret_fd)
{
    int given = next_fd;

    (void)context;
    next_fd = -1;
    snprintf(ret_path, PATH_MAX, "/given");
    *ret_fd = given;
    if (given < -1)
        return given;
    return given >= 0 ? 0 : capture_files_next(&files, is_first, keep, ret_path, ret_fd);
}

static void attach(void *context, struct capture_ring *const *rings)
{
    (void)context;
    pthread_mutex_lock(&workers.mutex);
    for (unsigned i = 0; i < QUEUES; i++)
        workers.rings[i] = rings ? rings[i] : NULL;
    pthread_mutex_unlock(&workers.mutex);
}

/* Adds a frame to a ring, if there is one. */
static bool add(unsigned queue, size_t length)
{
    static const uint8_t frame[60000];
    const struct iovec iov = {(void *)(uintptr_t)frame, length};
    bool is_attached;

    pthread_mutex_lock(&workers.mutex);
    is_attached = workers.rings[queue] != NULL;
    if (is_attached)
        capture_ring_add(workers.rings[queue], CAPTURE_IN, &iov, 1, length);
    pthread_mutex_unlock(&workers.mutex);
    return is_attached;
}

static void set_up(void)
{
    const struct capture_setup setup = {
        .interface = "vop0", .queues = QUEUES, .open_file = open_file, .attach = attach};

    strcpy(directory, "/tmp/vop-capture-XXXXXX");
    check(mkdtemp(directory) != NULL);
    capture_files_init(&files, directory, "vop0");
    next_fd = -1;
    check(uv_loop_init(&loop) == 0);
    assert_int_equal(capture_open(&loop, &setup, &capture), 0);
}

static void tear_down(void)
{
    char command[128];

    capture_close(capture);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    check(system(command) == 0); /* NOLINT: a directory of our own */
}

/* ---- Methods ---- */

static const struct {
    const char *name;
    json_t *(*run)(struct capture *capture, json_t *params, struct control_failure *failure);
} methods[] = {{"start", capture_run_start}, {"stop", capture_run_stop}, {"show", capture_run_show}};

/* Returns the result, or NULL and what the error says. */
static json_t *call(const char *method, const char *params, char text[256])
{
    struct control_failure failure = {.code = 0};
    json_t *object = json_loads(params, 0, NULL);
    json_t *result = NULL;

    assert_non_null(object);
    for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].name, method) == 0)
            result = methods[i].run(capture, object, &failure);
    }
    json_decref(object);
    if (text)
        snprintf(text, 256, "%s", failure.text);
    return result;
}

static void expect(const char *method, const char *params)
{
    char text[256];
    json_t *result = call(method, params, text);

    if (!result)
        fail_msg("%s %s: %s", method, params, text);
    json_decref(result);
}

static void expect_error(const char *params, const char *wanted)
{
    char text[256];

    assert_null(call("start", params, text));
    if (!strstr(text, wanted))
        fail_msg("%s: %s instead of %s", params, text, wanted);
}

static bool is_in_state(const char *state)
{
    json_t *result = call("show", "{}", NULL);
    bool is = strcmp(json_string_value(json_object_get(result, "state")), state) == 0;

    json_decref(result);
    return is;
}

static json_int_t get_number(const char *member)
{
    json_t *result = call("show", "{}", NULL);
    json_int_t number = json_integer_value(json_object_get(result, member));

    json_decref(result);
    return number;
}

static void wait_state(const char *state)
{
    for (unsigned i = 0; !is_in_state(state); i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
        check(i < 20000);
    }
}

/* ---- Tests ---- */

static void test_parameters(void **state)
{
    (void)state;
    set_up();
    expect_error("{\"what\": 1}", "what: no such parameter");
    expect_error("{\"direction\": 1}", "direction: neither in");
    expect_error("{\"direction\": \"to\"}", "direction: neither in");
    expect_error("{\"snaplen\": 13}", "snaplen: not a whole number from 14 to 262144");
    expect_error("{\"snaplen\": 262145}", "snaplen: not");
    expect_error("{\"snaplen\": \"96\"}", "snaplen: not");
    expect_error("{\"frames\": 0}", "frames: not");
    expect_error("{\"seconds\": 2147483648}", "seconds: not");
    expect_error("{\"rotate_size\": 65535}", "rotate_size: not");
    expect_error("{\"rotate_files\": 3}", "rotate_files: without rotate_size");
    expect_error("{\"rotate_size\": 65536, \"rotate_files\": 1001}", "rotate_files: not");
    expect_error("{\"filter\": \"udp\"}", "filter: it comes without its program");
    expect_error("{\"filter\": 3, \"program\": [[6, 0, 0, 1]]}", "filter: not a text");
    expect_error("{\"program\": []}", "program: not a list of 1 to 512");
    expect_error("{\"program\": 3}", "program: not a list of 1 to 512");
    expect_error("{\"program\": [[6, 0, 0]]}", "program: not each");
    expect_error("{\"program\": [[65536, 0, 0, 0]]}", "program: not each");
    expect_error("{\"program\": [[6, 256, 0, 0]]}", "program: not each");
    expect_error("{\"program\": [[6, 0, -1, 0]]}", "program: not each");
    expect_error("{\"program\": [[6, 0, 0, 4294967296]]}", "program: not each");
    expect_error("{\"program\": [[21, 9, 9, 0], [6, 0, 0, 0]]}", "program: not a program of BPF");
    assert_true(is_in_state("none"));
    expect("start", "{\"program\": [[6, 0, 0, 4294967295]], \"direction\": \"inout\", \"snaplen\": 14, \"frames\": 3}");
    expect_error("{}", "a capture is running");
    expect("stop", "{}");
    wait_state("ended");
    assert_int_equal(get_number("snaplen"), 14);
    assert_int_equal(get_number("frames_max"), 3);
    tear_down();
}

/* The first file cannot be opened, or one of the next ones cannot. */
static void test_no_file(void **state)
{
    (void)state;
    set_up();
    next_fd = -EACCES;
    expect_error("{}", "/given: Permission denied; --capture-dir");
    assert_true(is_in_state("none"));
    expect("start", "{\"rotate_size\": 65536}");
    next_fd = -EDQUOT;
    add(0, 50000);
    add(1, 50000);
    wait_state("ended");
    assert_int_equal(get_number("frames"), 1);
    assert_null(workers.rings[0]);
    tear_down();
}

static void *work(void *argument)
{
    unsigned queue = (unsigned)(uintptr_t)argument;
    unsigned idle = 0;

    while (!__atomic_load_n(&workers.is_over, __ATOMIC_RELAXED)) {
        if (add(queue, 60 + idle % 1000))
            workers.added[queue]++;
        if (++idle % 50 == 0)
            usleep(100);
    }
    return NULL;
}

/* Captures come and go while workers work; each is complete. */
static void test_workers(void **state)
{
    uint64_t received = 0;

    (void)state;
    set_up();
    workers.is_over = false;
    for (uintptr_t i = 0; i < QUEUES; i++) {
        workers.added[i] = 0;
        check(pthread_create(&workers.thread[i], NULL, work, (void *)i) == 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        expect("start", i % 2 ? "{\"rotate_size\": 65536, \"rotate_files\": 2}" : "{\"frames\": 2000}");
        if (i % 2) {
            while (get_number("frames") < 2000)
                uv_run(&loop, UV_RUN_ONCE);
            expect("stop", "{}");
        }
        wait_state("ended");
        received += (uint64_t)get_number("received");
        assert_true(get_number("frames") >= 2000);
        if (i % 2)
            assert_int_equal(get_number("frames") + get_number("dropped"), get_number("accepted"));
    }
    __atomic_store_n(&workers.is_over, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < QUEUES; i++) {
        pthread_join(workers.thread[i], NULL);
        received -= workers.added[i];
    }
    assert_int_equal(received, 0);
    tear_down();
}

/* Neither a worker nor the control loop waits for it. */
static void test_hung_disk(void **state)
{
    static char bytes[65536];
    unsigned added = 0;
    int pipes[2];

    (void)state;
    set_up();
    check(pipe2(pipes, O_CLOEXEC) == 0);
    next_fd = pipes[1];
    expect("start", "{}");
    while (get_number("dropped") < 10) { /* the pipe is full, and so is the ring */
        add(0, 50000);
        added++;
        usleep(100);
    }
    expect("stop", "{}");
    assert_true(is_in_state("stopping"));
    expect_error("{}", "or is not written yet");
    assert_false(add(0, 50000));
    while (!is_in_state("ended")) /* now somebody reads */
        check(read(pipes[0], bytes, sizeof(bytes)) >= 0);
    assert_int_equal(get_number("frames") + get_number("dropped"), added);
    close(pipes[0]);
    tear_down();
}

/* The bridge ends, and the disk still does not answer. */
static void test_end_without_disk(void **state)
{
    static char bytes[65536];
    int pipes[2];

    (void)state;
    set_up();
    check(pipe2(pipes, O_CLOEXEC) == 0);
    next_fd = pipes[1];
    expect("start", "{}");
    while (get_number("dropped") < 10) {
        add(0, 50000);
        usleep(100);
    }
    tear_down();
    while (read(pipes[0], bytes, sizeof(bytes)) > 0) /* the thread goes on, and calls nobody */
        ;
    close(pipes[0]);
    usleep(10000);
}

static void test_none(void **state)
{
    char text[256];

    (void)state;
    capture = NULL;
    assert_null(call("show", "{}", text));
    assert_non_null(strstr(text, "--capture-dir"));
    capture_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_hung_disk),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_end_without_disk), /* last: it leaves a thread behind */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
