/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_capture_writer.c - what is in the files of a capture, and what they are called.
 *
 * Room: tests. Files are read back as whole blocks here; tests/system/lib/pcapng.py reads each of their bytes.
 */
#include "capture_files.h"
#include "capture_writer.h"
#include "support/test.h"

#include <sys/stat.h>

#define RINGS 3

struct world {
    char directory[64];
    struct capture_choice choice;
    struct capture_ring *rings[RINGS];
    struct capture_writer writer;
    struct capture_files files;
    char path[PATH_MAX];
};

static void ignore(void *context)
{
    (void)context;
}

static void open_world(struct world *w, uint64_t size_max, uint64_t frames_max)
{
    const struct capture_writer_setup setup = {
        .rings = w->rings, .count = RINGS, .interface = "vop0", .file_size_max = size_max, .frames_max = frames_max};

    memset(w, 0, sizeof(*w));
    strcpy(w->directory, "/tmp/vop-capture-XXXXXX");
    check(mkdtemp(w->directory) != NULL);
    w->choice = (struct capture_choice){.directions = CAPTURE_IN, .snaplen = 262144};
    for (unsigned i = 0; i < RINGS; i++)
        w->rings[i] = capture_ring_open(&w->choice, i, 1u << 20, ignore, NULL);
    capture_writer_open(&w->writer, &setup);
    capture_files_init(&w->files, w->directory, "vop0");
}

static void close_world(struct world *w)
{
    char command[128];

    for (unsigned i = 0; i < RINGS; i++)
        capture_ring_close(w->rings[i]);
    snprintf(command, sizeof(command), "rm -r %s", w->directory);
    check(system(command) == 0); /* NOLINT: a directory of our own */
}

static int next_file(struct world *w, bool is_first, unsigned keep)
{
    int fd;

    assert_int_equal(capture_files_next(&w->files, is_first, keep, w->path, &fd), 0);
    return fd;
}

static void add(struct world *w, unsigned ring, size_t length)
{
    static const uint8_t frame[2000];
    const struct iovec iov = {(void *)(uintptr_t)frame, length};

    capture_ring_add(w->rings[ring], CAPTURE_IN, &iov, 1, length);
}

/* Reads a file. Returns how many frames it has; they are in the order of time. It ends with a whole block. */
static unsigned count_frames(const char *path, bool *ret_has_statistics)
{
    static uint32_t words[1 << 19];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, words, sizeof(words));
    uint64_t before = 0;
    unsigned frames = 0;

    check(fd >= 0 && size > 0);
    close(fd);
    *ret_has_statistics = false;
    for (size_t at = 0; at < (size_t)size; at += words[at / 4 + 1]) {
        const struct pcapng_packet *block = (const struct pcapng_packet *)(const void *)&words[at / 4];

        assert_in_range(block->length, 12, (size_t)size - at);
        *ret_has_statistics = block->type == 5;
        if (block->type != PCAPNG_PACKET)
            continue;
        assert_true(pcapng_packet_time(block) >= before);
        before = pcapng_packet_time(block);
        frames++;
    }
    return frames;
}

static void expect_frames(struct world *w, unsigned frames)
{
    bool has_statistics;

    assert_int_equal(count_frames(w->path, &has_statistics), frames);
    assert_true(has_statistics);
}

/* More runs than one system call takes: the rings take turns. */
static void test_order(void **state)
{
    struct capture_written written;
    struct world w;
    struct stat st;

    (void)state;
    open_world(&w, 0, 0);
    assert_int_equal(capture_writer_begin(&w.writer, next_file(&w, true, 0)), 0);
    assert_int_equal(capture_writer_run(&w.writer), CAPTURE_WRITER_EMPTY);
    for (unsigned i = 0; i < 1000; i++)
        add(&w, i % RINGS, 60);
    assert_int_equal(capture_writer_run(&w.writer), CAPTURE_WRITER_EMPTY);
    add(&w, 1, 60);
    assert_int_equal(capture_writer_run(&w.writer), CAPTURE_WRITER_EMPTY);
    assert_int_equal(capture_writer_finish(&w.writer, 1), 0);
    expect_frames(&w, 1001);
    capture_writer_count(&w.writer, &written);
    assert_int_equal(written.frames, 1001);
    check(stat(w.path, &st) == 0);
    assert_int_equal(written.bytes, st.st_size);
    assert_int_equal(st.st_mode & 07777, 0600);
    close_world(&w);
}

static void test_limit(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, 0, 5);
    assert_int_equal(capture_writer_begin(&w.writer, next_file(&w, true, 0)), 0);
    for (unsigned i = 0; i < 4; i++)
        add(&w, 0, 60);
    assert_int_equal(capture_writer_run(&w.writer), CAPTURE_WRITER_EMPTY);
    for (unsigned i = 0; i < 4; i++)
        add(&w, 1, 60);
    assert_int_equal(capture_writer_run(&w.writer), CAPTURE_WRITER_ENOUGH);
    assert_int_equal(capture_writer_finish(&w.writer, 1), 0);
    expect_frames(&w, 5);
    close_world(&w);
}

/* No file is larger than it may be, but one frame it has; no frame is lost in between, and the newest files are left.
 */
static void test_rotation(void **state)
{
    struct world w;
    struct stat st;
    unsigned frames = 0, files = 1, ret;
    bool has_statistics;

    (void)state;
    open_world(&w, 4000, 0);
    assert_int_equal(capture_writer_begin(&w.writer, next_file(&w, true, 2)), 0);
    for (unsigned i = 0; i < 100; i++)
        add(&w, i % RINGS, 1000);
    while ((ret = (unsigned)capture_writer_run(&w.writer)) == CAPTURE_WRITER_FULL) {
        assert_int_equal(capture_writer_finish(&w.writer, 1), 0);
        check(stat(w.path, &st) == 0);
        assert_in_range(st.st_size, 2500, 4000);
        frames += count_frames(w.path, &has_statistics);
        assert_true(has_statistics);
        assert_int_equal(capture_writer_begin(&w.writer, next_file(&w, false, 2)), 0);
        files++;
    }
    assert_int_equal(ret, CAPTURE_WRITER_EMPTY);
    assert_int_equal(capture_writer_finish(&w.writer, 1), 0);
    assert_int_equal(frames + count_frames(w.path, &has_statistics), 100);
    assert_in_range(files, 34, 60);
    check(stat(w.directory, &st) == 0);
    for (unsigned i = 0; i < files; i++) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%.*s-%u.pcapng", (int)(strlen(w.directory) + strlen("/vop0-20000101-000000")),
                 w.path, i);
        assert_int_equal(stat(path, &st) == 0, i >= files - 2);
    }
    add(&w, 0, 1000); /* a limit that nothing fits in */
    w.writer.setup.file_size_max = 1;
    assert_int_equal(capture_writer_begin(&w.writer, next_file(&w, true, 0)), 0);
    assert_int_equal(capture_writer_run(&w.writer), CAPTURE_WRITER_EMPTY);
    assert_int_equal(capture_writer_finish(&w.writer, 1), 0);
    expect_frames(&w, 1);
    close_world(&w);
}

/* A disk that is full at each byte: what is in the file is whole, and counted. */
static void test_full_disk(void **state)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (unsigned size = 1; size < 3000; size += 141) {
        struct rlimit limit = {size, RLIM_INFINITY};
        struct capture_written written;
        struct world w;
        bool has_statistics;
        int ret;

        open_world(&w, 0, 0);
        check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        ret = capture_writer_begin(&w.writer, next_file(&w, true, 0));
        if (!ret) {
            for (unsigned i = 0; i < 20; i++)
                add(&w, 1 + i % 2, 150);
            assert_int_equal(capture_writer_run(&w.writer), -EFBIG);
            (void)capture_writer_finish(&w.writer, 1);
            capture_writer_count(&w.writer, &written);
            assert_int_equal(count_frames(w.path, &has_statistics), written.frames);
            assert_int_equal(w.writer.queue_frames[1] + w.writer.queue_frames[2], written.frames);
            assert_in_range(written.frames, size < 1000 ? 0 : 1, 19);
            add(&w, 1, 150); /* there is room in the rings again */
        } else {
            assert_int_equal(ret, -EFBIG);
            assert_int_equal(w.writer.fd, -1);
        }
        check(setrlimit(RLIMIT_FSIZE, &all) == 0);
        close_world(&w);
    }
}

static void test_removed(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, 0, 0);
    assert_false(capture_writer_is_removed(&w.writer));
    assert_int_equal(capture_writer_begin(&w.writer, next_file(&w, true, 0)), 0);
    assert_false(capture_writer_is_removed(&w.writer));
    check(unlink(w.path) == 0);
    assert_true(capture_writer_is_removed(&w.writer));
    assert_int_equal(capture_writer_finish(&w.writer, 1), 0);
    close_world(&w);
}

/* ---- Files ---- */

/* Nothing that is there is opened or removed, whatever it is. */
static void test_names(void **state)
{
    char first[PATH_MAX], target[PATH_MAX + 8];
    struct world w;
    struct stat st;

    (void)state;
    open_world(&w, 0, 0);
    snprintf(target, sizeof(target), "%s/target", w.directory);
    close(next_file(&w, true, 0));
    memcpy(first, w.path, sizeof(first));
    w.files.number = 0;
    close(next_file(&w, false, 0));
    assert_string_equal(w.path + strlen(first) - strlen(".pcapng"), "-1.pcapng");
    check(unlink(first) == 0 && symlink(target, first) == 0);
    w.files.number = 0;
    close(next_file(&w, false, 0));
    assert_string_equal(w.path + strlen(first) - strlen(".pcapng"), "-2.pcapng");
    assert_int_equal(stat(target, &st), -1);
    close_world(&w);
}

static void test_keeping(void **state)
{
    char first[PATH_MAX], second[PATH_MAX];
    struct world w;
    struct stat st;
    int fd;

    (void)state;
    open_world(&w, 0, 0);
    close(next_file(&w, true, 2));
    memcpy(first, w.path, sizeof(first));
    close(next_file(&w, false, 2));
    memcpy(second, w.path, sizeof(second));
    assert_int_equal(stat(first, &st), 0);
    close(next_file(&w, false, 2));
    assert_int_equal(stat(first, &st), -1);
    assert_int_equal(stat(second, &st), 0);
    /* another file has the name by now */
    fd = open(first, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    check(fd >= 0 && rename(first, second) == 0);
    close(fd);
    close(next_file(&w, false, 2));
    assert_int_equal(stat(second, &st), 0);
    close_world(&w);
}

static void test_directories(void **state)
{
    struct capture_files files;
    char path[PATH_MAX];
    struct stat st;
    int fd = -1;
    char directory[] = "/tmp/vop-capture-XXXXXX";
    char below[64];

    (void)state;
    check(mkdtemp(directory) != NULL);
    snprintf(below, sizeof(below), "%s/a/b", directory);
    capture_files_init(&files, below, "vop0");
    assert_int_equal(capture_files_next(&files, true, 0, path, &fd), -ENOENT);
    assert_string_equal(path, below);
    *strrchr(below, '/') = '\0';
    assert_int_equal(capture_files_next(&files, true, 0, path, &fd), 0);
    close(fd);
    check(stat(below, &st) == 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    check(unlink(path) == 0 && rmdir(below) == 0 && rmdir(directory) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_limit),       cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_removed),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_keeping),   cmocka_unit_test(test_directories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
